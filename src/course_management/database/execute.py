"""Execute statements: one as its own transaction, or several in one.

A constant statement is compiled once and goes to the driver directly; on PostgreSQL as a prepared statement of libpq,
because psycopg's cursor (which never blocks, counts what is worth preparing and guesses types from values) is half of a
statement's cost (docs/decisions/0009-constant-statements-go-to-the-driver.md).
"""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias, cast

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import (
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InvalidSqlStatementName,
    error_from_result,
)
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import ClauseElement, Connection, Dialect, Engine, Executable, PoolProxiedConnection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.visitors import iterate

from .base import db
from .retrying import retry
from .write_breaker import begin_to_write, has_written, is_cut_off

STATEMENT_LOST = (InvalidSqlStatementName, FeatureNotSupported)
"""Errors of a session that has lost a prepared statement, or after a migration changed its result.

They are raised before anything is done, and a new connection fixes them.
"""
AnyRow: TypeAlias = Any
"""A row with its columns as attributes: a named tuple, or SQLAlchemy's own row."""


def autocommit(
    statement: Executable, parameters: Mapping[str, Any] | None = None, *, repeatable: bool = True
) -> Sequence[AnyRow]:
    """Execute one constant statement as its own transaction, and return all its rows.

    It is tried again as `retry` does, after a lost connection only if `repeatable`. Raises SQLAlchemy's errors.
    """
    engine = db.engine
    prepared = prepare(statement, engine.dialect, tuple(parameters or ()))
    values = prepared.values(parameters or {})

    def work() -> Sequence[AnyRow]:
        connection = None
        try:
            connection = engine.raw_connection()
            if not prepared.writes:
                return _send(connection, prepared, values)
            begin_to_write(connection.info)
            if rows := _send(connection, prepared, values):
                has_written(connection.info)
            return rows  # noqa: TRY300 - an `else` would be further away
        except engine.dialect.loaded_dbapi.Error as error:
            raise _translated(error, engine, connection, prepared.text) from error
        finally:
            if connection is not None:
                connection.close()

    return retry(work, repeatable=repeatable)


def run(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[AnyRow]:
    """Execute one constant statement in the transaction of `connection`, and return all its rows."""
    prepared = prepare(statement, connection.dialect, tuple(parameters))
    try:
        return _send(connection.connection, prepared, prepared.values(parameters))
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(error, connection.engine, connection.connection, prepared.text) from error


class Prepared(NamedTuple):
    """A statement as the driver takes it, with the conversions of its parameters and columns."""

    text: str
    names: Sequence[str]
    inward: Mapping[int, Callable[[Any], Any]]
    make_row: Callable[[Sequence[Any]], AnyRow]
    """Makes a named row, with values converted by the column types, from the driver's row."""
    writes: bool

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the parameters for the driver, in the order of the statement."""
        values = [parameters[name] for name in self.names]
        for index, process in self.inward.items():
            values[index] = process(values[index])
        return values


class _LiteralConstants(SQLCompiler):
    """Writes a statement's constants into its text: less to send, to bind and to plan."""

    def visit_bindparam(self, bindparam: Any, *args: Any, **kwargs: Any) -> Any:
        """Compile a parameter, or a constant."""
        if bindparam.key not in (self.column_keys or ()):
            kwargs["literal_binds"] = True
        return super().visit_bindparam(bindparam, *args, **kwargs)  # type: ignore[no-untyped-call]


@functools.lru_cache(maxsize=256)
def prepare(statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> Prepared:
    """Compile a statement whose parameters have these names."""
    if dialect.name == "postgresql":
        dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    compiler = type("Compiler", (_LiteralConstants, dialect.statement_compiler), {})
    compiled: SQLCompiler = compiler(dialect, statement, column_keys=list(names))
    order = compiled.positiontup or ()
    inward = {
        index: process
        for index, name in enumerate(order)
        if (process := compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
    }
    columns = list(getattr(statement, "exported_columns", ()))
    outward = {
        index: process
        for index, each in enumerate(columns)
        if (process := each.type.dialect_impl(dialect).result_processor(dialect, None))
    }
    row = namedtuple("row", [each.key for each in columns], rename=True)  # type: ignore[misc]
    plain = functools.partial(tuple.__new__, row)  # `row._make` without its check of the number of columns

    def converted(found: Sequence[Any]) -> AnyRow:
        values = list(found)
        for index, process in outward.items():
            values[index] = process(values[index])
        return plain(values)

    writes = any(isinstance(each, UpdateBase) for each in iterate(cast("ClauseElement", statement)))
    return Prepared(str(compiled), order, inward, converted if outward else plain, writes)


def _send(connection: PoolProxiedConnection, prepared: Prepared, values: Sequence[Any]) -> Sequence[AnyRow]:
    if isinstance(connection.driver_connection, psycopg.Connection):
        return execute_prepared(connection, prepared.text, values, prepared.make_row)
    with closing(connection.cursor()) as cursor:
        cursor.execute(prepared.text, values)
        return [prepared.make_row(each) for each in cursor.fetchall()]


def execute_prepared(
    connection: PoolProxiedConnection, text: str, values: Sequence[Any], make_row: Callable[[Sequence[Any]], Any]
) -> list[Any]:
    """Execute a statement with `$1`, `$2` … for `values` on PostgreSQL; its rows. Raises psycopg's errors.

    The statement gives the types of its values, as in `$1::BIGINT`.
    """
    driver: psycopg.Connection[Any] = connection.driver_connection  # type: ignore[assignment]
    transformer = Transformer(driver)
    given = transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
    prepared: set[bytes] = connection.info.setdefault("prepared", set())
    name = _name(text)
    if name not in prepared:
        with suppress(DuplicatePreparedStatement):  # the same statement, by another client of a pooler
            _successful(driver.pgconn.prepare(name, text.encode()))
        prepared.add(name)
    result = _successful(driver.pgconn.exec_prepared(name, given))  # type: ignore[arg-type]  # None is NULL
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, make_row)


@functools.cache
def _name(text: str) -> bytes:
    """Name a statement after its text: behind a pooler, clients that share a session must mean the same one."""
    return blake2b(text.encode(), digest_size=16).hexdigest().encode()


def _successful(result: PGresult) -> PGresult:
    if result.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        return result
    if result.error_field(DiagnosticField.SQLSTATE):
        raise error_from_result(result)
    raise psycopg.OperationalError(result.get_error_message())  # of libpq itself: the connection is lost


def _translated(error: Any, engine: Engine, connection: PoolProxiedConnection | None, statement: str) -> BaseException:
    """Return the driver's error as SQLAlchemy's; a lost connection leaves the pool with all that are as old."""
    driver = connection.dbapi_connection if connection else None
    lost = engine.dialect.is_disconnect(error, driver, None) or isinstance(error, STATEMENT_LOST)
    if lost and connection:
        if is_cut_off(connection.info):
            connection.invalidate(error)
        else:
            # SQLAlchemy's own connections do the same; it has no public name.
            engine.pool._invalidate(connection, error)  # noqa: SLF001
    translated: BaseException = DBAPIError.instance(
        statement if connection else None,  # without a connection, the statement has not failed
        None,
        error,
        engine.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=engine.dialect,
    )
    return translated


@contextmanager
def transaction() -> Iterator[Connection]:
    """Hold several statements in one transaction: committed at the end of the block, rolled back on any exception."""
    with db.engine.begin() as connection:
        yield connection
