"""What a session on PostgreSQL must be like, whatever the server, the database, the role or the environment say.

A setting stands here when a statement, the driver or a promise of the service depends on it (docs/postgresql.md has the
list with the reasons). It is given with the start of the session, so that RESET and DISCARD ALL lead back to it.
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
    # The statements are written for it: PostgreSQL looks at a row again once it has its lock.
    "default_transaction_isolation": "read committed",
    "exit_on_error": "off",  # else a constraint that refuses would end the session
    "default_table_access_method": "heap",  # migrations; others have no foreign keys, or no updates
}
"""Settings that any role may change on any version, as `current_setting` spells them."""
AT_CONNECT = {
    "session_replication_role": "origin",  # with `replica`, no trigger counts seats or writes the ledger
    "idle_session_timeout": "0",  # of PostgreSQL 14: the pool keeps idle connections
    "transaction_timeout": "0",  # of 17: the limits of the service are enough, and `verify` takes long
}
"""Settings that not every role may change, or that not every version has: they are looked at first."""
FAST = {
    # All statements find a few rows by keys: one plan does for all values, and the rows are in memory.
    "plan_cache_mode": "force_generic_plan",
    "random_page_cost": "1.1",
    "jit": "off",
}
DURABLE = {"synchronous_commit": "on"}
"""Nothing acknowledged is lost. The only one that `options` of DATABASE_URL can change, as to remote_apply."""

_DIFFERING = """
    SELECT wanted.name, wanted.value, current_setting(wanted.name, true) AS found
    FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)
    WHERE current_setting(wanted.name, true) <> wanted.value
"""


def postgresql_arguments(settings: Settings) -> dict[str, Any]:
    """What a connection of the service is opened with: settings and time limits."""
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
        "prepare_threshold": None,  # `postgresql.execute` prepares; psycopg would throw its statements away as well
        "connect_timeout": 2,  # seconds, for each host; libpq knows no less. See `connecting` for the whole.
        "tcp_user_timeout": settings.database_deadline_ms,
    }


def migration_arguments(url: URL) -> dict[str, Any]:
    """What a migration's connection is opened with: it may take as long as it takes, whatever the role says."""
    no_limits = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    return _arguments(url, dict.fromkeys(no_limits, 0))


def _arguments(url: URL, more: Mapping[str, Any]) -> dict[str, Any]:
    ours = _options({**EXACT, **more})
    return {
        "client_encoding": ENCODING,  # beside the option: libpq sends what PGCLIENTENCODING says otherwise
        "application_name": "course-management",
        "options": " ".join(filter(None, [_options(DURABLE), str(url.query.get("options", "")), ours])),
    }


def _options(settings: Mapping[str, Any]) -> str:
    escaped = {name: str(value).replace(" ", r"\ ") for name, value in settings.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


def settle(connection: psycopg.Connection[Any]) -> None:
    """Make sure that a new session is as it must be. Raises `UnusableDatabase` when it cannot be made so.

    A difference is rare: PGTZ or PGDATESTYLE in the environment, a pooler that drops `options`, a role for which a
    superuser has set something.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != ENCODING:
        raise UnusableDatabase(
            f"The encoding of the database is {encoding}, but must be {ENCODING}. Create another one with ENCODING "
            "'UTF8' TEMPLATE template0, and move the data there."
        )
    wanted = {**EXACT, **AT_CONNECT}
    for name, value, found in connection.execute(_DIFFERING, [list(wanted), list(wanted.values())]).fetchall():
        try:
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        except psycopg.errors.InsufficientPrivilege:
            raise UnusableDatabase(
                f"The session setting {name} is {found}, but must be {value}, and the role of DATABASE_URL may not "
                f"change it. Remove it from the role and the database: ALTER ROLE ... RESET {name}, ALTER DATABASE ... "
                f"RESET {name}."
            ) from None
