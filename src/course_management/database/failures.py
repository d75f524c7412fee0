"""Errors of the database: which kind they are, and what an operator can do about them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from .base import db

TRY_AGAIN = {"40001", "40P01", "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_RECOVERY"}
"""Errors after which the same transaction can succeed a moment later: serialization failure, deadlock, busy."""
UNAVAILABLE = re.compile(r"^(08|53|57|58)|^55P03$|^25006$|^40001$|^40P01$|^XX00[12]$")
"""SQLSTATEs of a PostgreSQL server that cannot serve now: connection, resources, operator intervention, system error,
lock, read-only, damaged data."""
SQLITE_UNAVAILABLE = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_INTERRUPT",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
)
SECRETS = ("password", "sslpassword")
"""Parameters of DATABASE_URL, besides its password, that are never shown."""
REMEDIES = {
    ("53100", "SQLITE_FULL"): "The disk of the database is full. Free some space.",
    (
        "25006",
        "SQLITE_READONLY",
    ): "The database is read-only. Set DATABASE_URL to the primary server, or to a writable file.",
    ("53300",): "The database server has no connection left. Raise its max_connections, or lower WORKERS or THREADS.",
    ("42501", "SQLITE_PERM", "SQLITE_AUTH"): "The database role lacks a permission. Make it the owner of the database.",
    (
        "55P03",
        "SQLITE_BUSY",
        "SQLITE_LOCKED",
    ): "Another session has held a lock for too long. Try again, or end that session.",
    (
        "SQLITE_NOTADB",
        "SQLITE_CORRUPT",
        "XX001",
        "XX002",
    ): "The database is damaged or not a database. Restore a backup.",
}
"""By SQLSTATE or SQLite's symbol: what happened and what to do."""


_SHARD = re.compile(r"_\d{6,}$")
"""The number of a shard of Citus at the end of a name; they begin at 102008."""


class Unavailable(SQLAlchemyError):
    """The service itself has found that it cannot use the database; the message says what to do."""


class UnusableDatabase(Unavailable):
    """The service cannot work with the configuration of the database or its role."""


class FileReplaced(Unavailable):
    """The SQLite file of DATABASE_URL is not the one that this process has open."""

    def __init__(self) -> None:
        super().__init__(
            "The SQLite file, or its -wal or -shm file, was replaced or removed while the service was running. Stop "
            "the service, restore the database as docs/backup.md says, and start the service again."
        )


class WritesStopped(Unavailable):
    """A write was cut off a moment ago, so this one was not begun."""

    def __init__(self) -> None:
        super().__init__("The database cannot complete changes at the moment. Reading may be possible.")


class Raced(Exception):
    """Another transaction changed what this one had read; this one is rolled back and tried again."""


def kind_of(error: BaseException) -> str:
    """Return the SQLSTATE or SQLite's symbol of an error, else the name of its class; never its text."""
    original = getattr(error, "orig", None) or error
    return str(
        getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None) or type(original).__name__
    )


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Return whether the database could not serve (HTTP 503), as opposed to an error in this code."""
    if isinstance(error, PoolTimeout | Unavailable):
        return True
    original: Any = getattr(error, "orig", None)
    if name := getattr(original, "sqlite_errorname", None):
        return str(name).startswith(SQLITE_UNAVAILABLE)
    if not isinstance(error, OperationalError | InterfaceError | InternalError):
        return False
    sqlstate = getattr(original, "sqlstate", None)
    # Errors of psycopg without a SQLSTATE concern the connection: refused, closed, name not resolved.
    return error.connection_invalidated or sqlstate is None or bool(UNAVAILABLE.match(sqlstate))


def is_missing(error: SQLAlchemyError) -> bool:
    """Return whether the statement names a table, column or function that the database does not have."""
    original = getattr(error, "orig", None)
    if sqlstate := getattr(original, "sqlstate", None):
        return sqlstate in {"42P01", "42703", "42883"}
    return bool(re.match(r"no such (table|column|function)|table \S+ has no column", str(original)))


def operator_advice(error: SQLAlchemyError) -> str | None:
    """Return what happened and what an operator can do, in a sentence; None for an error in this code."""
    original = getattr(error, "orig", None)
    if isinstance(error, Unavailable):
        return str(error)
    if is_missing(error) and "alembic_version" in str(original):
        return "The database was never migrated: run `course-management migrate`."
    if sentence := remedy(kind_of(error)):
        return sentence
    if is_unavailable(error):
        return (
            f"The database cannot be reached ({failure_text(error, db.engine.url)}). Check DATABASE_URL and the server."
        )
    return None


def remedy(kind: str) -> str | None:
    """Return what happened and what to do for an error of this `kind_of`; None for other kinds."""
    for kinds, sentence in REMEDIES.items():
        if kind.startswith(kinds):  # SQLite appends details, as in SQLITE_READONLY_DBMOVED
            return f"{sentence} ({kind})"
    return None


def failure_text(error: SQLAlchemyError, url: URL) -> str:
    """Return the driver's message about a failed connection, in one line and without the secrets of the URL.

    It is for operators, since it may name hosts and users. For a failed statement, only the kind of error is returned:
    the message may contain a client's data.
    """
    original = getattr(error, "orig", None)
    if original is None or getattr(original, "sqlstate", None) or getattr(error, "statement", None) is not None:
        return kind_of(error)
    text = " ".join(str(original).split())
    for secret in filter(None, map(str, [url.password or "", *(url.query.get(name, "") for name in SECRETS)])):
        for spelling in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(spelling, "***")
    return text or kind_of(error)


def broken_constraint(error: IntegrityError) -> str:
    """Return the name of the violated constraint as in the models, "" when the database gives none.

    For a unique constraint, SQLite gives the columns, from which the naming convention makes the name. Citus appends
    the number of a shard; its coordinator leaves `constraint_name` empty and has the name in its message.
    """
    original: Any = error.orig
    named = getattr(getattr(original, "diag", None), "constraint_name", None)
    if named:
        return _SHARD.sub("", str(named))
    message = str(original)
    if match := re.match(r"UNIQUE constraint failed: (\w+)\.\w+", message):
        return "_".join(["uq", match[1], *re.findall(r"\.(\w+)", message)])
    patterns = (r"CHECK constraint failed: (\w+)", r'constraint "(\w+?)(?:_\d+)?"', r"^(\w+): ")
    return next((match[1] for pattern in patterns if (match := re.search(pattern, message))), "")
