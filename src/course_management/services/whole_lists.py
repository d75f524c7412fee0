"""Lists that are replaced as a whole: the windows of a term, the groups of a student, parts of a course.

A client reads the list, changes it, and puts it back. Its rows have no ids of their own, and no order but that of their
values. The ETag is that of the content, so that If-Match refuses to undo a change that was made meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, Table, delete, insert, select
from sqlalchemy.orm import Session

from ..database import retried, writing
from ..errors import ValidationFailed
from . import Precondition
from .resources import Resource, locked, unknown

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeList:
    """A list that belongs to a row of a resource."""

    owner: Resource[Any]
    table: Table
    column: str
    """The column with the id of the owner."""
    names: tuple[str, ...]
    """The columns of a row, in the order by which the list is sorted; a list of one column is one of plain values."""
    check: Callable[[Any, Sequence[Row]], None] = lambda *_: None
    """Raises if the owner cannot have these rows."""
    changed: Callable[[Session, int], object] = lambda *_: None
    """What a change does to other rows, in its transaction."""

    @property
    def is_plain(self) -> bool:
        """Whether the list is one of values, not of objects."""
        return len(self.names) == 1

    def sorted(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows in the order of the list, null first, which databases do not agree about."""
        return sorted(rows, key=lambda row: [(value is not None, value) for value in row])

    def rows_of(self, items: Sequence[Any]) -> list[Row]:
        """Return what a body lists, as sorted rows."""
        return self.sorted([(each,) if self.is_plain else tuple(each[name] for name in self.names) for each in items])

    def item(self, row: Row) -> Any:
        """Return a row as a response lists it."""
        return row[0] if self.is_plain else dict(zip(self.names, row, strict=True))


class Change(NamedTuple):
    """A list after a change, and what the change was."""

    rows: Sequence[Row]
    added: Sequence[Row]
    removed: Sequence[Row]


@retried(repeatable=False)
def replace(whole: WholeList, owner_id: int, items: Sequence[Any], precondition: Precondition | None) -> Sequence[Row]:
    """Put `items` in the place of the list of the owner with the id `owner_id`, and return its rows.

    Raises the owner's `not_found`, `ValidationFailed` for ids that do not exist, and what `precondition` raises.
    """
    with writing() as session:
        owner = locked(session, whole.owner, owner_id)
        whole.check(owner, whole.rows_of(items))
        change = put(session, whole, owner_id, items, precondition)
        if change.added or change.removed:
            whole.changed(session, owner_id)
        return change.rows


def put(
    session: Session, whole: WholeList, owner_id: int, items: Sequence[Any], precondition: Precondition | None
) -> Change:
    """Do the same in a transaction that has locked the owner, so that of two changes the second sees the first."""
    present = rows(session, whole, owner_id)
    if precondition:
        precondition(present)
    refuse_unknown(session, whole, items)
    wanted = whole.rows_of(items)
    added, removed = [row for row in wanted if row not in present], [row for row in present if row not in wanted]
    if added or removed:
        session.execute(delete(whole.table).where(whole.table.c[whole.column] == owner_id))
        values = [{whole.column: owner_id, **dict(zip(whole.names, row, strict=True))} for row in wanted]
        if values:
            session.execute(insert(whole.table), values)
    return Change(wanted, added, removed)


def rows(session: Session, whole: WholeList, owner_id: int) -> list[Row]:
    """Return the sorted rows of a list."""
    columns = [whole.table.c[name] for name in whole.names]
    found = session.execute(select(*columns).where(whole.table.c[whole.column] == owner_id))
    return whole.sorted([tuple(row) for row in found])


def refuse_unknown(session: Session, whole: WholeList, items: Sequence[Any]) -> None:
    """Raise `ValidationFailed` with a pointer to each id of a row that does not exist; lock the others."""
    errors: list[Mapping[str, str]] = []
    for name in whole.names:
        if (column := _referenced(whole.table.c[name])) is not None:
            ids = {
                f"/{index}" if whole.is_plain else f"/{index}/{name}": each if whole.is_plain else each[name]
                for index, each in enumerate(items)
            }
            errors += unknown(session, column, {pointer: value for pointer, value in ids.items() if value is not None})
    if errors:
        raise ValidationFailed(errors=errors)


def _referenced(column: Column[Any]) -> Column[Any] | None:
    return next((key.column for key in column.foreign_keys), None)
