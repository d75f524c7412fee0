"""What is unsafe in the present settings, each as a sentence that says what to do; see `course-management check`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from . import network_addresses
from .access import keys
from .config import Settings
from .database import db, kind_of, schema_state, why
from .database.migrations import NEWER
from .environment import ENV_FILE

NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "fuse.sshfs", "afs"}
ENCRYPTED = {"require", "verify-ca", "verify-full"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unsafe. `serve` refuses to start with a dangerous one."""

    sentence: str
    dangerous: bool = False


def find(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything that is unsafe, the dangerous first; inside of the app's context."""
    found = [*_callers(settings), *_network(settings), *_database(settings), *_process(settings, environ)]
    return sorted(found, key=lambda each: not each.dangerous)


def not_ready() -> str | None:
    """Why this version cannot use the database, as a sentence with the remedy; None when it can. Creates nothing."""
    url = db.engine.url
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return f"There is no database file {url.database}. Create it with `course-management migrate`."
    try:
        return schema_state().problem
    except SQLAlchemyError as error:
        return why(error) or f"The database cannot be read ({kind_of(error)})."


def _callers(settings: Settings) -> Iterator[Finding]:
    if settings.oidc_issuer:
        from .access.issuer_keys import KeySet  # noqa: PLC0415 - as in the gate

        if problem := KeySet(settings.oidc_jwks_url).problem():
            yield Finding(f"OIDC_JWKS_URL has no keys to check tokens with ({problem}): people are not let in.")
        return
    try:
        if keys.exist():
            if not keys.any_live():
                yield Finding("Every key is revoked or has expired, and OIDC_ISSUER is not set: nobody is let in.")
            return
    except SQLAlchemyError:
        return  # said of the database below; until it answers, nobody is let in
    if not network_addresses.accepts_other_machines(settings.host, settings.port):
        yield Finding(
            "No authentication is configured, so only programs on this machine are served, and all of them (protected "
            "mode). Create a key with `course-management keys create`, or set OIDC_ISSUER."
        )
    else:
        yield Finding(
            f"HOST={settings.host} opens the service to other machines, but no authentication is configured. Create a "
            "key with `course-management keys create` or set OIDC_ISSUER, or leave HOST at 127.0.0.1.",
            dangerous=True,
        )


def _network(settings: Settings) -> Iterator[Finding]:
    try:
        network_addresses.resolve(settings.host, settings.port)
    except ValueError as error:
        yield Finding(str(error), dangerous=True)
    if network_addresses.accepts_other_machines(settings.host, settings.port):
        yield Finding(
            f"HOST={settings.host} takes connections from other machines, and this server speaks no TLS: keys and "
            "tokens can be read on the way. Leave HOST at 127.0.0.1 behind a proxy that does, or keep that network "
            "private."
        )
    url = settings.database_url
    host = str(url.host or url.query.get("host") or "")
    local = not host or host.startswith("/") or network_addresses.is_this_machine(host)
    if url.get_backend_name() == "postgresql" and not local and url.query.get("sslmode") not in ENCRYPTED:
        yield Finding(
            "DATABASE_URL names another machine without sslmode=verify-full: its traffic can be read and changed."
        )


def _database(settings: Settings) -> Iterator[Finding]:
    if problem := not_ready():
        # A newer schema may mean something else by the same columns; what is missing is only missing.
        yield Finding(problem, dangerous=problem.startswith(NEWER))
    if settings.database_url.get_backend_name() == "sqlite":
        file = Path(str(settings.database_url.database))
        kind = _filesystem(file)
        if kind in NETWORK_FILESYSTEMS:
            yield Finding(
                f"The SQLite file lies on a network ({kind}), where its locks do not hold and it can be destroyed. Use "
                "a local disk, or PostgreSQL for several machines.",
                dangerous=True,
            )
        yield from _readable(file, "The database")


def _process(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    yield from map(Finding, Settings.misspelled())
    if environ.get("FLASK_DEBUG", "0").lower() not in {"", "0", "false", "no"}:
        yield Finding("FLASK_DEBUG is set: errors would show the inside of the program. Remove it.", dangerous=True)
    if settings.log_level == "debug":
        yield Finding("LOG_LEVEL=debug writes much, and helps nobody in production: use info.")
    yield from _readable(ENV_FILE, "The file .env, with the settings,")


def _readable(file: Path, what: str) -> Iterator[Finding]:
    if file.exists() and file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        yield Finding(f"{what} can be read by every user of this machine: `chmod o-rwx {file.name}`.")


def _filesystem(file: Path) -> str:
    """The kind of filesystem a file lies on, as Linux names it; empty where that cannot be known."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    holding = [mount for mount in mounts if file.is_relative_to(mount[1].replace("\\040", " "))]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else ""
