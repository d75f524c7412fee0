"""The one database: its base class, the rules of each connection, and the rule of trying again.

Three ways to the data, and no other: `autocommit` runs one statement that is its own transaction (every read,
and the enroll); `transaction` holds several together; `db.session` is there for shells and tests.
"""

from __future__ import annotations

import functools
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeAlias, TypeVar

import structlog
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, Executable, MetaData, Row, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase

from .config import Settings

P = ParamSpec("P")
T = TypeVar("T")
AnyRow: TypeAlias = Row[*tuple[Any, ...]]

SCHEMA_REVISION = "0001"
"""The migration this code is written for; `/readyz` and a test compare it with the database and with Alembic."""

MAX_RETRIES = 5
TRY_AGAIN = {"40001", "40P01", "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_RECOVERY"}
"""What the database says when the same transaction can succeed a moment later: serialization, deadlock, busy."""
UNAVAILABLE = re.compile(r"^(08|53|57|58)|^55P03$|^25006$|^40001$|^40P01$")
"""SQLSTATEs of a PostgreSQL that cannot serve now: connection, resources, intervention, system, lock, read-only."""

log = structlog.get_logger(__name__)


class Base(DeclarativeBase):
    """Base of the models. Every constraint has a name, because refusals are recognised by it."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


class Database(SQLAlchemy):
    """Flask-SQLAlchemy, except that half a second is half a second: its own way makes whole ones of `pool_timeout`."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:  # noqa: ARG002
        return create_engine(**options)


db = Database(model_class=Base)


class Raced(Exception):
    """Somebody else changed what this transaction had read; it is rolled back and tried again, whole."""


# --- connections ------------------------------------------------------------------------------------------


def engine_options(settings: Settings) -> dict[str, Any]:
    """What `create_engine` gets: a pool of one connection a thread, and the time limits of the database."""
    options: dict[str, Any] = {
        "hide_parameters": True,  # an error's text may reach a log, a student's name must not
        "pool_size": settings.threads,
        "max_overflow": 0,
        "pool_timeout": settings.database_pool_timeout_ms / 1000,
    }
    if settings.database_url.get_backend_name() == "postgresql":
        options["connect_args"] = postgresql_arguments(settings)
    return options


def postgresql_arguments(settings: Settings) -> dict[str, Any]:
    """Limits that come with the connection: a plain SET inside a transaction would be undone by its rollback."""
    url: URL = settings.database_url
    limits = {
        "timezone": "UTC",
        "lock_timeout": settings.database_lock_timeout_ms,
        "statement_timeout": settings.database_statement_timeout_ms,
        "idle_in_transaction_session_timeout": settings.database_idle_in_transaction_timeout_ms,
    }
    given = url.query.get("options", "")
    return {
        "application_name": "course-management",
        "connect_timeout": 2,  # seconds; libpq knows no less
        "tcp_user_timeout": settings.database_deadline_ms,
        "options": " ".join([str(given), *(f"-c {name}={value}" for name, value in limits.items())]).strip(),
    }


def install_rules(engine: Engine, busy_timeout_ms: int, *, foreign_keys: bool = True) -> None:
    """Make SQLite fit for this work: as it comes, it loses updates and ignores foreign keys, silently."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not start transactions behind our back
        for pragma in (
            f"busy_timeout={busy_timeout_ms}",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
            "recursive_triggers=ON",  # else INSERT OR REPLACE would slip by the triggers
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would act on what others have changed meanwhile.
        if not connection.get_execution_options().get("autocommit"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its engine, and a second face of the same pool on which a statement commits by itself."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    install_rules(engine, settings.database_lock_timeout_ms)
    app.extensions["autocommit"] = autocommit_engine(engine)
    app.extensions["database_deadline"] = settings.database_deadline_ms / 1000
    app.before_request(_start_deadline)
    app.teardown_request(_end_deadline)


def autocommit_engine(engine: Engine) -> Engine:
    """The same pool, seen so that each statement is its own transaction: no BEGIN, no ROLLBACK, no lock kept."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(autocommit=True)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


