"""Checks for unsafe settings; each finding is a sentence that says what to do. See `course-management check`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Select, column, exists, func, select, table
from sqlalchemy.exc import SQLAlchemyError

from .. import network_addresses
from ..access import keys
from ..config import Settings
from ..database import SCHEMA_REVISION, autocommit, db, kind_of, operator_advice, schema_state, sequences, snapshot
from ..database.migrations import NEWER
from ..database_urls import PRIMARY, hosts_of
from ..environment import ENV_FILE
from . import trigger_state

NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "fuse.sshfs", "afs"}
ENCRYPTED = {"require", "verify-ca", "verify-full"}
_REPLICATION: Select[Any] = select(
    func.current_setting("synchronous_commit").label("commit"),
    func.current_setting("synchronous_standby_names").label("standbys"),
    # Patroni sets it when it starts the server, and manages the standbys itself.
    select(column("source") == "command line")
    .select_from(table("pg_settings"))
    .where(column("name") == "cluster_name")
    .scalar_subquery()
    .label("has_manager"),
    func.pg_is_in_recovery().label("is_standby"),
    # Every role sees that there are rows, if not what they say.
    exists().select_from(table("pg_stat_replication")).label("has_standby"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unsafe. `serve` refuses to start with a dangerous one."""

    sentence: str
    dangerous: bool = False


