"""Enroll and unenroll the students of an import, one call per student."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..context import RequestContext
from ..errors import Problem, Reason
from ..repositories import imports as repository
from ..services import courses, enrollment
from ..services.enrollment import EnrollRequest
from . import kinds, staging
from .references import PLANNED, References
from .staging import Staged, Unit
from .verdicts import DROP, ENROLL, REFUSE, UNCHANGED, WAITLIST, Verdict, not_found, refused, without_repetitions

HELD = {"enrolled", "waitlisted"}
AT_ONCE = 100
"""Courses of one call."""
ATTEMPTS = 20
"""How often the capacity of courses is raised for one student while others take the seats."""


@dataclass(slots=True)
class EnrollmentHandler:
    """Enrolls all courses of a student by one call; if one of them is refused, the others by another."""

    import_id: int
    context: RequestContext
    on_full: str = "refuse"
    binding: bool = False
    is_planning: bool = True
    kind: kinds.Kind = kinds.ENROLLMENTS
    _students: Mapping[str, int] = field(default_factory=dict)
    _courses: Mapping[str, int] = field(default_factory=dict)
    _statuses: Mapping[tuple[int, int], Any] = field(default_factory=dict)
    _seats: Mapping[int, Any] = field(default_factory=dict)
    _taken: Counter[int] = field(default_factory=Counter)
    """Seats that the plan has given, by course; when it is applied, those of the units that were loaded together."""
    _before: Mapping[tuple[str, str | None], Any] = field(default_factory=dict)

    def load(self, units: Sequence[Unit]) -> None:
        """Read the students, the courses with their seats, and which of them belong together."""
        rows = [row for unit in units for row in unit]
        if not self.is_planning:
            self._taken.clear()  # the counters of the courses have them
        found = References(self.import_id)
        self._students = found.ids("student", {row.unit for row in rows})
        self._courses = found.ids("course", staging.values_of(rows, "course"))
        course_ids = {each for each in self._courses.values() if each != PLANNED}
        self._statuses = repository.statuses({*self._students.values()}, course_ids)
        self._seats = repository.seats_of(course_ids)
        self._before = repository.applied_before(self.import_id, self.kind.name, {row.unit for row in rows})

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        kept, verdicts = without_repetitions(unit, lambda row: _status(row) == "enrolled")
        return [*verdicts, *map(self._decide, kept)]

    def _decide(self, row: Staged) -> Verdict:
        student, course = self._students.get(row.unit), self._courses.get(str(row.values["course"]))
        wanted = _status(row)
        if course is None:
            return not_found(row, "course", row.values["course"])
        if student is None and wanted == "enrolled":
            return not_found(row, "student", row.unit)
        present = self._statuses.get((student or PLANNED, course))
        is_held = present is not None and present.status in HELD
        if wanted == "completed" or is_held == (wanted == "enrolled"):
            return Verdict(row.number, UNCHANGED)
        if present and self._said_before(row) == wanted and not str(present.actor).startswith("import:"):
            detail = f"Somebody has changed it since the last import ({present.status}). That is kept."
            return Verdict(row.number, UNCHANGED, "changed_since", detail)
        return Verdict(row.number, DROP) if wanted == "unenrolled" else self._seat(row, course)

    def _said_before(self, row: Staged) -> str | None:
        before = self._before.get((row.unit, row.part))
        return before and (before["values"].get("status") or "enrolled")

    def _seat(self, row: Staged, course_id: int) -> Verdict:
        """Return whether there is a seat, after those that the plan has given already."""
        course = self._seats.get(course_id)
        if course is None or course.capacity is None:
            return Verdict(row.number, ENROLL)
        if not course.waiting and course.seats_taken + self._taken[course_id] < course.capacity:
            self._taken[course_id] += 1
            return Verdict(row.number, ENROLL)
        if self.on_full == "raise":
            return Verdict(row.number, ENROLL, "capacity_raised", f"The capacity of {course.capacity} is raised.")
        if self.on_full == "waitlist":
            return Verdict(row.number, WAITLIST)
        detail = f"All {course.capacity} seats are taken or reserved. Use --on-full waitlist or --on-full raise."
        return Verdict(row.number, REFUSE, "course_full", detail)

    def write(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Unenroll, then enroll the student. A course that was full by the plan is tried, too: a seat may be free."""
        rows = {row.number: row for row in unit}
        done = {each.number: each for each in verdicts}
        student_id = self._students.get(unit[0].unit, PLANNED)
        dropping: dict[int, Staged] = {}
        enrolling: dict[int, Staged] = {}
        for each in verdicts:
            row = rows[each.number]
            course_id = self._courses.get(str(row.values["course"]), PLANNED)
            if each.outcome in (ENROLL, WAITLIST) and PLANNED in (student_id, course_id):
                detail = "The student or the course was refused."
                done[row.number] = Verdict(row.number, REFUSE, "reference_refused", detail)
            elif each.outcome == DROP:
                dropping[course_id] = row
            elif each.outcome in (ENROLL, WAITLIST) or each.code == "course_full":
                enrolling[course_id] = row
        if dropping:
            done |= self._unenroll(student_id, dropping)
        ids = list(enrolling)
        for start in range(0, len(ids), AT_ONCE):
            done |= self._enroll(student_id, {each: enrolling[each] for each in ids[start : start + AT_ONCE]})
        return list(done.values())

    def _unenroll(self, student_id: int, rows: Mapping[int, Staged]) -> dict[int, Verdict]:
        notes: dict[int, tuple[Reason, ...]] | None = None if self.binding else {}
        try:
            enrollment.unenroll(student_id, list(rows), context=self.context, notes=notes)
        except Problem as problem:
            return {row.number: _refused(row, problem, course_id) for course_id, row in rows.items()}
        return {row.number: _noted(row, DROP, notes, course_id) for course_id, row in rows.items()}

    def _enroll(self, student_id: int, rows: Mapping[int, Staged]) -> dict[int, Verdict]:
        """Enroll in all courses that do not refuse the student."""
        left, done = dict(rows), dict[int, Verdict]()
        for _ in range(ATTEMPTS + len(rows)):
            if not left:
                return done
            notes: dict[int, tuple[Reason, ...]] | None = None if self.binding else {}
            request = EnrollRequest(
                student_id,
                list(left),
                context=self.context,
                waitlist=self.on_full == "waitlist",
                chosen_credits={
                    each: round(100 * row.values["credits"]) for each, row in left.items() if _credits(row)
                },
                notes=notes,
            )
            try:
                outcomes = enrollment.enroll(request)
            except Problem as problem:
                against = [each for each in problem.members.get("decisions", ()) if each["reasons"]]
                if not against:  # the student was deleted
                    return done | {row.number: refused(row, problem) for row in left.values()}
                for decision in against:
                    if not self._raise_capacity(decision):
                        row = left.pop(decision["course_id"])
                        done[row.number] = _refused(row, problem, decision["course_id"])
            else:
                found = [(left[each.course_id], each) for each in outcomes]
                return done | {
                    row.number: _noted(row, _OUTCOMES[each.outcome], notes, each.course_id) for row, each in found
                }
        detail = "Other students took each seat by which the capacity was raised. Import again."
        return done | {row.number: Verdict(row.number, REFUSE, "course_full", detail) for row in left.values()}

    def _raise_capacity(self, decision: Mapping[str, Any]) -> bool:
        """Raise the capacity by the seats that are missing, if nothing else is against the course."""
        if self.on_full != "raise" or [each["code"] for each in decision["reasons"]] != ["course_full"]:
            return False
        course_id = decision["course_id"]
        course = repository.seats_of([course_id])[course_id]
        values = {"capacity": course.seats_taken + course.waiting + 1}
        try:
            courses.change(course_id, values, None, self.context)
        except Problem:
            return False
        return True


_OUTCOMES = {
    "enrolled": ENROLL,
    "waitlisted": WAITLIST,
    "already_enrolled": UNCHANGED,
    "already_waitlisted": UNCHANGED,
}


def _status(row: Staged) -> str:
    return str(row.values.get("status") or "enrolled")


def _credits(row: Staged) -> bool:
    return row.values.get("credits") is not None


def _noted(row: Staged, outcome: str, notes: Mapping[int, Sequence[Reason]] | None, course_id: int) -> Verdict:
    """Return a verdict with what the rules would have said."""
    found = (notes or {}).get(course_id, ())
    if not found:
        return Verdict(row.number, outcome)
    return Verdict(row.number, outcome, found[0].code, " ".join(each.describe() for each in found))


def _refused(row: Staged, problem: Problem, course_id: int) -> Verdict:
    for each in problem.members.get("decisions", ()):
        if each["course_id"] == course_id and each["reasons"]:
            sentences = " ".join(reason["detail"] for reason in each["reasons"])
            return Verdict(row.number, REFUSE, each["reasons"][0]["code"], sentences)
    return refused(row, problem)
