"""Unenroll a student from courses. The seats go to the students on the waitlist."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from ...context import RequestContext
from ...database import AnyRow, autocommit, db, retried, run, transaction
from ...errors import CourseNotFound, UnenrollmentRefused
from .course_memory import memory_of
from .decided_statements import UNENROLL_AS_DECIDED
from .decisions import NOT_ENROLLED, Decision, refuse
from .enrolling import CourseOutcome, situation_of
from .exchanging import AppliedChanges, exchange_under_locks, unenroll_outcomes
from .promotion import promote
from .request import EnrollmentRequest
from .statements import UNENROLL_BY_SEATS


def unenroll(
    student_id: int,
    course_ids: Sequence[int],
    *,
    context: RequestContext,
    reason: str | None = None,
) -> list[CourseOutcome]:
    """Unenroll the student from `course_ids` (distinct). Safe to repeat: a repetition changes nothing.

    The ledger keeps `reason`. Returns `unenrolled`, `withdrawn`, `left_waitlist` or `not_enrolled` for each course, in
    the order asked. Raises `StudentNotFound`, `CourseNotFound` or `UnenrollmentRefused`; then nothing has changed.
    """
    request = EnrollmentRequest(student_id, [], instead_of=course_ids, reason=reason, context=context)
    changed, freed = _apply_unenrollment(request)
    promote(freed, context)
    return [CourseOutcome(course_id, changed.get(course_id, NOT_ENROLLED)) for course_id in course_ids]


@retried(repeatable=True)
def _apply_unenrollment(request: EnrollmentRequest) -> tuple[Mapping[int, str], Sequence[int]]:
    """Return the outcome of each change, by course id, and the courses in which to promote. Raises the refusals."""
    student_id, course_ids, context = request.student_id, request.instead_of, request.context
    rows: Sequence[AnyRow] = ()
    if not memory_of(db.engine).has_term(course_ids):
        rows = autocommit(UNENROLL_BY_SEATS[db.engine.dialect.name], request.parameters(course_ids))
    if rows:
        return _changed(rows, [], course_ids)
    situation = situation_of(autocommit, student_id, course_ids, context)
    decisions = request.decide(situation)
    _refuse(decisions)
    if not any(decision.action for decision in decisions):
        # This may repeat a call whose promotion failed.
        return {}, course_ids
    if situation.has_rules and not situation.is_waiting:
        values = request.decided_parameters(situation, decisions)
        if rows := autocommit(UNENROLL_AS_DECIDED[db.engine.dialect.name], values):
            return _changed(rows, decisions, course_ids)
    # Where the student waits: what stops a promotion may be one of these courses. Also where the statement came too
    # late: while it waited for its courses, other requests may have taken the student out of those that it had seen,
    # and into others of them.
    with transaction() as connection:
        result = exchange_under_locks(functools.partial(run, connection), request)
    if isinstance(result, AppliedChanges):
        return result.outcome_by_course, [*course_ids, *result.courses_to_promote]
    _refuse(result)
    return {}, course_ids


def _changed(
    rows: Sequence[AnyRow], decisions: Sequence[Decision], course_ids: Sequence[int]
) -> tuple[dict[int, str], list[int]]:
    outcomes = unenroll_outcomes(rows, decisions)
    waiting = {row.course_id for row in rows if row.waiting}
    # Also in courses that did not change: this may repeat a call whose promotion failed.
    return outcomes, [course_id for course_id in course_ids if course_id not in outcomes or course_id in waiting]


def _refuse(decisions: Sequence[Decision]) -> None:
    if any(decision.is_unknown for decision in decisions):
        raise CourseNotFound(decisions=[decision.as_dict() for decision in decisions if decision.is_unknown])
    refuse(decisions, UnenrollmentRefused)
