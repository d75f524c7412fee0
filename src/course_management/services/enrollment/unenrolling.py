"""Unenroll a student from courses. The seats go to the students on the waitlist."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from ...context import RequestContext
from ...database import AnyRow, autocommit, db, retried, run, transaction
from ...errors import CourseNotFound, UnenrollmentRefused
from .course_memory import memory_of
from .decided_statements import UNENROLL_AS_DECIDED
from .decisions import NOT_ENROLLED, Decision, raise_if_refused
from .exchanging import lock_and_exchange, unenroll_outcomes
from .loading import situation_of
from .promotion import promote
from .request import EnrollmentRequest
from .results import CourseOutcome, EnrollmentResult
from .statements import UNENROLL_BY_SEATS


def unenroll(
    student_id: int,
    course_ids: Sequence[int],
    *,
    context: RequestContext,
    ledger_reason: str | None = None,
) -> list[CourseOutcome]:
    """Unenroll the student from `course_ids` (distinct). Safe to repeat: a repetition changes nothing.

    The ledger keeps `ledger_reason`. Returns `unenrolled`, `withdrawn`, `left_waitlist` or `not_enrolled` for each
    course, in the order asked. Raises `StudentNotFound`, `CourseNotFound` or `UnenrollmentRefused`; then nothing has
    changed.
    """
    request = EnrollmentRequest(student_id, [], instead_of=course_ids, ledger_reason=ledger_reason, context=context)
    result = _unenroll_once(request)
    promote(result.courses_to_promote, context)
    return [CourseOutcome(course_id, result.outcome_by_course.get(course_id, NOT_ENROLLED)) for course_id in course_ids]


@retried(repeatable=True)
def _unenroll_once(request: EnrollmentRequest) -> EnrollmentResult:
    """Try once to unenroll. Raises the refusals, and `Raced` to begin again."""
    course_ids, backend = request.instead_of, db.engine.dialect.name
    if not memory_of(db.engine).has_term(course_ids):
        rows = autocommit(UNENROLL_BY_SEATS[backend], request.parameters(course_ids))
        if rows:
            return _result(rows, [], course_ids)
    situation = situation_of(autocommit, request.student_id, course_ids, request.context)
    decisions = request.decide(situation)
    _raise_if_refused(decisions)
    if not any(decision.action for decision in decisions):
        # This may repeat a call whose promotion failed.
        return EnrollmentResult(decisions=decisions, courses_to_promote=course_ids)
    if situation.has_rules and not situation.waits_in_term:
        rows = autocommit(UNENROLL_AS_DECIDED[backend], request.decided_parameters(situation, decisions))
        if rows:
            return _result(rows, decisions, course_ids)
    # Where the student waits: what stops a promotion may be one of these courses. Also where the statement came too
    # late: while it waited for its courses, other requests may have taken the student out of those that it had seen,
    # and into others of them.
    with transaction() as connection:
        result = lock_and_exchange(functools.partial(run, connection), request)
    _raise_if_refused(result.decisions)
    return replace(result, courses_to_promote=[*course_ids, *result.courses_to_promote])


def _result(rows: Sequence[AnyRow], decisions: Sequence[Decision], course_ids: Sequence[int]) -> EnrollmentResult:
    """Return the result of a statement that returned `course_id, previous_status, waiting` of each change."""
    outcomes = unenroll_outcomes(rows, decisions)
    has_waitlist = {row.course_id for row in rows if row.waiting}
    # Also in courses that did not change: this may repeat a call whose promotion failed.
    due = [course_id for course_id in course_ids if course_id not in outcomes or course_id in has_waitlist]
    return EnrollmentResult(outcome_by_course=outcomes, decisions=decisions, courses_to_promote=due)


def _raise_if_refused(decisions: Sequence[Decision]) -> None:
    if any(decision.is_unknown for decision in decisions):
        raise CourseNotFound(decisions=[decision.as_dict() for decision in decisions if decision.is_unknown])
    raise_if_refused(decisions, UnenrollmentRefused)
