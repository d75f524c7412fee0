"""Read resources: one by its id, and pages of lists, filtered by the values of columns."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Executable, Integer, Select, Table, bindparam, select

from ..database import AnyRow, Base, autocommit, reading
from ..database.types import Id
from ..models.search import contains_words


def find(model: type[Base], names: Sequence[str], row_id: int) -> AnyRow | None:
    """Return what the row with the id `row_id` has under these names, or None."""
    rows = _rows(model, tuple(names), _one(model, tuple(names)), {"row_id": row_id})
    return rows[0] if rows else None


def page(
    model: type[Base], names: Sequence[str], after: int, limit: int, filters: Mapping[str, Any]
) -> Sequence[AnyRow]:
    """Return what up to `limit` rows have under these names, by id from above `after`, with the values of `filters`.

    The filter `q` selects rows that contain all of its words.
    """
    equal = {name: value for name, value in filters.items() if name != "q" and value is not None}
    statement = _page(model, tuple(names), tuple(equal), tuple(name for name in filters if filters[name] is None))
    values = {"after": after, "limit": limit, **equal}
    if "q" in filters:  # the statement depends on the number of words, so `autocommit` cannot cache it
        statement = statement.where(contains_words(_table(model).c.search_text, filters["q"]))
    return _rows(model, tuple(names), statement, values, is_constant="q" not in filters)


def id_of(model: type[Base], values: Mapping[str, Any]) -> int | None:
    """Return the id of the row that has these values, or None."""
    return next((row.id for row in page(model, ["id"], 0, 1, values)), None)


def _rows(
    model: type[Base],
    names: tuple[str, ...],
    statement: Executable,
    values: Mapping[str, Any],
    *,
    is_constant: bool = True,
) -> Sequence[AnyRow]:
    has_only_columns = _has_only_columns(model, names)
    if has_only_columns and is_constant:
        return autocommit(statement, values)
    with reading() as session:
        result = session.execute(statement, values)
        return result.all() if has_only_columns else result.scalars().all()


def _has_only_columns(model: type[Base], names: tuple[str, ...]) -> bool:
    """Return whether these are columns; otherwise the ORM makes objects, with the lists that are part of a row."""
    return all(name in _table(model).c for name in names)


def _table(model: type[Base]) -> Table:
    return cast("Table", model.__table__)


def _select(model: type[Base], names: tuple[str, ...]) -> Select[Any]:
    if _has_only_columns(model, names):
        return select(*(_table(model).c[name] for name in names))
    return select(model)


# Cached, because `autocommit` needs one object per statement; there is one per combination of filters.
@functools.cache
def _one(model: type[Base], names: tuple[str, ...]) -> Executable:
    return _select(model, names).where(_table(model).c.id == bindparam("row_id", type_=Id))


@functools.cache
def _page(model: type[Base], names: tuple[str, ...], filters: tuple[str, ...], nulls: tuple[str, ...]) -> Select[Any]:
    columns = _table(model).c
    return (
        _select(model, names)
        .where(
            columns.id > bindparam("after", type_=Id),
            *(columns[name] == bindparam(name, type_=columns[name].type) for name in filters),
            *(columns[name].is_(None) for name in nulls),
        )
        .order_by(columns.id)
        .limit(bindparam("limit", type_=Integer))
    )
