"""The changes of enrollments that an import makes: of one student, and as many as fit into one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .staging import Staged

ROWS_AT_ONCE = 200
"""Rows of one transaction, which locks their courses for about 30 ms on PostgreSQL."""


@dataclass(slots=True)
class StudentChanges:
    """The rows of a student that are left to do, by the id of their course, and the enrollments as they were seen."""

    student_id: int
    dropping: dict[int, Staged] = field(default_factory=dict)
    enrolling: dict[int, Staged] = field(default_factory=dict)
    seen: dict[tuple[int, int], Any] = field(default_factory=dict)

    def rows(self) -> list[Staged]:
        """Return the rows."""
        return [*self.dropping.values(), *self.enrolling.values()]

    def row_of(self, course_id: int) -> Staged:
        """Return the row about a course."""
        return self.dropping.get(course_id) or self.enrolling[course_id]

    def take_row_of(self, course_id: int) -> Staged:
        """Return the row about a course, which is left to do no more."""
        return self.dropping.pop(course_id, None) or self.enrolling.pop(course_id)


def by_transaction(all_changes: Iterable[StudentChanges]) -> Iterator[list[StudentChanges]]:
    """Yield the changes of one transaction after the other."""
    batch: list[StudentChanges] = []
    size = 0
    for changes in all_changes:
        if batch and size + len(changes.rows()) > ROWS_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(changes)
        size += len(changes.rows())
    if batch:
        yield batch
