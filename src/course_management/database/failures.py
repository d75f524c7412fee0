"""What the database says when it does not do as told, and what that means."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from .base import db
from .remedies import remedy

TRY_AGAIN = {"40001", "40P01", "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_RECOVERY"}
"""What the database says when the same transaction can succeed a moment later: serialization, deadlock, busy."""
UNAVAILABLE = re.compile(r"^(08|53|57|58)|^55P03$|^25006$|^40001$|^40P01$|^XX00[12]$")
"""SQLSTATEs of a PostgreSQL that cannot serve now: connection, resources, intervention, system, lock, read-only, and
damaged data."""
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
"""Parameters of DATABASE_URL, besides its password, that are shown to nobody."""


class Unavailable(SQLAlchemyError):
    """The database cannot serve, as the service itself found out; the message says what to do about it."""


class UnusableDatabase(Unavailable):
    """The database or its role is configured in a way that the service cannot work with."""


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
    """Somebody else changed what this transaction had read; it is rolled back and tried again, whole."""


def kind_of(error: BaseException) -> str:
    """The database's own short name for an error: a SQLSTATE, or SQLite's symbol. Never its text."""
    original = getattr(error, "orig", None)
    return str(
        getattr(original, "sqlstate", None)
        or getattr(original, "sqlite_errorname", None)
        or type(original or error).__name__
    )


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Whether the database could not serve (so that 503 is the truth), as opposed to a mistake of ours."""
    if isinstance(error, PoolTimeout | Unavailable):
        return True
    original: Any = getattr(error, "orig", None)
    if name := getattr(original, "sqlite_errorname", None):
        return str(name).startswith(SQLITE_UNAVAILABLE)
    if not isinstance(error, OperationalError | InterfaceError | InternalError):
        return False
    sqlstate = getattr(original, "sqlstate", None)
    # Without a SQLSTATE, psycopg speaks of the connection itself: refused, closed, not resolved.
    return error.connection_invalidated or sqlstate is None or bool(UNAVAILABLE.match(sqlstate))


def is_missing(error: SQLAlchemyError) -> bool:
    """Return whether the statement names a table, column or function that the database does not have."""
    original = getattr(error, "orig", None)
    if sqlstate := getattr(original, "sqlstate", None):
        return sqlstate in {"42P01", "42703", "42883"}
    return bool(re.match(r"no such (table|column|function)|table \S+ has no column", str(original)))


def why(error: SQLAlchemyError) -> str | None:
    """What an operator can do about it, as a sentence; None for a mistake of ours."""
    original = getattr(error, "orig", None)
    if isinstance(error, Unavailable):
        return str(error)
    if is_missing(error) and "alembic_version" in str(original):
        return "The database was never migrated: run `course-management migrate`."
    if sentence := remedy(kind_of(error)):
        return sentence
    if is_unavailable(error):
        said = reason(error, db.engine.url)
        return f"The database does not answer, or does not let us in ({said}): see DATABASE_URL."
    return None


def reason(error: SQLAlchemyError, url: URL) -> str:
    """Return what the driver says about a connection that failed, in one line and without a secret of the URL.

    It is for operators, since it may name hosts and users. Of a statement that failed, only the kind of error is
    returned: its text may contain what a client sent.
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
    """The name of the constraint that refused, as the models call it ("" when the database gives none).

    SQLite names the columns of a unique constraint instead; the naming convention leads back to the name.
    Citus leaves `constraint_name` empty and writes `<name>_<number>` into the message.
    """
    original: Any = error.orig
    named = getattr(getattr(original, "diag", None), "constraint_name", None)
    if named:
        return str(named)
    message = str(original)
    if match := re.match(r"UNIQUE constraint failed: (\w+)\.\w+", message):
        return "_".join(["uq", match[1], *re.findall(r"\.(\w+)", message)])
    patterns = (r"CHECK constraint failed: (\w+)", r'constraint "(\w+?)(?:_\d+)?"', r"^(\w+): ")
    return next((match[1] for pattern in patterns if (match := re.search(pattern, message))), "")
