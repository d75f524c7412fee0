"""Running statements: each by itself, or several in one transaction."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, TypeAlias, cast

import psycopg
from sqlalchemy import (
    ClauseElement,
    Connection,
    Dialect,
    Engine,
    Executable,
    PoolProxiedConnection,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.visitors import iterate

from . import postgresql
from .base import db
from .retrying import retry
from .write_breaker import begin_to_write, has_written, is_cut_off

AnyRow: TypeAlias = Any
"""A row, whose columns are its attributes: a named tuple of `autocommit`'s, or SQLAlchemy's in a transaction."""


def autocommit(
    statement: Executable, parameters: Mapping[str, Any] | None = None, *, repeatable: bool = True
) -> Sequence[AnyRow]:
    """Run one statement as its own transaction; all its rows.

    It is compiled once, so it should be a constant, and goes to the driver directly: SQLAlchemy's own way there takes
    as long again as all the rest (decision 9). Its errors are SQLAlchemy's all the same.
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
            return rows  # noqa: TRY300 - it reads best in one piece
        except engine.dialect.loaded_dbapi.Error as error:
            raise _translated(error, engine, connection, prepared.text) from error
        finally:
            if connection is not None:
                connection.close()

    return retry(work, repeatable=repeatable)


def run(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[AnyRow]:
    """Run one constant statement of a transaction the way `autocommit` does; all its rows."""
    prepared = prepare(statement, connection.dialect, tuple(parameters))
    try:
        return _send(connection.connection, prepared, prepared.values(parameters))
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(error, connection.engine, connection.connection, prepared.text) from error


class Prepared(NamedTuple):
    """A statement as the driver takes it, and what its values must go through on the way there and back."""

    text: str
    names: Sequence[str]
    inward: Mapping[int, Callable[[Any], Any]]
    make_row: Callable[[Sequence[Any]], AnyRow]
    """The driver's row with names, and with values as the columns' types have them."""
    writes: bool

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The parameters for the driver, in the order of the statement."""
        values = [parameters[name] for name in self.names]
        for index, process in self.inward.items():
            values[index] = process(values[index])
        return values


class _ConstantsInside(SQLCompiler):
    """Writes the values that stand in a statement into its text: less to send, to bind and to plan."""

    def visit_bindparam(self, bindparam: Any, *args: Any, **kwargs: Any) -> Any:
        """Compile a parameter, or a value."""
        if bindparam.key not in (self.column_keys or ()):
            kwargs["literal_binds"] = True
        return super().visit_bindparam(bindparam, *args, **kwargs)  # type: ignore[no-untyped-call]


@functools.lru_cache(maxsize=256)
def prepare(statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> Prepared:
    """Compile a statement that gets parameters of these names."""
    if dialect.name == "postgresql":
        dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    compiler = type("Compiler", (_ConstantsInside, dialect.statement_compiler), {})
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
    plain = functools.partial(tuple.__new__, row)  # `row._make` without counting the columns: the database did

    def converted(found: Sequence[Any]) -> AnyRow:
        values = list(found)
        for index, process in outward.items():
            values[index] = process(values[index])
        return plain(values)

    writes = any(isinstance(each, UpdateBase) for each in iterate(cast("ClauseElement", statement)))
    return Prepared(str(compiled), order, inward, converted if outward else plain, writes)


def _send(connection: PoolProxiedConnection, prepared: Prepared, values: Sequence[Any]) -> Sequence[AnyRow]:
    if isinstance(connection.driver_connection, psycopg.Connection):
        return postgresql.execute(connection, prepared.text, values, prepared.make_row)
    with closing(connection.cursor()) as cursor:
        cursor.execute(prepared.text, values)
        return [prepared.make_row(each) for each in cursor.fetchall()]


def _translated(error: Any, engine: Engine, connection: PoolProxiedConnection | None, statement: str) -> BaseException:
    """The driver's error as SQLAlchemy's; a connection that is lost leaves the pool, and all as old as it."""
    driver = connection.dbapi_connection if connection else None
    lost = engine.dialect.is_disconnect(error, driver, None) or postgresql.has_forgotten(error)
    if lost and connection:
        if is_cut_off(connection.info):
            connection.invalidate(error)
        else:
            # What SQLAlchemy's own connections do; there is no public name for it.
            engine.pool._invalidate(connection, error)  # noqa: SLF001
    translated: BaseException = DBAPIError.instance(
        statement if connection else None,  # without a connection, it was not the statement that failed
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
    """Several statements, applied whole at the end of the block or, on any exception, not at all."""
    with db.engine.begin() as connection:
        yield connection
