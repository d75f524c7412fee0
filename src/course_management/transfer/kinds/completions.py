"""Completions: what students have completed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...repositories import import_targets as targets
from ...schemas.catalog import CompletionBody
from ...schemas.fields import Text
from ...services import completions
from ..handlers import FactHandler
from ..kind import Kind, Reference, of_body
from ..staging import Staged

COMPLETIONS = Kind(
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
VALUES = CompletionBody().fields


class CompletionHandler(FactHandler):
    """Adds completions, and changes their grades, points and credits."""

    kind = COMPLETIONS
    references: ClassVar = {"student": "student", "catalog": "catalog"}

    def read_present(self, rows: Sequence[Staged]) -> None:
        """Read the completions of the students."""
        students = {self.id_of("student", row.values["student"]) for row in rows}
        self._present = targets.completions_of({each for each in students if each is not None and each > 0})

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

    def put(self, row: Staged, *, is_new: bool) -> None:
        """Write a completion."""
        told = {name: value for name, value in row.values.items() if name in VALUES}
        completions.put(*self._key(row), CompletionBody(partial=not is_new).load(told), self.context)
