"""Read resources: one by its id, and pages of lists, filtered by the values of columns."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Integer, Select, Table, bindparam, select

from ..database import AnyRow, autocommit, reading
from ..database.types import Id
from ..models.search import contains_words


def find(table: Table, columns: Sequence[str], number: int) -> AnyRow | None:
    """Return these columns of the row with the id `number`, or None."""
    rows = autocommit(_one(table, tuple(columns)), {"number": number})
    return rows[0] if rows else None


def page(table: Table, columns: Sequence[str], after: int, limit: int, filters: Mapping[str, Any]) -> Sequence[AnyRow]:
    """Return these columns of up to `limit` rows, by id from above `after`; only rows with the values of `filters`.

    The filter `q` selects rows that contain all of its words.
    """
    equal = {name: value for name, value in filters.items() if name != "q"}
    statement = _page(table, tuple(columns), tuple(equal))
    values = {"after": after, "limit": limit, **equal}
    if "q" not in filters:
        return autocommit(statement, values)
    with reading() as session:  # the statement depends on the number of words, so `autocommit` cannot cache it
        return session.execute(statement.where(contains_words(table.c.search_text, filters["q"])), values).all()


def id_of(table: Table, column: str, value: Any) -> int | None:
    """Return the id of the row that has this value, or None."""
    return next((row.id for row in page(table, ["id"], 0, 1, {column: value})), None)


# Cached, because `autocommit` needs one object per statement; there is one per combination of filters.
@functools.cache
def _one(table: Table, columns: tuple[str, ...]) -> Executable:
    return select(*(table.c[name] for name in columns)).where(table.c.id == bindparam("number", type_=Id))


@functools.cache
def _page(table: Table, columns: tuple[str, ...], filters: tuple[str, ...]) -> Select[Any]:
    return (
        select(*(table.c[name] for name in columns))
        .where(
            table.c.id > bindparam("after", type_=Id),
            *(table.c[name] == bindparam(name, type_=table.c[name].type) for name in filters),
        )
        .order_by(table.c.id)
        .limit(bindparam("limit", type_=Integer))
    )
