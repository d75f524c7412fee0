"""Enroll and unenroll the students of an import, some students in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..context import RequestContext
from ..errors import Problem
from ..repositories import imports as repository
from ..services import courses, enrollment
from ..services import imports as service
from ..services.enrollment import EnrollmentRequest
from . import kinds, staging
from .handlers import Decided, Handler
from .references import PLANNED, References
from .staging import Staged, Unit
from .verdicts import (
    DROP,
    ENROLL,
    NOT_ENROLLED,
    REFUSE,
    UNCHANGED,
    WAITLIST,
    Verdict,
    not_found,
    of_decision,
    of_outcome,
    without_repetitions,
)

HELD = {"enrolled", "waitlisted"}
ROWS_AT_ONCE = 100
"""Rows of one transaction, which locks their courses for about 10 ms on PostgreSQL."""
_WITHOUT_CHANGE: Mapping[str, tuple[str, str] | tuple[()]] = {
    "enrolled": (),
    "unenrolled": (NOT_ENROLLED, "The student is not enrolled, so there is nothing to drop."),
    "completed": ("completed_in_file", "The file says that it is completed, which changes nothing."),
}
"""Code and sentence of rows that change nothing, by the status in the file."""
ATTEMPTS = 20
"""How often a row is tried while other requests change the same enrollments, or take the seats that were added."""
_IMPORT, _PROMOTION = "import:", "promotion"
"""Actors of the ledger: every import, and the service that promotes from waitlists."""


@dataclass(slots=True)
class _Work:
    """The rows of a student that are left to do, by the id of their course, and the enrollments as they were seen."""

    student_id: int
    dropping: dict[int, Staged] = field(default_factory=dict)
    enrolling: dict[int, Staged] = field(default_factory=dict)
    seen: dict[tuple[int, int], Any] = field(default_factory=dict)

    def rows(self) -> list[Staged]:
        """Return the rows."""
        return [*self.dropping.values(), *self.enrolling.values()]


@dataclass(slots=True)
class EnrollmentHandler(Handler):
    """Enrolls the students in all courses that do not refuse them, and unenrolls those whom an import has enrolled."""

    import_id: int
    context: RequestContext
    on_full: str = "refuse"
    rules_bind: bool = False
    is_planning: bool = True
    kind: kinds.Kind = kinds.ENROLLMENTS
    _students: Mapping[str, int] = field(default_factory=dict)
    _courses: Mapping[str, int] = field(default_factory=dict)
    _present: Mapping[tuple[int, int], Any] = field(default_factory=dict)
    _seats: Mapping[int, Any] = field(default_factory=dict)
    _planned_seats: Counter[int] = field(default_factory=Counter)
    """Seats that the plan has given, by course."""
    _before: Mapping[tuple[str, str | None], Any] = field(default_factory=dict)
    unchecked: int = 0
    """Enrollments of the plan about which the rules were not asked."""
    _raised: dict[int, int] = field(default_factory=dict)
    """The capacities that this import has raised, by course."""

    def load(self, units: Sequence[Unit]) -> None:
        """Read the students, the courses with their seats, and the enrollments."""
        rows = [row for unit in units for row in unit]
        references = References(self.import_id)
        self._students = references.ids("student", {row.unit for row in rows})
        self._courses = references.ids("course", staging.values_of(rows, "course"))
        course_ids = {each for each in self._courses.values() if each != PLANNED}
        self._present = enrollment.enrollments_of({*self._students.values()}, course_ids)
        self._seats = repository.seats_of(course_ids) if self.is_planning else {}
        self._before = repository.applied_before(self.import_id, self.kind.name, {row.unit for row in rows})

    # --- deciding -----------------------------------------------------------------------------------------------

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        kept, verdicts = without_repetitions(unit, lambda row: _status(row) == "enrolled")
        verdicts += [self._decide(row) for row in kept]
        if not self.is_planning:
            return verdicts
        verdicts = self._asking_the_rules(unit, verdicts) if self.rules_bind else verdicts
        self.unchecked += sum(map(self._is_unchecked, self._rows(unit, verdicts)))
        return verdicts

    def _rows(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Staged]:
        """Return the rows that enroll by these verdicts."""
        numbers = {each.number for each in verdicts if each.outcome in (ENROLL, WAITLIST)}
        return [row for row in unit if row.number in numbers]

    def _is_unchecked(self, row: Staged) -> bool:
        """Return whether the rules are asked only later: always unless they bind, and about what is to be created."""
        return not self.rules_bind or PLANNED in (self._students.get(row.unit), self._course_id(row))

    def _decide(self, row: Staged) -> Verdict:
        student_id, course_id = self._students.get(row.unit), self._course_id(row)
        wanted = _status(row)
        if course_id is None:
            return not_found(row, "course", row.values["course"])
        if student_id is None and wanted == "enrolled":
            return not_found(row, "student", row.unit)
        present = self._present.get((student_id or PLANNED, course_id))
        is_held = present is not None and present.status in HELD
        if wanted == "completed" or is_held == (wanted == "enrolled"):
            return Verdict(row.number, UNCHANGED, *_WITHOUT_CHANGE[wanted])
        if present and self._is_of_somebody_else(row, present, wanted):
            detail = f"Somebody has changed it since the last import ({present.status}). That is kept."
            return Verdict(row.number, UNCHANGED, "changed_since", detail)
        if wanted == "unenrolled":
            return Verdict(row.number, DROP)
        return self._seat(row, course_id) if self.is_planning else Verdict(row.number, ENROLL)

    def _is_of_somebody_else(self, row: Staged, present: Any, wanted: str) -> bool:
        """Return whether the last change was not made by an import, so that the row must not undo it.

        Who was unenrolled by somebody is enrolled only if the file is the first to say so.
        """
        before = self._before.get((row.unit, row.part))
        said_before = before and (before["values"].get("status") or "enrolled")
        if present.actor.startswith(_IMPORT) or (present.actor == _PROMOTION and said_before == "enrolled"):
            return False
        return wanted in ("unenrolled", said_before)

    def _seat(self, row: Staged, course_id: int) -> Verdict:
        """Return whether there is a seat, after those that the plan has given already."""
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

    def _asking_the_rules(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Return the verdicts, with refusals by the rules; they cannot be asked about students to be created."""
        works, _ = self._works(unit, verdicts)
        refusals = {
            work.enrolling[each.course_id].number: of_decision(work.enrolling[each.course_id], each)
            for work in works
            if work.enrolling
            for each in enrollment.explain(self._enroll_request(work))
            if {reason.code for reason in each.reasons} - {"course_full"}
        }
        return [refusals.get(each.number, each) for each in verdicts]

    # --- writing ------------------------------------------------------------------------------------------------

    def write_all(self, decided: Sequence[Decided]) -> list[Verdict]:
        """Do what was decided. Verdicts about changes are noted in their transaction, and are not returned.

        Who was changed meanwhile is decided again.
        """
        done: list[Verdict] = []
        left = self._begin(decided, done)
        for _ in range(ATTEMPTS):
            changed = [rows for part in _parts(left) for rows in self._apply(part, done)]
            left = [work for work in left if work.rows()]
            if changed:
                self.load(changed)
                left += self._begin([(rows, self.decide(rows)) for rows in changed], done)
            if not left:
                return done
        detail = "Other requests changed the enrollment, or took the seat, again and again. Import once more."
        return [*done, *(Verdict(row.number, REFUSE, "busy", detail) for work in left for row in work.rows())]

    def _begin(self, decided: Sequence[Decided], done: list[Verdict]) -> list[_Work]:
        begun = []
        for unit, verdicts in decided:
            works, others = self._works(unit, verdicts)
            done += others
            begun += [work for work in works if work.seen]
        return begun

    def _works(self, unit: Unit, verdicts: Sequence[Verdict]) -> tuple[list[_Work], list[Verdict]]:
        """Return what is to do for a student, and the verdicts about the other rows."""
        rows = {row.number: row for row in unit}
        student_id = self._students.get(unit[0].unit, PLANNED)
        works, others = [_Work(student_id)], list[Verdict]()
        for verdict in verdicts:
            work = works[-1]
            row = rows[verdict.number]
            # A course that was full by the plan is tried, too: a seat may be free.
            is_change = verdict.outcome in (ENROLL, WAITLIST, DROP) or verdict.code == "course_full"
            course_id = self._course_id(row) or PLANNED
            chosen = work.dropping if verdict.outcome == DROP else work.enrolling
            if not is_change:
                others.append(verdict)
            elif PLANNED in (student_id, course_id):
                detail = "The student or the course was refused."
                others.append(Verdict(row.number, REFUSE, "reference_refused", detail))
            elif first := chosen.get(course_id):
                detail = f"The row names the same course as line {first.line} of {first.file}."
                others.append(Verdict(row.number, UNCHANGED, "duplicate_row", detail))
            else:
                pair = student_id, course_id
                chosen[course_id], work.seen[pair] = row, self._present.get(pair)
                if len(work.seen) == ROWS_AT_ONCE:
                    works.append(_Work(student_id))
        return works, others

    def _apply(self, works: Sequence[_Work], done: list[Verdict]) -> list[Unit]:
        """Do some work in one transaction. What is left of it is to be tried again; return rows to decide again."""
        asked = [(work, request) for work in works for request in self._requests(work)]

        def note(execute: Any, results: Sequence[enrollment.Result]) -> None:
            verdicts = [
                verdict
                for (work, _), result in zip(asked, results, strict=True)
                if result and result.outcome_by_course
                for verdict in self._verdicts(work, result)
            ]
            service.note_within(execute, self.import_id, verdicts, applied=True)

        seen = {pair: row for work in works for pair, row in work.seen.items() if row is not None}
        with service.letting_others_write():
            results = enrollment.exchange_all([request for _, request in asked], seen, note)
        changed: list[Unit] = []
        refused: list[tuple[_Work, Any]] = []
        for (work, request), result in zip(asked, results, strict=True):
            rows = work.dropping if request.instead_of else work.enrolling
            if result is None:
                changed.append([*rows.values()])
                rows.clear()
            elif result.outcome_by_course:
                rows.clear()
            else:
                refused += [(work, decision) for decision in result.decisions]
        self._after_refusals(refused, done)
        return changed

    def _requests(self, work: _Work) -> Iterator[EnrollmentRequest]:
        if work.dropping:
            yield EnrollmentRequest(
                work.student_id, [], context=self.context, instead_of=[*work.dropping], rules_bind=self.rules_bind
            )
        if work.enrolling:
            yield self._enroll_request(work)

    def _enroll_request(self, work: _Work) -> EnrollmentRequest:
        return EnrollmentRequest(
            work.student_id,
            [*work.enrolling],
            context=self.context,
            waitlist=self.on_full == "waitlist",
            chosen_credits={
                course_id: round(100 * chosen)
                for course_id, row in work.enrolling.items()
                if (chosen := row.values.get("credits")) is not None
            },
            rules_bind=self.rules_bind,
        )

    def _verdicts(self, work: _Work, result: enrollment.EnrollmentResult) -> Iterator[Verdict]:
        for decision in result.decisions:
            row = work.dropping.get(decision.course_id) or work.enrolling[decision.course_id]
            raised = self._raised.get(decision.course_id)
            yield of_outcome(row, result.outcome_by_course.get(decision.course_id), decision, raised)

    def _after_refusals(self, refused: Sequence[tuple[_Work, Any]], done: list[Verdict]) -> None:
        """Raise the capacities that are missing, if that was asked for; the other refusals are final."""
        missing = Counter(each.course_id for _, each in refused if self._is_only_full(each))
        raised = {course_id for course_id, seats in missing.items() if self._raise_capacity(course_id, seats)}
        for work, decision in refused:
            is_raised = decision.course_id in raised and self._is_only_full(decision)
            if decision.outcome == "eligible" or is_raised:
                continue
            row = work.dropping.pop(decision.course_id, None) or work.enrolling.pop(decision.course_id)
            done.append(of_decision(row, decision))

    def _is_only_full(self, decision: Any) -> bool:
        return self.on_full == "raise" and [each.code for each in decision.reasons] == ["course_full"]

    def _raise_capacity(self, course_id: int, seats: int) -> bool:
        course = repository.seats_of([course_id])[course_id]
        capacity = course.seats_taken + course.waiting + seats
        try:
            courses.change(course_id, {"capacity": capacity}, None, self.context)
        except Problem:
            return False
        self._raised[course_id] = capacity
        return True

    def _course_id(self, row: Staged) -> int | None:
        return self._courses.get(str(row.values["course"]))


def _status(row: Staged) -> str:
    return str(row.values.get("status") or "enrolled")


def _parts(works: Iterable[_Work]) -> Iterator[list[_Work]]:
    """Yield the work of one transaction after the other."""
    part: list[_Work] = []
    size = 0
    for work in works:
        if part and size + len(work.rows()) > ROWS_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(work)
        size += len(work.rows())
    if part:
        yield part