def find(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Find everything that is unsafe, dangerous findings first, in an application context."""
    findings = [
        *_callers(settings),
        *_network(settings),
        *_database(settings),
        *_triggers(),
        *_process(settings, environ),
    ]
    return sorted(findings, key=lambda finding: not finding.dangerous)


def not_ready() -> str | None:
    """Return why this version cannot use the database and what to do; None if it can. Creates nothing."""
    url = db.engine.url
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return f"There is no database file {url.database}. Create it with `course-management migrate`."
    try:
        return schema_state().problem
    except SQLAlchemyError as error:
        return operator_advice(error) or f"The database cannot be read ({kind_of(error)})."


def _callers(settings: Settings) -> Iterator[Finding]:
    if settings.oidc_issuer:
        from ..access.issuer_keys import KeySet  # noqa: PLC0415 - only where tokens are used

        if problem := KeySet(settings.oidc_jwks_url).problem():
            yield Finding(
                f"OIDC_JWKS_URL has no keys to check tokens with ({problem}), so requests with tokens are refused."
            )
        return
    try:
        if keys.any_exist():
            if not keys.any_active():
                yield Finding(
                    "All keys are revoked or expired, and OIDC_ISSUER is not set, so every request is refused. Create "
                    "a key with `course-management keys create`."
                )
            return
    except SQLAlchemyError:
        return  # reported by `_database`; until the database is available, every request is refused
    if not network_addresses.accepts_other_machines(settings.host, settings.port):
        yield Finding(
            "No authentication is configured, so all programs on this machine, and no others, have access (protected "
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
            f"HOST={settings.host} accepts connections from other machines without TLS, so keys and tokens can be read "
            "in transit. Leave HOST at 127.0.0.1 behind a proxy with TLS, or keep that network private."
        )
    url = settings.database_url
    is_remote = not all(map(_is_local, hosts_of(url)))
    if url.get_backend_name() == "postgresql" and is_remote and url.query.get("sslmode") not in ENCRYPTED:
        yield Finding(
            "DATABASE_URL names another machine without sslmode=verify-full, so its traffic can be read and changed."
        )


def _database(settings: Settings) -> Iterator[Finding]:
    if problem := not_ready():
        # The columns of a newer schema may have another meaning; a missing or old one is only unusable.
        yield Finding(problem, dangerous=problem.startswith(NEWER))
    if settings.database_url.get_backend_name() == "sqlite":
        file = Path(str(settings.database_url.database))
        kind = _filesystem(file)
        if kind in NETWORK_FILESYSTEMS:
            yield Finding(
                f"The SQLite file is on a network filesystem ({kind}), where locks do not work and it can be damaged. "
                "Use a local disk, or PostgreSQL for several machines.",
                dangerous=True,
            )
        yield from _readable(file, "The database")
    else:
        yield from _replication(len(hosts_of(settings.database_url)) > 1, settings)


def _replication(has_several_hosts: bool, settings: Settings) -> Iterator[Finding]:
    if has_several_hosts and settings.database_url.query.get("target_session_attrs") not in PRIMARY:
        yield Finding(
            "DATABASE_URL names several hosts without target_session_attrs=read-write, so the service may use a "
            "standby, where every change gets 503. Add that parameter."
        )
    try:
        [replication] = autocommit(_REPLICATION)
    except SQLAlchemyError:
        return  # reported by `_database`
    if replication.is_standby:
        yield Finding(
            "DATABASE_URL leads to a standby, where every change gets 503. Name the primary, or all hosts and "
            "target_session_attrs=read-write."
        )
        return
    if replication.commit in {"off", "local"}:
        yield Finding(
            f"synchronous_commit is {replication.commit}, so acknowledged changes can be lost when the database server "
            "crashes or a standby is promoted. Remove it from the options of DATABASE_URL, or set it to on."
        )
    if replication.standbys and not replication.has_manager:
        yield Finding(
            "synchronous_standby_names is set by hand on the database server: while such a standby is lost, every "
            "change gets 503. Let Patroni manage it (synchronous_mode), see docs/availability.md."
        )
    elif not (has_several_hosts or replication.has_manager):
        return  # a server alone
    elif not replication.has_standby:
        yield Finding(
            "No standby is connected to the database server, so its loss would lose acknowledged changes. Start or "
            "replace the standby, see docs/cluster.md."
        )
    elif not replication.standbys:
        yield Finding(
            "The standby of the database server is connected but confirms no changes, so acknowledged changes can be "
            "lost in a failover. Wait until it has caught up, or set synchronous_mode of Patroni, see docs/cluster.md."
        )


def _is_local(host: str) -> bool:
    return not host or host.startswith("/") or network_addresses.is_this_machine(host)


def _triggers() -> Iterator[Finding]:
    """Yield a finding where a restore of the data alone has left triggers disabled; a newer schema may have others."""
    try:
        if schema_state().revision != SCHEMA_REVISION:
            return
        with snapshot() as connection:
            flaws = trigger_state.flaws(connection)
    except SQLAlchemyError:
        return  # reported by `_database`
    if flaws:
        yield Finding(
            f"Triggers of the database do not run ({', '.join(map(str, flaws))}), so courses can be oversold and the "
            "ledger has gaps. Run `course-management repair triggers`, then `course-management verify`.",
            dangerous=True,
        )


def find_in_data() -> list[Finding]:
    """Find what makes requests fail because of how rows were inserted. Reads more than `find`, so not at each start."""
    with snapshot() as connection:
        tables = [sequence.table for sequence in sequences.behind(connection)]
    if not tables:
        return []
    return [
        Finding(
            f"Rows were inserted with explicit ids ({', '.join(tables)}), so requests that need a new id get 503. Run "
            "`course-management repair sequences`."
        )
    ]


def _process(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    yield from map(Finding, Settings.misspelled())
    if environ.get("FLASK_DEBUG", "0").lower() not in {"", "0", "false", "no"}:
        yield Finding("FLASK_DEBUG is set, so errors would show source code. Remove it.", dangerous=True)
    if settings.log_level == "debug":
        yield Finding("LOG_LEVEL=debug writes many lines. Use info in production.")
    yield from _readable(ENV_FILE, "The file .env, with the settings,")


def _readable(file: Path, what: str) -> Iterator[Finding]:
    if file.exists() and file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        yield Finding(f"{what} is accessible to every user of this machine. Run `chmod o-rwx {file.name}`.")


def _filesystem(file: Path) -> str:
    """Return the filesystem type of a file as Linux names it, empty if it is unknown."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    holding = [mount for mount in mounts if file.is_relative_to(mount[1].replace("\\040", " "))]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else ""
