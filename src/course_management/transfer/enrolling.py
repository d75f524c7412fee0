"""Enroll and unenroll the students of an import, some students in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..context import RequestContext
from ..errors import Problem
from ..repositories import imports as repository
from ..services import courses, enrollment
from ..services import imports as service
from ..services.enrollment import Decision, EnrollmentRequest, EnrollmentResult
from . import kinds
from .enrollment_changes import ROWS_AT_ONCE, StudentChanges, by_transaction
from .enrollment_plan import EnrollmentPlan, chosen_credits
from .handlers import Decided, Handler
from .references import TO_CREATE
from .staging import Staged, Unit
from .verdicts import DROP, ENROLL, REFUSE, UNCHANGED, UPDATE, WAITLIST, Verdict, of_decision, of_outcome

ATTEMPTS = 20
"""How often a row is tried while other requests change the same enrollments, or take the seats that were added."""


@dataclass(slots=True)
class EnrollmentHandler(Handler):
    """Enrolls the students in all courses that do not refuse them, and unenrolls those whom an import has enrolled."""

    import_id: int
    context: RequestContext
    on_full: str = "refuse"
    rules_bind: bool = False
    is_planning: bool = True
    kind: kinds.Kind = kinds.ENROLLMENT_KIND
    unchecked: int = 0
    """Enrollments of the plan about which the rules were not asked."""
    _plan: EnrollmentPlan = field(init=False)
    _raised: dict[int, int] = field(default_factory=dict)
    """The capacities that this import has raised, by course."""

    def __post_init__(self) -> None:
        """Prepare the plan."""
        self._plan = EnrollmentPlan(self.import_id, self.on_full, self.is_planning)

    def load(self, units: Sequence[Unit]) -> None:
        """Read the students, the courses with their seats, and the enrollments."""
        self._plan.load(units)

    # --- deciding -----------------------------------------------------------------------------------------------

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        verdicts = self._plan.decide(unit)
        if not self.is_planning:
            return verdicts
        verdicts = self._refuse_by_rules(unit, verdicts) if self.rules_bind else verdicts
        enrolling = {verdict.number for verdict in verdicts if verdict.outcome in (ENROLL, WAITLIST)}
        self.unchecked += sum(self._is_unchecked(row) for row in unit if row.number in enrolling)
        return verdicts

    def _is_unchecked(self, row: Staged) -> bool:
        """Return whether the rules are asked only later: always unless they bind, and about what is to be created."""
        return not self.rules_bind or TO_CREATE in (self._plan.student_id(row), self._plan.course_id(row))

    def _refuse_by_rules(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Return the verdicts, with refusals by the rules; they cannot be asked about students to be created."""
        all_changes, _ = self._changes(unit, verdicts)
        refusals = {
            row.number: of_decision(row, decision)
            for changes in all_changes
            if changes.enrolling
            for decision in enrollment.dry_run(self._enroll_request(changes))
            if {reason.code for reason in decision.reasons} - {"course_full"}
            for row in [changes.enrolling[decision.course_id]]
        }
        return [refusals.get(verdict.number, verdict) for verdict in verdicts]

    # --- writing ------------------------------------------------------------------------------------------------

    def write_all(self, decided: Sequence[Decided]) -> list[Verdict]:
        """Do what was decided. Verdicts about changes are noted in their transaction, and are not returned.

        About students who were changed meanwhile, decide again.
        """
        verdicts: list[Verdict] = []
        todo = self._begin(decided, verdicts)
        for _ in range(ATTEMPTS):
            changed = [rows for batch in by_transaction(todo) for rows in self._apply(batch, verdicts)]
            todo = [changes for changes in todo if changes.rows()]
            if changed:
                self.load(changed)
                todo += self._begin([(rows, self.decide(rows)) for rows in changed], verdicts)
            if not todo:
                return verdicts
        detail = "Other requests changed the enrollment, or took the seat, again and again. Import once more."
        busy = [Verdict(row.number, REFUSE, "busy", detail) for changes in todo for row in changes.rows()]
        return [*verdicts, *busy]

    def _begin(self, decided: Sequence[Decided], verdicts: list[Verdict]) -> list[StudentChanges]:
        """Return the changes that were decided, and add the verdicts about the other rows to `verdicts`."""
        todo: list[StudentChanges] = []
        for unit, verdicts_of_unit in decided:
            all_changes, without_change = self._changes(unit, verdicts_of_unit)
            verdicts += without_change
            todo += [changes for changes in all_changes if changes.seen]
        return todo

    def _changes(self, unit: Unit, verdicts: Sequence[Verdict]) -> tuple[list[StudentChanges], list[Verdict]]:
        """Return the changes of a student, and the verdicts about the rows that change nothing."""
        rows = {row.number: row for row in unit}
        student_id = self._plan.student_id(unit[0])
        student_id = TO_CREATE if student_id is None else student_id
        all_changes, without_change = [StudentChanges(student_id)], list[Verdict]()
        for verdict in verdicts:
            changes = all_changes[-1]
            row = rows[verdict.number]
            # A course that was full by the plan is tried, too: a seat may be free.
            is_change = verdict.outcome in (ENROLL, WAITLIST, DROP, UPDATE) or verdict.code == "course_full"
            course_id = self._plan.course_id(row) or TO_CREATE
            row_by_course = changes.dropping if verdict.outcome == DROP else changes.enrolling
            if not is_change:
                without_change.append(verdict)
            elif TO_CREATE in (student_id, course_id):
                detail = "The student or the course was refused."
                without_change.append(Verdict(row.number, REFUSE, "reference_refused", detail))
            elif first := row_by_course.get(course_id):
                detail = f"The row names the same course as line {first.line} of {first.file}."
                without_change.append(Verdict(row.number, UNCHANGED, "duplicate_row", detail))
            else:
                row_by_course[course_id] = row
                changes.seen[student_id, course_id] = self._plan.present(student_id, course_id)
                if len(changes.seen) == ROWS_AT_ONCE:
                    all_changes.append(StudentChanges(student_id))
        return all_changes, without_change

    def _apply(self, batch: Sequence[StudentChanges], verdicts: list[Verdict]) -> list[Unit]:
        """Make some changes in one transaction. What is left of them is to be tried again.

        Returns the rows to decide again, and adds the verdicts about refused rows to `verdicts`.
        """
        requests = [(changes, request) for changes in batch for request in self._requests(changes)]

        def note(execute: Any, results: Sequence[enrollment.BulkResult]) -> None:
            applied = [
                verdict
                for (changes, _), result in zip(requests, results, strict=True)
                if result and result.outcome_by_course
                for verdict in self._verdicts(changes, result)
            ]
            service.record_outcomes_within(execute, self.import_id, applied, applied=True)

        seen = {pair: row for changes in batch for pair, row in changes.seen.items() if row is not None}
        with service.letting_others_write():
            results = enrollment.exchange_all([request for _, request in requests], seen, note)
        changed: list[Unit] = []
        refused: list[tuple[StudentChanges, Decision]] = []
        for (changes, request), result in zip(requests, results, strict=True):
            rows = changes.dropping if request.instead_of else changes.enrolling
            if result is None:
                changed.append([*rows.values()])
                rows.clear()
            elif result.outcome_by_course:
                rows.clear()
            else:
                refused += [(changes, decision) for decision in result.decisions]
        verdicts += self._after_refusals(refused)
        return changed

    def _requests(self, changes: StudentChanges) -> Iterator[EnrollmentRequest]:
        if changes.dropping:
            yield EnrollmentRequest(
                changes.student_id, [], context=self.context, instead_of=[*changes.dropping], rules_bind=self.rules_bind
            )
        if changes.enrolling:
            yield self._enroll_request(changes)

    def _enroll_request(self, changes: StudentChanges) -> EnrollmentRequest:
        return EnrollmentRequest(
            changes.student_id,
            [*changes.enrolling],
            context=self.context,
            waitlist=self.on_full == "waitlist",
            chosen_credits={
                course_id: chosen
                for course_id, row in changes.enrolling.items()
                if (chosen := chosen_credits(row)) is not None
            },
            changes_credits=True,
            rules_bind=self.rules_bind,
        )

    def _verdicts(self, changes: StudentChanges, result: EnrollmentResult) -> Iterator[Verdict]:
        for decision in result.decisions:
            course_id = decision.course_id
            outcome, capacity = result.outcome_by_course.get(course_id), self._raised.get(course_id)
            yield of_outcome(changes.row_of(course_id), outcome, decision, capacity)

    def _after_refusals(self, refused: Sequence[tuple[StudentChanges, Decision]]) -> Iterator[Verdict]:
        """Raise the capacities that are missing, if that was asked for; yield the other refusals, which are final."""
        missing = Counter(decision.course_id for _, decision in refused if self._is_only_full(decision))
        raised = {course_id for course_id, seats in missing.items() if self._raise_capacity(course_id, seats)}
        for changes, decision in refused:
            is_raised = decision.course_id in raised and self._is_only_full(decision)
            if decision.outcome != "eligible" and not is_raised:
                yield of_decision(changes.take_row_of(decision.course_id), decision)

    def _is_only_full(self, decision: Decision) -> bool:
        return self.on_full == "raise" and [reason.code for reason in decision.reasons] == ["course_full"]

    def _raise_capacity(self, course_id: int, seats: int) -> bool:
        course = repository.seats_of([course_id])[course_id]
        capacity = course.seats_taken + course.waiting + seats
        try:
            courses.change(course_id, {"capacity": capacity}, None, self.context)
        except Problem:
            return False
        self._raised[course_id] = capacity
        return True
