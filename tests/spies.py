"""Sees every statement on its way to the driver, whether SQLAlchemy sends it or we do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy.pool.base import _ConnectionFairy

Note = Callable[[Any, str, Any], None]
"""Called with the driver's cursor, the statement and its parameters."""


def _nothing(*_: Any) -> None:
    pass


class Cursor:
    """A driver's cursor, and those who want to know what is sent through it."""

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


@contextmanager
def watched(*, before: Note = _nothing, after: Note = _nothing) -> Iterator[None]:
    """While this lasts, call `before` and `after` each statement of this process."""
    # Every cursor comes from a connection of the pool, and SQLAlchemy has no event for those it does not use itself.
    genuine = _ConnectionFairy.cursor

    def cursor(self: _ConnectionFairy, *args: Any, **kwargs: Any) -> Any:
        return Cursor(genuine(self, *args, **kwargs), before, after)

    with patch.object(_ConnectionFairy, "cursor", cursor):
        yield
