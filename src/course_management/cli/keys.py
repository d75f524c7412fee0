"""`course-management keys`: the keys of services."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ..access import key_management as services
from ..access import keys as api_keys
from ..access.policy import SCOPES
from ..database import AnyRow
from ..database.types import utcnow
from ..errors import TooManyKeys
from ..models import ApiKey
from ..repositories.resources import id_of
from .service import service

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.group()
def keys() -> None:
    """Keys for services. The first one ends protected mode: from then on, callers say who they are."""


def _name(_: Any, __: Any, text: str) -> str:
    if not api_keys.NAME.fullmatch(text):
        raise click.BadParameter("use 1 to 50 letters, digits, dots, dashes and underscores: it stands in the ledger")
    return text


def _moment(_: Any, __: Any, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if found := re.fullmatch(r"(\d{1,4})([hdw])", text):
            moment = utcnow() + int(found[1]) * UNITS[found[2]]
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter("write 12h, 90d, 52w, or a date as 2027-01-31") from None
    if moment <= utcnow():
        raise click.BadParameter("that is past")
    return moment


@keys.command()
@click.option("--name", required=True, callback=_name, help="The service; two live keys may have the same name.")
@click.option("--scope", "scopes", required=True, multiple=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--expires", "expires_at", callback=_moment, help="12h, 90d, 52w, or a date; without it, never.")
def create(name: str, scopes: tuple[str, ...], expires_at: datetime | None) -> None:
    """Make a key and show it, once."""
    with service("warning"):
        try:
            key, secret = services.create(name, scopes, expires_at)
        except TooManyKeys:
            raise click.ClickException(
                f"{name} has {services.AT_ONCE} active keys already, as many as one name may have; revoke one first."
            ) from None
        try:
            click.echo(secret)
        except OSError:  # nobody has seen the key, so nobody would revoke it
            services.revoke(key.id)
            raise
    click.echo("This is the only time it is shown. Send it as: Authorization: Bearer <key>", err=True)


@keys.command("list")
def list_keys() -> None:
    """Show all keys; of the secrets nothing is known any more."""
    with service("warning"):
        for key in api_keys.everything():
            used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            click.echo(f"{key.prefix}  {key.name:20}  {_state(key):22}  {used:21}  {' '.join(key.scopes)}")


def _state(key: AnyRow) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at and key.expires_at <= utcnow():
        return f"expired {key.expires_at:%Y-%m-%d}"
    return f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "live"


@keys.command()
@click.argument("prefix")
def revoke(prefix: str) -> None:
    """End the key that `list` shows with this PREFIX; it is refused within 5 seconds."""
    prefix = api_keys.prefix_of(prefix)  # a whole key will do, too, and is not shown again
    with service("warning"):
        number = id_of(ApiKey, "prefix", prefix)
        if number is None or not services.revoke(number):
            raise click.ClickException(f"There is no live key {prefix}.")
    click.echo(f"Revoked {prefix}.")
