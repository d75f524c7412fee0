"""Enroll a student in one or several courses, all or nothing; safe to repeat.

Courses without a term: one statement decides and applies. Courses with a term: the situation is loaded, the rules are
asked, and one statement applies what was decided if it is still true. If it is not, the second attempt does the same
under the locks of the courses and the student, where nothing can change.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ...database import Raced, autocommit, db, retried, run, sequences, transaction
from ...errors import StudentNotFound
from ...models import ENROLLED, WAITLISTED
from .course_memory import memory_of
from .decided_statements import ENROLL_AS_DECIDED
from .decisions import ALREADY, NOT_ENROLLED, Decision, raise_if_refused
from .exchanging import lock_and_exchange
from .explaining import dry_run
from .loading import situation_of
from .promotion import promote, promote_waiting_first
from .request import EnrollmentRequest
from .results import CourseOutcome, EnrollmentResult
from .situation import Situation
from .statements import ENROLL_BY_SEATS

Grant = Callable[[Connection, int, str], object]
"""Grants a permission in the transaction of a connection: for the id of a course, and the code of a rule."""


def enroll(request: EnrollmentRequest, grant: Grant | None = None) -> list[CourseOutcome]:
    """Enroll the student in all of `course_ids`, as the rules of their terms allow, and unenroll from `instead_of`.

    With `waitlist`, the student joins the waitlist of each course that is full. With `grant`, it is called for each
    rule that refuses one of the courses and can be waived, instead of the refusal. Returns an outcome for each course,
    in the order of `course_ids`, then of `instead_of`. Raises `StudentNotFound`, `CourseNotFound` or
    `EnrollmentRefused`; then nothing has changed. After an error of the database, the change may have been made.
    """
    result = _enroll_once(request, grant)
    _promote_after(request, result)
    return _outcomes(request, result)


@retried(repeatable=True)
def _enroll_once(request: EnrollmentRequest, grant: Grant | None) -> EnrollmentResult:
    """Try once to enroll: one way, then the other if the first changed nothing. Raises the refusals, and `Raced`."""
    if request.instead_of or grant:
        return _enroll_under_locks(request, grant)
    # The statement by seats has no credits, which only courses of terms have.
    decides_first = bool(request.chosen_credits) or memory_of(db.engine).decides_first(
        request.course_ids, waitlist=request.waitlist
    )
    ways = (_decide_then_enroll, _enroll_by_seats) if decides_first else (_enroll_by_seats, _decide_then_enroll)
    conflict = None
    for enroll_this_way in ways:
        try:
            result = enroll_this_way(request)
        except IntegrityError as error:
            if sequences.without_ids(error):
                raise  # the ledger got no id for its line; trying again would not help
            # Something does not exist or was dropped meanwhile, or a constraint decided a race.
            conflict = error
        else:
            if result:
                return result
    raise Raced from conflict  # no course refused: the cause is gone, or the statement lost a race


def _enroll_by_seats(request: EnrollmentRequest) -> EnrollmentResult | None:
    """Enroll by one statement that decides and applies. Return None if it changed nothing: it gives no reasons.

    It takes students into courses without a term only.
    """
    return _run_alone(ENROLL_BY_SEATS, request.parameters(request.course_ids))


def _decide_then_enroll(request: EnrollmentRequest) -> EnrollmentResult | None:
    """Load the situation, decide, and apply what was decided. Return None if nothing but the seats decides.

    Raises the refusals, also those for want of a seat: so it says why the statement by seats changed nothing.
    """
    situation = situation_of(autocommit, request.student_id, request.course_ids, request.context)
    decisions = request.decide(situation)
    memory_of(db.engine).remember(decisions, waitlist=request.waitlist)
    promote_waiting_first(decisions, request.context)
    raise_if_refused(decisions)
    if not any(decision.action for decision in decisions):
        return EnrollmentResult(decisions=decisions)
    if not situation.has_rules:
        return None
    return _enroll_as_decided(request, situation, decisions) or _enroll_under_locks(request)


def _enroll_as_decided(
    request: EnrollmentRequest, situation: Situation, decisions: Sequence[Decision]
) -> EnrollmentResult | None:
    """Apply the decisions by one statement, which locks and compares. Return None if something has changed since."""
    if situation.waits_in_term:  # what is applied may end what stops a promotion elsewhere
        return None
    with suppress(IntegrityError):  # under locks, it is decided again
        return _run_alone(ENROLL_AS_DECIDED, request.decided_parameters(situation, decisions))
    return None


def _run_alone(statements: Mapping[str, Executable], parameters: Mapping[str, Any]) -> EnrollmentResult | None:
    """Run a statement in a transaction of its own. Return what it changed; None if that was nothing."""
    rows = autocommit(statements[db.engine.dialect.name], parameters)
    return EnrollmentResult(outcome_by_course={row.course_id: row.status for row in rows}) if rows else None


def _enroll_under_locks(request: EnrollmentRequest, grant: Grant | None = None) -> EnrollmentResult:
    """Lock the courses and the student, then exchange: nothing changes in between.

    Not a loop of attempts without locks: sixteen clients of one student needed up to 21 of them.
    """
    with transaction() as connection:
        waive = functools.partial(grant, connection) if grant else None
        result = lock_and_exchange(functools.partial(run, connection), request, waive)
    promote_waiting_first(result.decisions, request.context)
    raise_if_refused(result.decisions)
    return result


def _promote_after(request: EnrollmentRequest, result: EnrollmentResult) -> None:
    """Promote from the waitlists of the courses in which a seat may have become free."""
    if result.outcome_by_course:
        # Also where the student now waits: a seat may have become free since the statement began.
        waitlisted = [course_id for course_id, outcome in result.outcome_by_course.items() if outcome == WAITLISTED]
        if course_ids := [*waitlisted, *request.instead_of, *result.courses_to_promote]:
            promote(course_ids, request.context)


def _outcomes(request: EnrollmentRequest, result: EnrollmentResult) -> list[CourseOutcome]:
    """Return the outcome for each course."""
    outcome_by_course = result.outcome_by_course
    if not outcome_by_course:
        return [CourseOutcome(decision.course_id, decision.outcome, decision.position) for decision in result.decisions]
    unenrolled = [
        CourseOutcome(course_id, outcome_by_course.get(course_id, NOT_ENROLLED)) for course_id in request.instead_of
    ]
    if all(outcome_by_course.get(course_id) == ENROLLED for course_id in request.course_ids):
        return [*(CourseOutcome(course_id, ENROLLED) for course_id in request.course_ids), *unenrolled]
    decision_by_course: dict[int, Decision] = {}
    try:
        decision_by_course = {decision.course_id: decision for decision in dry_run(replace(request, instead_of=()))}
    except (SQLAlchemyError, StudentNotFound):
        # The enrollment is committed. Only positions are missing, unless the statement has left out a course: whether
        # the student is enrolled or waitlisted there is not known, and a guess would be wrong.
        if not outcome_by_course.keys() >= set(request.course_ids):
            raise
    enrolled = [
        _outcome(course_id, outcome_by_course.get(course_id), decision_by_course.get(course_id))
        for course_id in request.course_ids
    ]
    return [*enrolled, *unenrolled]


def _outcome(course_id: int, status: str | None, now: Decision | None) -> CourseOutcome:
    """Return the outcome for one course of a request that was applied.

    `status` is the status that the statement wrote, None if the student was enrolled or waitlisted already. `now` is
    the decision a moment later, if it could be read: the student may have been promoted since. If another request has
    unenrolled the student since, the outcome is that of this request.
    """
    held = now.outcome if now and now.outcome in ALREADY.values() else None
    if status is None:
        status = held or ALREADY[ENROLLED]
    elif held == ALREADY[ENROLLED]:
        status = ENROLLED
    return CourseOutcome(course_id, status, now.position if now else None)
