"""Find rows by their external ids, by which files name them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, Table, func, select

from ..database import reading
from ..models import catalog_entries, courses, people, students, terms


class Referenced(NamedTuple):
    """A table whose rows have an external id, and the kind of file that describes them."""

    kind: str
    table: Table

    @property
    def has_code(self) -> bool:
        """Whether a row can be named by its code, too."""
        return "code" in self.table.c


REFERENCED: Mapping[str, Referenced] = {
    "term": Referenced("terms", terms),
    "catalog": Referenced("catalog", catalog_entries),
    "course": Referenced("courses", courses),
    "student": Referenced("students", students),
    "person": Referenced("people", people),
}
"""All tables with external ids, by what files call one row."""


def ids_of(name: str, keys: Collection[str]) -> Mapping[str, int]:
    """Return the ids of rows of `REFERENCED` by their external id or, where they have codes, a code of only one row."""
    if not keys:
        return {}
    table, has_code = REFERENCED[name].table, REFERENCED[name].has_code
    id_by_key: dict[str, int] = {}
    with reading() as session:
        if has_code:
            statement = select(table.c.code, func.min(table.c.id)).where(table.c.code.in_(keys)).group_by(table.c.code)
            id_by_key |= {row[0]: row[1] for row in session.execute(statement.having(func.count() == 1))}
        statement = select(table.c.external_id, table.c.id).where(table.c.external_id.in_(keys))
        return id_by_key | {row[0]: row[1] for row in session.execute(statement)}


def without_external_id(connection: Connection) -> Mapping[str, int]:
    """Return how many rows have no external id, by kind; only kinds that have such rows."""
    counts = {
        kind: connection.scalar(select(func.count()).where(table.c.external_id.is_(None)))
        for kind, table in REFERENCED.values()
    }
    return {kind: count for kind, count in counts.items() if count}
