"""Read what belongs to one row: the holds of a student, the windows of a term, and others.

Each statement has the owner beside what belongs to it: no row at all means that there is no owner.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, Table, and_, bindparam, select

from ..database import AnyRow, autocommit
from ..database.types import Id, IdList, among

_OWNER_ID = bindparam("owner_id", type_=Id)


class OwnedRows(NamedTuple):
    """A table whose rows belong to those of another table, the id of which is in `column`."""

    owner: Table
    table: Table
    column: str


def page(
    owned: OwnedRows, owner_id: int, *, after: int, limit: int, course_ids: Collection[int] | None = None
) -> Sequence[AnyRow] | None:
    """Return up to `limit` rows that belong to the row `owner_id`, by id from above `after`; None without that row.

    With `course_ids`, only those of these courses.
    """
    values: dict[str, Any] = {"owner_id": owner_id, "after": after, "limit": limit}
    if course_ids is not None:
        values["course_ids"] = list(course_ids)
    rows = autocommit(_page(owned, of_courses=course_ids is not None), values)
    return [row for row in rows if row.id is not None] if rows else None


def all_rows(owned: OwnedRows, names: tuple[str, ...], owner_id: int) -> list[tuple[Any, ...]] | None:
    """Return the columns `names` of all rows that belong to the row `owner_id`; None without that row."""
    rows = autocommit(_all_rows(owned, names), {"owner_id": owner_id})
    return [tuple(row[1:]) for row in rows if row[0] is not None] if rows else None


# Cached, because `autocommit` needs one object per statement.
@functools.cache
def _page(owned: OwnedRows, *, of_courses: bool) -> Select[Any]:
    owner, table, column = owned
    wanted = [table.c[column] == owner.c.id, table.c.id > bindparam("after", type_=Id)]
    if of_courses:
        wanted.append(among(table.c.course_id, bindparam("course_ids", type_=IdList)))
    return (
        select(table)
        .select_from(owner.outerjoin(table, and_(*wanted)))
        .where(owner.c.id == _OWNER_ID)
        .order_by(table.c.id)
        .limit(bindparam("limit", type_=Integer))
    )


@functools.cache
def _all_rows(owned: OwnedRows, names: tuple[str, ...]) -> Select[Any]:
    owner, table, column = owned
    return (
        select(table.c[column], *(table.c[name] for name in names))
        .select_from(owner.outerjoin(table, table.c[column] == owner.c.id))
        .where(owner.c.id == _OWNER_ID)
    )
