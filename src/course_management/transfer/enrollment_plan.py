"""Decide what becomes of the rows of enrollments, by the enrollments and seats in the database. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..repositories import imports as repository
from ..services import enrollment
from . import kinds, staging
from .references import TO_CREATE, References
from .staging import Staged, Unit
from .verdicts import (
    DROP,
    ENROLL,
    NOT_ENROLLED,
    REFUSE,
    UNCHANGED,
    UPDATE,
    WAITLIST,
    Verdict,
    credits_changed,
    not_found,
    without_repetitions,
)

HELD = {"enrolled", "waitlisted"}
_WITHOUT_CHANGE: Mapping[str, tuple[str, str]] = {
    "unenrolled": (NOT_ENROLLED, "The student is not enrolled, so there is nothing to drop."),
    "waitlisted": ("waitlisted_in_file", "The file says that the student is waitlisted, which changes nothing."),
    "completed": ("completed_in_file", "The file says that it is completed, which changes nothing."),
}
"""Code and sentence of rows that change nothing, by the status in the file."""
_IMPORT, _PROMOTION = "import:", "promotion"
"""Actors of the ledger: every import, and the service that promotes from waitlists."""


@dataclass(slots=True)
class EnrollmentPlan:
    """What rows of enrollments would change. While `is_planning`, it counts the seats that it has given."""

    import_id: int
    on_full: str
    is_planning: bool
    _students: Mapping[str, int] = field(default_factory=dict)
    _courses: Mapping[str, int] = field(default_factory=dict)
    _present: Mapping[tuple[int, int], Any] = field(default_factory=dict)
    _seats: Mapping[int, Any] = field(default_factory=dict)
    _planned_seats: Counter[int] = field(default_factory=Counter)
    """Seats that the plan has given, by course."""
    _last_import: Mapping[tuple[str, str | None], Any] = field(default_factory=dict)

    def load(self, units: Sequence[Unit]) -> None:
        """Read the students, the courses with their seats, and the enrollments."""
        rows = [row for unit in units for row in unit]
        references = References(self.import_id)
        self._students = references.ids("student", {row.unit for row in rows})
        self._courses = references.ids("course", staging.values_of(rows, "course"))
        course_ids = {course_id for course_id in self._courses.values() if course_id != TO_CREATE}
        self._present = enrollment.enrollments_of({*self._students.values()}, course_ids)
        self._seats = repository.seats_of(course_ids) if self.is_planning else {}
        units_loaded = {row.unit for row in rows}
        self._last_import = repository.last_imported_contents(self.import_id, kinds.ENROLLMENT_KIND.name, units_loaded)

    def student_id(self, row: Staged) -> int | None:
        """Return the id of the student of a row, or None; `TO_CREATE` if this import will create the student."""
        return self._students.get(row.unit)

    def course_id(self, row: Staged) -> int | None:
        """Return the id of the course of a row, or None; `TO_CREATE` if this import will create the course."""
        return self._courses.get(str(row.values["course"]))

    def present(self, student_id: int, course_id: int) -> Any:
        """Return the row of the enrollment as it was read, or None."""
        return self._present.get((student_id, course_id))

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        rows, verdicts = without_repetitions(unit, lambda row: _status(row) == "enrolled")
        return [*verdicts, *map(self._decide_row, rows)]

    def _decide_row(self, row: Staged) -> Verdict:
        student_id, course_id, status = self.student_id(row), self.course_id(row), _status(row)
        if course_id is None:
            return not_found(row, "course", row.values["course"])
        if student_id is None and status == "enrolled":
            return not_found(row, "student", row.unit)
        present = self.present(student_id or TO_CREATE, course_id)
        is_held = present is not None and present.status in HELD
        if status == "enrolled" and is_held:
            return self._credits(row, present)
        if status in _WITHOUT_CHANGE and not (status == "unenrolled" and is_held):
            return Verdict(row.number, UNCHANGED, *_WITHOUT_CHANGE[status])
        if present and self._is_of_somebody_else(row, present, status):
            detail = f"Somebody has changed it since the last import ({present.status}). That is kept."
            return Verdict(row.number, UNCHANGED, "changed_since", detail)
        return Verdict(row.number, DROP) if status == "unenrolled" else self._seat(row, course_id)

    def _credits(self, row: Staged, present: Any) -> Verdict:
        """Return whether the row changes the credits of an enrollment, unless somebody has changed them since."""
        chosen = chosen_credits(row)
        if chosen is None or present.status != "enrolled" or chosen == (present.credits or 0):
            return Verdict(row.number, UNCHANGED)
        last_row = self._last_import.get((row.unit, row.part))
        if last_row and last_row["values"].get("credits") == row.values["credits"]:
            detail = "Somebody has changed the credits since the last import. That is kept."
            return Verdict(row.number, UNCHANGED, "changed_since", detail)
        return Verdict(row.number, UPDATE, None, credits_changed(row))

    def _is_of_somebody_else(self, row: Staged, present: Any, status: str) -> bool:
        """Return whether the last change was not made by an import, so that the row must not undo it.

        A student whom somebody has unenrolled is enrolled only if the file is the first to say so.
        """
        last_row = self._last_import.get((row.unit, row.part))
        last_status = last_row and (last_row["values"].get("status") or "enrolled")
        if present.actor.startswith(_IMPORT) or (present.actor == _PROMOTION and last_status == "enrolled"):
            return False
        return status in ("unenrolled", last_status)

    def _seat(self, row: Staged, course_id: int) -> Verdict:
        """Return whether there is a seat, after those that the plan has given already; else the service looks."""
        course = self._seats.get(course_id)
        if course is None or course.capacity is None:
            return Verdict(row.number, ENROLL)
        if not course.waiting and course.seats_taken + self._planned_seats[course_id] < course.capacity:
            self._planned_seats[course_id] += 1
            return Verdict(row.number, ENROLL)
        if self.on_full == "raise":
            return Verdict(row.number, ENROLL, "capacity_raised", f"The capacity of {course.capacity} is raised.")
        if self.on_full == "waitlist":
            return Verdict(row.number, WAITLIST)
        detail = f"All {course.capacity} seats are taken or reserved. Use --on-full waitlist or --on-full raise."
        return Verdict(row.number, REFUSE, "course_full", detail)


def chosen_credits(row: Staged) -> int | None:
    """Return the credits that a row names, in hundredths, or None."""
    named = row.values.get("credits")
    return None if named is None else round(100 * named)


def _status(row: Staged) -> str:
    return str(row.values.get("status") or "enrolled")
