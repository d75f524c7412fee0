"""Unenroll from courses and enroll in others, in a transaction whose locks let nothing change in between.

Swaps, replacements and permits are such exchanges, and so is the second attempt of each request that lost a race: the
same without courses to unenroll from. A change of the student's courses may end what stopped a promotion elsewhere. So
the courses for which the student waits are locked as well, and the marks of having been passed over there are cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import select

from ...database import AnyRow, Raced, db
from ...errors import StudentNotFound
from ...models import ENROLLED, WAITLISTED, WITHDRAWN, students
from . import parameters
from .decided_statements import CHANGE_CREDITS, ENROLL_AS_DECIDED, UNENROLL_AS_DECIDED
from .decisions import REFUSED, Decision, with_rules_waived
from .loading import Execute, load_by_rules
from .request import EnrollmentRequest
from .results import EnrollmentResult
from .situation import Situation
from .statements import CLEAR_MARKS, LOCK_COURSES, LOCK_STUDENT, WAITLISTED_COURSES

Waive = Callable[[int, str], object]
"""Called for each rule that is waived, in the present transaction: with the id of the course, and the rule's code."""
UNENROLL_OUTCOMES = {ENROLLED: "unenrolled", WAITLISTED: "left_waitlist"}
"""The outcome of unenrolling, by the previous status; `withdrawn` where dropping is over."""

CREDITS_CHANGED = "credits_changed"

_REVISION = select(students.c.schedule_revision).where(students.c.id == parameters.student_id)


def lock_and_exchange(execute: Execute, request: EnrollmentRequest, waive: Waive | None = None) -> EnrollmentResult:
    """Lock, then `exchange` in the transaction of `execute`. Raises `StudentNotFound`, `Raced`."""
    waitlisted_ids = [row.course_id for row in execute(WAITLISTED_COURSES, {"student": request.student_id})]
    lock(execute, request.student_id, {*request.course_ids, *request.instead_of, *waitlisted_ids})
    return exchange(execute, request, waitlisted_ids, waive)


def lock(execute: Execute, student_id: int, course_ids: Iterable[int]) -> Sequence[AnyRow]:
    """Lock the courses, ascending by id, then the student. Return the courses. Raises `StudentNotFound`."""
    locked = execute(LOCK_COURSES, {"course_ids": sorted(course_ids)})
    if not execute(LOCK_STUDENT, {"student": student_id}):
        raise StudentNotFound
    return locked


def exchange(
    execute: Execute, request: EnrollmentRequest, waitlisted_ids: Sequence[int], waive: Waive | None = None
) -> EnrollmentResult:
    """Load, decide and apply, unless a decision refuses or nothing has to change.

    `waitlisted_ids` are the locked courses for which the student waits. With `waive`, rules that can be waived do not
    refuse: unless something else does, it is called for each of them before anything is applied. Raises
    `StudentNotFound`, and `Raced` if a course without a term got one.
    """
    course_ids = [*request.course_ids, *request.instead_of]
    situation = load_by_rules(execute, request.student_id, course_ids, request.context)
    decisions = request.decide(with_rules_waived(situation) if waive else situation)
    if any(decision.outcome == REFUSED for decision in decisions) or not any(decision.action for decision in decisions):
        return EnrollmentResult(decisions=decisions)
    if waive:
        for decision in request.decide(situation):
            for code in decision.waivable_codes:
                waive(decision.course_id, code)
    outcomes = _apply_unenrolling(execute, request, situation, decisions)
    if outcomes:  # which has raised the revision
        (student,) = execute(_REVISION, {"student": request.student_id})
        situation = replace(situation, schedule_revision=student.schedule_revision)
    outcomes |= _apply_enrolling(execute, request, situation, decisions)
    outcomes |= _apply_credits(execute, request, situation, decisions)
    cleared = (
        execute(CLEAR_MARKS, {"student": request.student_id, "course_ids": waitlisted_ids}) if waitlisted_ids else ()
    )
    return EnrollmentResult(
        outcome_by_course=outcomes, decisions=decisions, courses_to_promote=[row.course_id for row in cleared]
    )


def _apply_unenrolling(
    execute: Execute, request: EnrollmentRequest, situation: Situation, decisions: Sequence[Decision]
) -> dict[int, str]:
    unenrolling = [decision for decision in decisions if decision.allows("unenroll")]
    if not unenrolling:
        return {}
    rows = execute(UNENROLL_AS_DECIDED[db.engine.dialect.name], request.decided_parameters(situation, unenrolling))
    if len(rows) < len(unenrolling):
        raise Raced
    return unenroll_outcomes(rows, unenrolling)


def unenroll_outcomes(rows: Sequence[AnyRow], decisions: Sequence[Decision]) -> dict[int, str]:
    """Return the outcome of unenrolling for each row of the statements, by course."""
    withdrawn = {decision.course_id for decision in decisions if decision.new_status == WITHDRAWN}
    return {
        row.course_id: WITHDRAWN if row.course_id in withdrawn else UNENROLL_OUTCOMES[row.previous_status]
        for row in rows
    }


def _apply_enrolling(
    execute: Execute, request: EnrollmentRequest, situation: Situation, decisions: Sequence[Decision]
) -> dict[int, str]:
    if not any(decision.allows("enroll", "waitlist") for decision in decisions):
        return {}
    enrolling = [decision for decision in decisions if decision.course_id in request.course_ids]
    rows = execute(ENROLL_AS_DECIDED[db.engine.dialect.name], request.decided_parameters(situation, enrolling))
    if not rows:
        raise Raced
    return {row.course_id: row.status for row in rows}


def _apply_credits(
    execute: Execute, request: EnrollmentRequest, situation: Situation, decisions: Sequence[Decision]
) -> dict[int, str]:
    changing = [decision for decision in decisions if decision.allows("change_credits")]
    if not changing:
        return {}
    rows = execute(CHANGE_CREDITS[db.engine.dialect.name], request.decided_parameters(situation, changing))
    return {row.course_id: CREDITS_CHANGED for row in rows}
