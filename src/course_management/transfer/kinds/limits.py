"""Limits: the most credits of single students in a term, in the place of the term's limit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ...repositories import import_targets as targets
from ...schemas.catalog import LimitBody
from ...services import credit_limits
from ..handlers import StudentRecordHandler
from ..kind import Kind, Reference, of_body
from ..staging import Staged

LIMIT_KIND = Kind(
    "limits",
    {"student": Reference(), "term": Reference(), **of_body(LimitBody)},
    ("student", "term"),
    ("student term credit_limit",),
)


class LimitHandler(StudentRecordHandler):
    """Adds and changes limits."""

    kind = LIMIT_KIND
    references: ClassVar = {"student": "student", "term": "term"}

    def read_present(self, rows: Sequence[Staged]) -> None:
        """Read the limits of the students."""
        self._present = targets.limits_of(self.existing_ids("student", rows))

    def _key(self, row: Staged) -> tuple[int, int]:
        values = row.values
        return self.id_of("student", values["student"]) or 0, self.id_of("term", values["term"]) or 0

    def present(self, row: Staged) -> Any:
        """Return the limit, or None."""
        return self._present.get(self._key(row))

    def put(self, row: Staged, *, is_new: bool) -> None:
        """Write a limit."""
        del is_new
        credit_limit = Decimal(str(row.values["credit_limit"]))
        credit_limits.put(*self._key(row), credit_limit, self.context)
