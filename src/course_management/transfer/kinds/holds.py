"""Holds: what stops a student."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from ...repositories import import_targets as targets
from ...schemas.fields import Instant
from ...schemas.holds import HoldBody
from ...services import holds
from ..handlers import StudentRecordHandler
from ..kind import Kind, Reference, of_body
from ..staging import Staged
from ..verdicts import UNCHANGED, Verdict

HOLD_KIND = Kind(
    "holds",
    {"student": Reference(), **of_body(HoldBody, "until"), "until": Instant(allow_none=True)},
    ("student", "kind", "contact", "blocks", "note", "until"),
    ("student kind contact",),
    optional=("note", "until"),
    unit_size=2,
)
VALUES = ("kind", "note", "contact", "blocks", "until")


class HoldHandler(StudentRecordHandler):
    """Places holds; a student may have several of a kind.

    One that an import placed, and that the files no longer say, gives way to a new one of the same kind. Those that
    people placed stay.
    """

    kind = HOLD_KIND
    references: ClassVar = {"student": "student"}

    def read_present(self, rows: Sequence[Staged]) -> None:
        """Read the holds of the students."""
        self._present = targets.holds_of(self.existing_ids("student", rows))
        self._rows: dict[str, list[Staged]] = {}
        for row in rows:
            self._rows.setdefault(row.unit, []).append(row)

    def check(self, row: Staged) -> Verdict | None:
        """Return that a hold is over."""
        return over(row, "until", "hold_over")

    def _found(self, row: Staged) -> Any:
        """Return the hold that says what the row says, or else the one that it replaces; None without either."""
        live = self._present.get((self.id_of("student", row.values["student"]) or 0, row.values["kind"]), ())
        if same := next((hold for hold in live if not self.changed(row, hold)), None):
            return same
        rows = self._rows[row.unit]
        unmatched_rows = [other for other in rows if all(self.changed(other, hold) for hold in live)]
        unmatched_holds = [hold for hold in live if all(self.changed(other, hold) for other in rows)]
        by_import = [hold for hold in unmatched_holds if str(hold.placed_by).startswith("import:")]
        return dict(zip((other.number for other in unmatched_rows), by_import, strict=False)).get(row.number)

    def present(self, row: Staged) -> Any:
        """Return the hold, or None."""
        return self._found(row)

    def put(self, row: Staged, *, is_new: bool) -> None:
        """Place a hold, then release the one that it replaces: the student is stopped all the time."""
        student_id = self.id_of("student", row.values["student"]) or 0
        old = None if is_new else self._found(row)
        values = {name: None if old is None else getattr(old, name) for name in VALUES}
        values |= {name: value for name, value in row.values.items() if name in VALUES}
        values["until"] = instant(row.values.get("until"), values["until"])
        holds.place(student_id, values, self.context)
        if old is not None:
            holds.release(student_id, old.id, self.context)


def over(row: Staged, column: str, code: str) -> Verdict | None:
    """Return the verdict of a row about something that has ended; None if it has not."""
    ends = instant(row.values.get(column))
    if ends is None or ends > datetime.now(UTC):
        return None
    return Verdict(row.number, UNCHANGED, code, f"{column}: It has ended by {row.values[column]}, and is left out.")


def instant(text: str | None, default: datetime | None = None) -> datetime | None:
    """Return the instant of a staged value."""
    return default if text is None else datetime.fromisoformat(text)