# --- trying again -----------------------------------------------------------------------------------------

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_retrying: ContextVar[bool] = ContextVar("retrying", default=False)


def _start_deadline() -> None:
    """Begin the time that one request has for all its work with the database."""
    _deadline.set(time.monotonic() + current_app.extensions["database_deadline"])


def _end_deadline(_: BaseException | None) -> None:
    _deadline.set(None)


def retried(*, repeatable: bool) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Run a function that is a whole transaction again when the database says that this helps; see `retry`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return retry(lambda: function(*args, **kwargs), repeatable=repeatable)

        return call

    return decorate


def retry(work: Callable[[], T], *, repeatable: bool) -> T:
    """Do `work`, a whole transaction; try again when the database says that trying again helps.

    Serialization failures, deadlocks, SQLite's busy and `Raced` are tried up to 5 times more, with jitter; a
    lost connection once, and only if `repeatable`, since it may have been lost after the commit. A try that would
    take as long as the one before must still fit before the deadline of the request; else the error goes on, and
    the door answers 503. Inside of another `retry`, the outer one does the trying again.
    """
    if _retrying.get():
        return work()
    deadline = _deadline.get() or time.monotonic() + current_app.extensions["database_deadline"]
    token = _retrying.set(True)
    lost = tries = 0
    try:
        while True:
            started = time.monotonic()
            try:
                return work()
            except (DBAPIError, Raced) as error:
                tries += 1
                pause = random.uniform(0, 0.005 * 2**tries)  # noqa: S311 - jitter, no secret
                if isinstance(error, DBAPIError) and error.connection_invalidated:
                    lost += 1
                    helps = repeatable and lost == 1
                else:
                    helps = isinstance(error, Raced) or kind_of(error) in TRY_AGAIN
                now = time.monotonic()
                if not helps or tries > MAX_RETRIES or now + pause + (now - started) > deadline:
                    raise
                log.debug("database.retry", kind=kind_of(error), tries=tries)
                time.sleep(pause)
    finally:
        _retrying.reset(token)


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
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, OperationalError | InterfaceError | InternalError):
        return False
    original: Any = error.orig
    if name := getattr(original, "sqlite_errorname", None):
        return str(name).startswith(
            (
                "SQLITE_BUSY",
                "SQLITE_LOCKED",
                "SQLITE_FULL",
                "SQLITE_IOERR",
                "SQLITE_CANTOPEN",
                "SQLITE_READONLY",
            )
        )
    sqlstate = getattr(original, "sqlstate", None)
    # Without a SQLSTATE, psycopg speaks of the connection itself: refused, closed, not resolved.
    return error.connection_invalidated or sqlstate is None or bool(UNAVAILABLE.match(sqlstate))


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
    if match := re.match(r"UNIQUE constraint failed: (\w+)\.(\w+)$", message):
        return f"uq_{match[1]}_{match[2]}"
    patterns = (r"CHECK constraint failed: (\w+)", r'constraint "(\w+?)(?:_\d+)?"', r"^(\w+): ")
    return next((match[1] for pattern in patterns if (match := re.search(pattern, message))), "")


# --- running statements -----------------------------------------------------------------------------------


def autocommit(
    statement: Executable, parameters: Mapping[str, Any] | None = None, *, repeatable: bool = True
) -> Sequence[AnyRow]:
    """Run one statement as its own transaction; all its rows."""
    engine: Engine = current_app.extensions["autocommit"]

    def work() -> Sequence[AnyRow]:
        with engine.connect() as connection:
            return connection.execute(statement, parameters or {}).all()

    return retry(work, repeatable=repeatable)


def schema_revision() -> str | None:
    """The migration the database is at; None when it was never migrated to one."""
    rows = autocommit(text("SELECT version_num FROM alembic_version"))
    return rows[0][0] if len(rows) == 1 else None


@contextmanager
def transaction() -> Iterator[Connection]:
    """Several statements, applied whole at the end of the block or, on any exception, not at all."""
    with db.engine.begin() as connection:
        yield connection
