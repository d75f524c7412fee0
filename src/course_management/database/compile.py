"""Compile constant statements for the driver, once for all engines: the same statement is the same text on each.

A service of many schools has an engine for each. If each engine compiled its own, the cache would overflow above eleven
engines, and every call would compile its statement again: 8.5 ms instead of 1 µs.
"""

from __future__ import annotations

import functools
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from sqlalchemy import ClauseElement, Dialect, Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.visitors import iterate

AnyRow: TypeAlias = Any
"""A row with its columns as attributes: a named tuple, or SQLAlchemy's own row."""
S = TypeVar("S", bound=Executable)

_DIALECTS: Mapping[str, Dialect] = {
    "postgresql": PGDialect_psycopg(paramstyle="numeric_dollar"),  # type: ignore[no-untyped-call]
    "sqlite": SQLiteDialect_pysqlite(dbapi=sqlite3),
}


_TRAVELS = "travels"


def travels(statement: S, courses: str = "") -> S:
    """Return the statement, which may be sent together with those of other requests.

    Only for what is quick, found by key, can be repeated, and locks at most one course, that of the list in the
    parameter `courses`, and after it the student of the request; with several courses, the statement is sent alone. A
    read locks nothing.
    """
    return statement.execution_options(**{_TRAVELS: courses})


class Compiled(NamedTuple):
    """A statement as the driver takes it, with the conversions of its parameters and columns."""

    text: str
    names: Sequence[str]
    inward: Mapping[str, Callable[[Any], Any]]
    make_row: Callable[[Sequence[Any]], AnyRow]
    """Makes a named row, with values converted by the column types, from the driver's row."""
    writes: bool
    travels: str | None
    """Whether it may be sent in a wave (`travels`): the name of its parameter with the courses, empty for a read; else
    None."""
    at_once: bool
    """Whether it waits for no wave: a read of SQLite has no round trip to share."""


class _LiteralConstants(SQLCompiler):
    """Writes a statement's constants into its text: less to send, to bind and to plan."""

    def visit_bindparam(self, bindparam: Any, *args: Any, **kwargs: Any) -> Any:
        """Compile a parameter, or a constant."""
        if bindparam.key not in (self.column_keys or ()):
            kwargs["literal_binds"] = True
        return super().visit_bindparam(bindparam, *args, **kwargs)  # type: ignore[no-untyped-call]


@functools.lru_cache(maxsize=256)
def compile_statement(statement: Executable, backend: str, names: tuple[str, ...]) -> Compiled:
    """Compile a statement whose parameters have these names, once for all engines of a backend."""
    dialect = _DIALECTS[backend]
    compiler = type("Compiler", (_LiteralConstants, dialect.statement_compiler), {})
    compiled: SQLCompiler = compiler(dialect, statement, column_keys=list(names))
    order = compiled.positiontup or ()
    inward = {
        name: process
        for name in dict.fromkeys(order)
        if (process := compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
    }
    columns = list(getattr(statement, "exported_columns", ()))
    outward = [
        (index, process)
        for index, column in enumerate(columns)
        if (process := column.type.dialect_impl(dialect).result_processor(dialect, None))
    ]
    row = namedtuple("row", [column.key for column in columns], rename=True)  # type: ignore[misc]
    plain = functools.partial(tuple.__new__, row)  # `row._make` without its check of the number of columns

    def converted(fetched: Sequence[Any]) -> AnyRow:
        values = list(fetched)
        for index, process in outward:
            if (value := values[index]) is not None:  # null is None in every type
                values[index] = process(value)
        return plain(values)

    writes = any(isinstance(element, UpdateBase) for element in iterate(cast("ClauseElement", statement)))
    travels = statement.get_execution_options().get(_TRAVELS)
    at_once = backend == "sqlite" and not writes
    return Compiled(str(compiled), order, inward, converted if outward else plain, writes, travels, at_once)
