"""Settings of every session on PostgreSQL, whatever the server, the database, the role or the environment set.

A setting is here if a statement, the driver or a guarantee of the service depends on it (docs/postgresql.md has the
list with the reasons). It is sent with the start of the session, so that RESET and DISCARD ALL restore it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from ..config import Settings
from .failures import UnusableDatabase

ENCODING = "UTF8"
EXACT = {
    "client_encoding": ENCODING,
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    # The statements need it: PostgreSQL evaluates a row again once it has its lock.
    "default_transaction_isolation": "read committed",
    "exit_on_error": "off",  # else a violated constraint would end the session
    "default_table_access_method": "heap",  # for migrations; others lack foreign keys or updates
}
"""Settings that any role may change in any version, as `current_setting` spells them."""
AT_CONNECT = {
    "session_replication_role": "origin",  # with `replica`, no trigger counts seats or writes the ledger
    "idle_session_timeout": "0",  # of PostgreSQL 14: the pool keeps idle connections
    "transaction_timeout": "0",  # of PostgreSQL 17: the service has its own limits, and `verify` takes long
}
"""Settings that some roles may not change or some versions lack: changed only where they differ."""
FAST = {
    # All statements find a few rows by keys: one plan suits all values, and the rows are in memory. Not on Citus, see
    # `_DIFFERING`.
    "plan_cache_mode": "force_generic_plan",
    "random_page_cost": "1.1",
    "jit": "off",
}
DURABLE = {"synchronous_commit": "on"}
"""Nothing acknowledged is lost. Only this setting can be changed by `options` of DATABASE_URL, as to remote_apply."""

_DIFFERING = """
    SELECT wanted.name, wanted.value, current_setting(wanted.name, true) AS found
    FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)
    WHERE current_setting(wanted.name, true) <> wanted.value
    UNION ALL -- Citus can send a statement with its values to a worker, and no generic plan
    SELECT 'plan_cache_mode', 'auto', current_setting('plan_cache_mode') FROM pg_extension WHERE extname = 'citus'
"""


def service_arguments(settings: Settings) -> dict[str, Any]:
    """Return the arguments with which the service opens connections: settings and time limits."""
    return {
        **_arguments(
            settings.database_url,
            {
                **FAST,
                "lock_timeout": settings.database_lock_timeout_ms,
                "statement_timeout": settings.database_statement_timeout_ms,
                "idle_in_transaction_session_timeout": settings.database_idle_in_transaction_timeout_ms,
            },
        ),
        "autocommit": True,
        "prepare_threshold": None,  # `execute` prepares; psycopg's rollback would DEALLOCATE those statements too
        "connect_timeout": 2,  # seconds per host, libpq's minimum; see `postgresql.Connector`
        "tcp_user_timeout": settings.database_deadline_ms,
    }


def migration_arguments(url: URL) -> dict[str, Any]:
    """Return the arguments with which migrations open connections: without time limits, whatever the role has."""
    no_limits = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    return _arguments(url, dict.fromkeys(no_limits, 0))


def _arguments(url: URL, more: Mapping[str, Any]) -> dict[str, Any]:
    required = _options({**EXACT, **more})
    return {
        "client_encoding": ENCODING,  # in addition to the option, because libpq would send PGCLIENTENCODING
        "application_name": "course-management",
        "options": " ".join(filter(None, [_options(DURABLE), str(url.query.get("options", "")), required])),
    }


def _options(settings: Mapping[str, Any]) -> str:
    escaped = {name: str(value).replace(" ", r"\ ") for name, value in settings.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


def set_up(connection: psycopg.Connection[Any]) -> None:
    """Correct the settings of a new session. Raises `UnusableDatabase` where they cannot be changed.

    A difference is rare: PGTZ or PGDATESTYLE in the environment, a pooler that drops `options`, a role with settings of
    a superuser.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != ENCODING:
        raise UnusableDatabase(
            f"The encoding of the database is {encoding}, but must be {ENCODING}. Create another database with "
            "ENCODING 'UTF8' TEMPLATE template0, and move the data there."
        )
    wanted = {**EXACT, **AT_CONNECT}
    for name, value, present in connection.execute(_DIFFERING, [list(wanted), list(wanted.values())]).fetchall():
        try:
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        except psycopg.errors.InsufficientPrivilege:
            raise UnusableDatabase(
                f"The session setting {name} is {present}, but must be {value}, and the role of DATABASE_URL may not "
                f"change it. Remove it from the role and the database: ALTER ROLE ... RESET {name}, ALTER DATABASE ... "
                f"RESET {name}."
            ) from None
