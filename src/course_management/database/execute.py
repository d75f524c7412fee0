"""Execute statements: one as its own transaction, or several in one; try again after errors that do not last.

A constant statement is compiled once and goes to the driver directly; on PostgreSQL as a prepared statement of libpq,
because psycopg's cursor (which never blocks, counts what is worth preparing and guesses types from values) is half of a
statement's cost (docs/decisions/0009-constant-statements-go-to-the-driver.md).
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from typing import Any, ParamSpec, TypeVar

import psycopg
import structlog
from greenlet import getcurrent
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import (
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InvalidSqlStatementName,
    ReadOnlySqlTransaction,
    error_from_result,
)
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, Engine, Executable, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..context import RequestContext, current, use
from . import groups
from .base import db
from .compile import AnyRow, Compiled, compile_statement
from .failures import TRY_AGAIN, Raced, kind_of
from .groups import Call, Member
from .write_breaker import Guard

P = ParamSpec("P")
T = TypeVar("T")

MAX_RETRIES = 5
USELESS_SESSION = (InvalidSqlStatementName, FeatureNotSupported, ReadOnlySqlTransaction)
"""Errors of a session that has lost a prepared statement, after a migration changed its result, or on a standby.

They are raised before anything is done, and a new connection fixes them (if another server is the primary).
"""

log = structlog.get_logger(__name__)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the database work of the block: longer work fails as it does in a request."""
    with use(replace(current.get() or RequestContext(), deadline=time.monotonic() + seconds)):
        yield


def refuse_late_work() -> None:
    """Raise SQLAlchemy's `TimeoutError` after the deadline of the context: no database work begins then."""
    context = current.get()
    if context and context.deadline is not None and time.monotonic() >= context.deadline:
        raise PoolTimeout("the deadline of the request is over")


def retried(*, repeatable: bool) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function that is a whole transaction, so that it is tried again; see `retry`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return retry(lambda: function(*args, **kwargs), repeatable=repeatable)

        return call

    return decorate


def retry(work: Callable[[], T], *, repeatable: bool) -> T:
    """Do `work`, a whole transaction; try again after errors that do not last.

    After a serialization failure, deadlock, SQLITE_BUSY or `Raced`, try up to 5 times more, with jitter; after a lost
    connection once, and only if `repeatable` or nothing was done, since it may have been lost after the commit. There
    must be time for another try as long as the last one before the deadline of the context; otherwise the error is
    raised, which becomes HTTP 503. Inside another `retry`, only the outer one tries again.
    """
    context = current.get()
    if context is None:
        with use(RequestContext()):
            return retry(work, repeatable=repeatable)
    if context.is_retrying:
        return work()
    end = context.deadline
    if end is None:  # a command or a script
        end = time.monotonic() + db.engine.get_execution_options()["deadline_s"]
    context.is_retrying = True
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
                    helps = lost == 1 and (repeatable or isinstance(error.orig, USELESS_SESSION))
                else:
                    helps = isinstance(error, Raced) or kind_of(error) in TRY_AGAIN
                now = time.monotonic()
                if not helps or tries > MAX_RETRIES or now + pause + (now - started) > end:
                    raise
                log.debug("database.retry", kind=kind_of(error), tries=tries)
                groups.pause(pause)
    finally:
        context.is_retrying = False


def autocommit(
    statement: Executable, parameters: Mapping[str, Any] | None = None, *, repeatable: bool = True
) -> Sequence[AnyRow]:
    """Execute one constant statement as its own transaction, and return all its rows.

    It is tried again as `retry` does, after a lost connection only if `repeatable`. Raises SQLAlchemy's errors.
    """
    engine = db.engine
    compiled = compile_statement(statement, engine.dialect.name, tuple(parameters or ()))
    values = _values(compiled, parameters or {})

    def work() -> Sequence[AnyRow]:
        refuse_late_work()
        running = getcurrent()
        if isinstance(running, Member) and not running.is_alone and not compiled.at_once:
            course_ids = (parameters or {}).get(compiled.travels or "", [0])
            return _execute_in_group(running, engine, compiled, values, course_ids)
        return execute_once(engine, compiled, values)

    return retry(work, repeatable=repeatable)


def _execute_in_group(
    running: Member, engine: Engine, compiled: Compiled, values: list[Any], course_ids: Sequence[int]
) -> Sequence[AnyRow]:
    """Execute a statement of a request that is a member of a group: in a wave if it may travel, else alone."""
    if compiled.travels is not None and len(course_ids) == 1:
        return groups.execute(running, Call(engine, compiled, values, course_ids[0]))
    with groups.alone():
        return execute_once(engine, compiled, values)


