"""`course-management keys`: the API keys of services."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ..access import key_management as services
from ..access import keys as api_keys
from ..access.policy import SCOPES
from ..config import Settings
from ..database import AnyRow
from ..database.types import utcnow
from ..errors import KeyEnded, TooManyKeys
from ..models import ApiKey
from ..repositories.resources import id_of
from .service import service

TOO_MANY = f"{{name}} already has {services.AT_ONCE} active keys, the maximum for one name. Revoke one first."
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.group()
def keys() -> None:
    """API keys of services. The first key ends protected mode: from then on, requests must be authenticated."""


def _name(_: Any, __: Any, text: str) -> str:
    if not api_keys.NAME.fullmatch(text):
        raise click.BadParameter(
            "use 1 to 50 letters, digits, dots, dashes and underscores. The ledger shows this name"
        )
    return text


def _moment(_: Any, __: Any, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if match := re.fullmatch(r"(\d{1,4})([hdw])", text):
            moment = utcnow() + int(match[1]) * UNITS[match[2]]
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter("write 12h, 90d, 52w, or a date as 2027-01-31") from None
    if moment <= utcnow():
        raise click.BadParameter("this time is in the past; write a later one")
    return moment


@keys.command()
@click.option(
    "--name", required=True, callback=_name, help="The name of the service. Two active keys may have the same name."
)
@click.option("--scope", "scopes", required=True, multiple=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option(
    "--expires", "expires_at", callback=_moment, help="12h, 90d, 52w, or a date. Default: the key does not expire."
)
def create(name: str, scopes: tuple[str, ...], expires_at: datetime | None) -> None:
    """Create a key and show it. It cannot be shown again."""
    with service("warning"):
        try:
            key, secret = services.create(name, scopes, expires_at)
        except TooManyKeys:
            raise click.ClickException(TOO_MANY.format(name=name)) from None
        try:
            click.echo(secret)
        except OSError:  # the key was not shown, so no one would know that it exists and revoke it
            services.revoke(key.id)
            raise
        is_first = len(api_keys.list_all()) == 1
    click.echo("Store this key now: it cannot be shown again. Send it as: Authorization: Bearer <key>", err=True)
    if is_first and not Settings.load().oidc_issuer:
        click.echo(
            "This was the first key, so the pages now need a sign-in. Let a registrar in with `course-management "
            "people create --name NAME --role registrar`, then `course-management sign-in-link --person ID`.",
            err=True,
        )


@keys.command()
def generate() -> None:
    """Show a new key without storing it, for a secret file that `register` reads."""
    click.echo(api_keys.new())


@keys.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, callback=_name, help="The name of the service.")
@click.option("--scope", "scopes", required=True, multiple=True, type=click.Choice(SCOPES), help="May be repeated.")
def register(file: Path, name: str, scopes: tuple[str, ...]) -> None:
    """Store the key in FILE, which `generate` has made. Does nothing if it is stored already, for scripts."""
    secret = file.read_text(errors="replace").strip()
    if not api_keys.is_valid(secret):
        raise click.ClickException(f"{file} has no key. Make one with `course-management keys generate`.")
    with service("warning"):
        try:
            is_new = services.register(secret, name, scopes)
        except KeyEnded:
            raise click.ClickException(f"The key in {file} has expired or is revoked. Generate another one.") from None
        except TooManyKeys:
            raise click.ClickException(TOO_MANY.format(name=name)) from None
    click.echo(f"{'Registered' if is_new else 'Already registered:'} {api_keys.prefix_of(secret)}.")


@keys.command("list")
def list_keys() -> None:
    """List all keys. Only their prefixes are stored, so the keys themselves cannot be shown."""
    with service("warning"):
        for key in api_keys.list_all():
            used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            click.echo(f"{key.prefix}  {key.name:20}  {_state(key):22}  {used:21}  {' '.join(key.scopes)}")


def _state(key: AnyRow) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at and key.expires_at <= utcnow():
        return f"expired {key.expires_at:%Y-%m-%d}"
    return f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "active"


@keys.command()
@click.argument("prefix")
def revoke(prefix: str) -> None:
    """Revoke the key that `list` shows with this PREFIX. Requests with it are refused within 5 seconds."""
    prefix = api_keys.prefix_of(prefix)  # a whole key is accepted, too, and is not printed
    with service("warning"):
        key_id = id_of(ApiKey, {"prefix": prefix})
        if key_id is None or not services.revoke(key_id):
            raise click.ClickException(f"There is no active key {prefix}. Run `course-management keys list`.")
    click.echo(f"Revoked {prefix}.")
