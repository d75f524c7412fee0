"""Sees every statement on its way to the driver, whether SQLAlchemy sends it or we do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.pool.base import _ConnectionFairy

from course_management.database import execute as statements
from course_management.database import pipeline, waves
from course_management.database.groups import Call

Note = Callable[[Any, str, Any], None]
"""Called with the driver's cursor (or something else with a `connection`), the statement and its parameters."""


def _nothing(*_: Any) -> None:
    pass


class Cursor:
    """A driver's cursor that calls listeners with each statement."""

    def __init__(self, cursor: Any, before: Note, after: Note) -> None:
        self._cursor, self._before, self._after = cursor, before, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        """Send it."""
        self._before(self._cursor, statement, parameters)
        result = self._cursor.execute(statement, parameters)
        self._after(self._cursor, statement, parameters)
        return result


def watched_statement(before: Note, after: Note) -> type[pipeline.Prepared]:
    """Return the class of statements in waves of PostgreSQL, which calls listeners with each of them."""
    base: Any = vars(waves)["Prepared"]  # another spy may have replaced it

    class Watched(base):  # type: ignore[misc]
        def __init__(self, connection: PoolProxiedConnection, call: Call) -> None:
            super().__init__(connection, call)
            self._sender = SimpleNamespace(connection=connection.driver_connection)
            self._call = call

        def send(self, pgconn: PGconn) -> None:
            before(self._sender, self._call.compiled.text, self._call.values)
            super().send(pgconn)

        def rows(self, result: PGresult) -> list[Any]:
            rows: list[Any] = super().rows(result)
            after(self._sender, self._call.compiled.text, self._call.values)
            return rows

    return Watched


@contextmanager
def watched(*, before: Note = _nothing, after: Note = _nothing) -> Iterator[None]:
    """Call `before` and `after` each statement of this process, within the block."""
    # SQLAlchemy has events only for what it sends itself. Every cursor comes from a connection of the pool, and
    # PostgreSQL's single statements go without one.
    make_cursor, execute = _ConnectionFairy.cursor, statements.execute_prepared

    def watched_cursor(self: _ConnectionFairy, *args: Any, **kwargs: Any) -> Any:
        return Cursor(make_cursor(self, *args, **kwargs), before, after)

    def watched_execute(connection: PoolProxiedConnection, text: str, values: Any, make_row: Any) -> list[Any]:
        sender = SimpleNamespace(connection=connection.driver_connection)
        before(sender, text, values)
        rows = execute(connection, text, values, make_row)
        after(sender, text, values)
        return rows

    with (
        patch.object(_ConnectionFairy, "cursor", watched_cursor),
        patch.object(statements, "execute_prepared", watched_execute),
        patch.object(waves, "Prepared", watched_statement(before, after)),
    ):
        yield