def execute_once(engine: Engine, compiled: Compiled, values: Sequence[Any]) -> Sequence[AnyRow]:
    """Execute a compiled statement as its own transaction, and return its rows. Raises SQLAlchemy's errors."""
    connection = None
    try:
        connection = engine.raw_connection()
        guard: Guard | None = connection.info.get("guard") if compiled.writes else None
        if guard:
            guard.begin_to_write()
        rows = send(connection, compiled, values)
        if guard and rows:
            guard.has_written = True
        return rows  # noqa: TRY300 - an `else` would be further away
    except engine.dialect.loaded_dbapi.Error as error:
        raise translated(error, engine, connection, compiled.text) from error
    finally:
        if connection is not None:
            connection.close()


def run(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[AnyRow]:
    """Execute one constant statement in the transaction of `connection`, and return all its rows."""
    compiled = compile_statement(statement, connection.dialect.name, tuple(parameters))
    try:
        return send(connection.connection, compiled, _values(compiled, parameters))
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error, connection.engine, connection.connection, compiled.text) from error


def _values(compiled: Compiled, parameters: Mapping[str, Any]) -> list[Any]:
    """Return the parameters for the driver, in the order of the statement."""
    if compiled.inward:
        converted = {name: process(parameters[name]) for name, process in compiled.inward.items()}
        parameters = {**parameters, **converted}
    return [parameters[name] for name in compiled.names]


def send(connection: PoolProxiedConnection, compiled: Compiled, values: Sequence[Any]) -> Sequence[AnyRow]:
    """Execute a compiled statement on a connection, and return its rows. Raises the driver's errors."""
    if isinstance(connection.driver_connection, psycopg.Connection):
        return execute_prepared(connection, compiled.text, values, compiled.make_row)
    with closing(connection.cursor()) as cursor:
        cursor.execute(compiled.text, values)
        return [compiled.make_row(fetched) for fetched in cursor.fetchall()]


def execute_prepared(
    connection: PoolProxiedConnection, text: str, values: Sequence[Any], make_row: Callable[[Sequence[Any]], Any]
) -> list[Any]:
    """Execute a statement with `$1`, `$2` … for `values` on PostgreSQL; its rows. Raises psycopg's errors.

    The statement gives the types of its values, as in `$1::BIGINT`.
    """
    driver: psycopg.Connection[Any] = connection.driver_connection  # type: ignore[assignment]
    name, transformer = prepare(connection, text), Transformer(driver)
    arguments = transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
    result = successful(driver.pgconn.exec_prepared(name, arguments))  # type: ignore[arg-type]  # None is NULL
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, make_row)


def prepare(connection: PoolProxiedConnection, text: str) -> bytes:
    """Prepare a statement in the session, unless it is, and return its name. Raises psycopg's errors."""
    prepared: set[bytes] = connection.info.setdefault("prepared", set())
    name = _name(text)
    if name not in prepared:
        with suppress(DuplicatePreparedStatement):  # the same statement, by another client of a pooler
            successful(connection.driver_connection.pgconn.prepare(name, text.encode()))  # type: ignore[union-attr]
        prepared.add(name)
    return name


@functools.cache
def _name(text: str) -> bytes:
    """Name a statement after its text: behind a pooler, clients that share a session must mean the same one."""
    return blake2b(text.encode(), digest_size=16).hexdigest().encode()


def successful(result: PGresult) -> PGresult:
    """Return a result; raise psycopg's error if it is one."""
    if result.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        return result
    if result.error_field(DiagnosticField.SQLSTATE):
        raise error_from_result(result)
    raise psycopg.OperationalError(result.get_error_message())  # of libpq itself: the connection is lost


def translated(error: Any, engine: Engine, connection: PoolProxiedConnection | None, statement: str) -> BaseException:
    """Return the driver's error as SQLAlchemy's; a lost connection leaves the pool with all that are as old."""
    driver = connection.dbapi_connection if connection else None
    lost = engine.dialect.is_disconnect(error, driver, None) or isinstance(error, USELESS_SESSION)
    if lost and connection:
        if getattr(connection.info.get("guard"), "is_cut_off", False):
            connection.invalidate(error)
        else:
            # SQLAlchemy's own connections do the same; it has no public name.
            engine.pool._invalidate(connection, error)  # noqa: SLF001
    wrapped: BaseException = DBAPIError.instance(
        statement if connection else None,  # without a connection, the statement has not failed
        None,
        error,
        engine.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=engine.dialect,
    )
    return wrapped


@contextmanager
def transaction() -> Iterator[Connection]:
    """Hold several statements in one transaction: committed at the end of the block, rolled back on any exception."""
    refuse_late_work()
    with groups.alone(), db.engine.begin() as connection:
        yield connection
