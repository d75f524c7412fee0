"""Lists that are replaced as a whole: the windows of a term, the groups of a student, parts of a course.

A client reads the list, changes it, and puts it back. Its rows have no ids of their own, and no order but that of their
values. The ETag is that of the content, so that If-Match refuses to undo a change that was made meanwhile. A list of
groups, of each of which one row is enough, is put as `{"groups": [[…], …]}`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Column, Table, delete, insert, select
from sqlalchemy.orm import Session

from ..database import retried, writing
from ..errors import ValidationFailed
from . import Precondition
from .resources import Resource, errors_of_unknown_ids, locked

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedList:
    """A list that belongs to a row of a resource."""

    owner: Resource[Any]
    table: Table
    column: str
    """The column with the id of the owner."""
    names: tuple[str, ...]
    """The columns of a row, in the order by which the list is sorted; a list of one column is one of plain values."""
    json_names: Mapping[str, str] = field(default_factory=dict)
    """What JSON calls a column, where that is not its name."""
    alternatives_column: str = ""
    """The column that numbers the groups, for a list of groups of alternatives."""
    find_errors: Callable[[Session, Any, Sequence[tuple[str, Any]]], Iterable[Mapping[str, str]]] = lambda *_: ()
    """Returns an error for each item, which comes with its JSON pointer, that the owner cannot have."""
    after_change: Callable[[Session, int], object] = lambda *_: None
    """What a change does to other rows, in its transaction."""

    @property
    def is_plain(self) -> bool:
        """Whether the list is one of values, not of objects."""
        return len(self.names) == 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a stored row: the number of its group, if there are groups, and `names`."""
        return (self.alternatives_column, *self.names) if self.alternatives_column else self.names

    def json_name(self, column: str) -> str:
        """Return what JSON calls a column."""
        return self.json_names.get(column, column)

    def sorted(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows in the order of the list, null first, which databases do not agree about."""
        return sorted(rows, key=_order)

    def items(self, body: Any) -> list[tuple[str, Any]]:
        """Return the items of a body, each with its JSON pointer."""
        if not self.alternatives_column:
            return [(f"/{index}", item) for index, item in enumerate(body)]
        return [
            (f"/groups/{group_index}/{index}", item)
            for group_index, group in enumerate(body["groups"])
            for index, item in enumerate(group)
        ]

    def rows_of(self, body: Any) -> list[Row]:
        """Return what a body lists, as sorted rows. Groups with the same items are one group."""
        if not self.alternatives_column:
            return self.sorted([self._row(item) for item in body])
        groups = {tuple(self.sorted([self._row(item) for item in group])) for group in body["groups"]}
        in_order = sorted(groups, key=lambda group: [_order(row) for row in group])
        return [(group_number, *row) for group_number, group in enumerate(in_order, 1) for row in group]

    def content(self, rows: Sequence[Row]) -> Any:
        """Return sorted rows as a response has them."""
        if not self.alternatives_column:
            return [self._item(row) for row in rows]
        return {
            "groups": [
                [self._item(row[1:]) for row in group] for _, group in itertools.groupby(rows, lambda row: row[0])
            ]
        }

    def _row(self, item: Any) -> Row:
        return (item,) if self.is_plain else tuple(item[self.json_name(name)] for name in self.names)

    def _item(self, row: Row) -> Any:
        return row[0] if self.is_plain else dict(zip(map(self.json_name, self.names), row, strict=True))


def _order(row: Row) -> list[tuple[bool, Any]]:
    return [(value is not None, value) for value in row]


class Change(NamedTuple):
    """A list after a change, and what the change was."""

    rows: Sequence[Row]
    added: Sequence[Row]
    removed: Sequence[Row]


@retried(repeatable=False)
def replace(owned_list: OwnedList, owner_id: int, body: Any, precondition: Precondition | None) -> Sequence[Row]:
    """Put `body` in the place of the list of the owner with the id `owner_id`, and return its rows.

    Raises the owner's `not_found`, `ValidationFailed` for ids that do not exist, and what `precondition` raises.
    """
    with writing() as session:
        owner = locked(session, owned_list.owner, owner_id)
        errors = list(owned_list.find_errors(session, owner, owned_list.items(body)))
        change = replace_within(session, owned_list, owner_id, body, precondition, errors)
        if change.added or change.removed:
            owned_list.after_change(session, owner_id)
        return change.rows


def replace_within(
    session: Session,
    owned_list: OwnedList,
    owner_id: int,
    body: Any,
    precondition: Precondition | None,
    errors: Sequence[Mapping[str, str]] = (),
) -> Change:
    """Do the same in a transaction that has locked the owner, so that of two changes the second sees the first.

    `errors` are those that were found before; those of ids that do not exist are added.
    """
    present = rows(session, owned_list, owner_id)
    if precondition:
        precondition(present)
    if errors := [*errors, *_unknown(session, owned_list, body)]:
        raise ValidationFailed(errors=errors[: ValidationFailed.max_errors])
    wanted = owned_list.rows_of(body)
    added, removed = [row for row in wanted if row not in present], [row for row in present if row not in wanted]
    if added or removed:
        session.execute(delete(owned_list.table).where(owned_list.table.c[owned_list.column] == owner_id))
        values = [{owned_list.column: owner_id, **dict(zip(owned_list.columns, row, strict=True))} for row in wanted]
        if values:
            session.execute(insert(owned_list.table), values)
    return Change(wanted, added, removed)


def rows(session: Session, owned_list: OwnedList, owner_id: int) -> list[Row]:
    """Return the sorted rows of a list."""
    columns = [owned_list.table.c[name] for name in owned_list.columns]
    result = session.execute(select(*columns).where(owned_list.table.c[owned_list.column] == owner_id))
    return owned_list.sorted([tuple(row) for row in result])


def _unknown(session: Session, owned_list: OwnedList, body: Any) -> Iterator[Mapping[str, str]]:
    """Yield an error for each id of a row that does not exist; lock the others."""
    for name in owned_list.names:
        if (column := _referenced(owned_list.table.c[name])) is not None:
            json_name = owned_list.json_name(name)
            ids = {
                pointer if owned_list.is_plain else f"{pointer}/{json_name}": item
                if owned_list.is_plain
                else item[json_name]
                for pointer, item in owned_list.items(body)
            }
            yield from errors_of_unknown_ids(
                session, column, {pointer: value for pointer, value in ids.items() if value is not None}
            )


def _referenced(column: Column[Any]) -> Column[Any] | None:
    return next((key.column for key in column.foreign_keys), None)
