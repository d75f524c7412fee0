"""Completions: what students have completed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...errors import Problem
from ...repositories import import_targets as targets
from ...schemas.catalog import CompletionBody
from ...schemas.fields import Text
from ...services import completions
from ..handlers import Decided, StudentRecordHandler
from ..kind import Kind, Reference, of_body
from ..staging import Staged
from ..verdicts import CREATE, UPDATE, Verdict

COMPLETION_KIND = Kind(
    "completions",
    {
        "student": Reference(),
        "catalog": Reference(),
        "term_code": Text(50, required=True),
        **of_body(CompletionBody),
    },
    ("student", "catalog", "term_code"),
    ("student catalog term_code",),
)
NEW, CHANGED = CompletionBody(), CompletionBody(partial=True)
VALUES = NEW.fields
STUDENTS_AT_ONCE = 50
"""Students of one transaction, which locks them."""


class CompletionHandler(StudentRecordHandler):
    """Adds completions, and changes their grades, points and credits."""

    kind = COMPLETION_KIND
    references: ClassVar = {"student": "student", "catalog": "catalog"}

    def read_present(self, rows: Sequence[Staged]) -> None:
        """Read the completions of the students."""
        self._present = targets.completions_of(self.existing_ids("student", rows))

    def _key(self, row: Staged) -> tuple[int, int, str]:
        values = row.values
        return (
            self.id_of("student", values["student"]) or 0,
            self.id_of("catalog", values["catalog"]) or 0,
            values["term_code"],
        )

    def present(self, row: Staged) -> Any:
        """Return the completion, or None."""
        return self._present.get(self._key(row))

    def write_all(self, decided: Sequence[Decided]) -> list[Verdict]:
        """Write the completions of some students in one transaction; if one is refused, write them one by one."""
        written: list[Verdict] = []
        for start in range(0, len(decided), STUDENTS_AT_ONCE):
            batch = decided[start : start + STUDENTS_AT_ONCE]
            rows = {row.number: row for unit, _ in batch for row in unit}
            verdicts = [verdict for _, of_unit in batch for verdict in of_unit]
            changing = [rows[verdict.number] for verdict in verdicts if verdict.outcome in (CREATE, UPDATE)]
            values = {self._key(row): self._values(row, is_new=self.present(row) is None) for row in changing}
            if any(student_id <= 0 or catalog_id <= 0 for student_id, catalog_id, _ in values):
                written += super().write_all(batch)
                continue
            try:
                completions.put_all(values, self.context)
            except Problem:
                written += super().write_all(batch)
            else:
                written += verdicts
        return written

    def _values(self, row: Staged, *, is_new: bool) -> dict[str, Any]:
        values_of_row = {name: value for name, value in row.values.items() if name in VALUES}
        values: dict[str, Any] = (NEW if is_new else CHANGED).load(values_of_row)
        return values

    def put(self, row: Staged, *, is_new: bool) -> None:
        """Write a completion."""
        completions.put(*self._key(row), self._values(row, is_new=is_new), self.context)
