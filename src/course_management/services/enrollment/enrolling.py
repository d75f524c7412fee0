"""Enroll a student in one or several courses, all or nothing; safe to repeat.

Courses without a term: one statement decides and applies. Courses with a term: the situation is loaded, the rules are
asked, and one statement takes what was decided if it is still true. If it is not, the second attempt does the same
under the locks of the courses and the student, where nothing can change.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ...context import RequestContext
from ...database import AnyRow, Raced, autocommit, db, retried, run, sequences, transaction
from ...errors import StudentNotFound
from ...models import ENROLLED, WAITLISTED
from .course_memory import CourseMemory, memory_of
from .decided_statements import ENROLL_AS_DECIDED
from .decisions import ALREADY, NOT_ENROLLED, Decision, refuse, waived
from .exchanging import AppliedChanges, ExchangeResult, exchange_under_locks
from .loading import Execute, load, load_without_rules
from .promotion import promote
from .request import EnrollmentRequest
from .situation import Situation
from .statements import ENROLL_BY_SEATS


@dataclass(frozen=True, slots=True)
class CourseOutcome:
    """The outcome for one course.

    `enrolled`, `waitlisted`, `already_enrolled` or `already_waitlisted`; for a course of `instead_of` `unenrolled`,
    `withdrawn`, `left_waitlist` or `not_enrolled`. `position` is the position on the waitlist, from 1; None without
    one.
    """

    course_id: int
    outcome: str
    position: int | None = None


def enroll(request: EnrollmentRequest) -> list[CourseOutcome]:
    """Enroll the student in all of `course_ids`, as the rules of their terms allow, and unenroll from `instead_of`.

    With `waitlist`, the student joins the waitlist of each course that is full. Returns an outcome for each course, in
    the order of `course_ids`, then of `instead_of`. Raises `StudentNotFound`, `CourseNotFound` or `EnrollmentRefused`;
    then nothing has changed.
    """
    return promote_and_report(request, _apply(request))


def promote_and_report(request: EnrollmentRequest, result: ExchangeResult) -> list[CourseOutcome]:
    """Return the outcomes of a request that was applied, after promoting where a seat may have become free."""
    course_ids, instead_of = request.course_ids, request.instead_of
    if isinstance(result, list):
        return [CourseOutcome(decision.course_id, decision.outcome, decision.position) for decision in result]
    outcome_by_course = result.outcome_by_course
    unenrolled = [CourseOutcome(course_id, outcome_by_course.get(course_id, NOT_ENROLLED)) for course_id in instead_of]
    waits = [course_id for course_id in course_ids if outcome_by_course.get(course_id) == WAITLISTED]
    # Also where the student now waits: a seat may have become free since the statement began.
    if freed := [*waits, *instead_of, *result.courses_to_promote]:
        promote(freed, request.context)
    if all(outcome_by_course.get(course_id) == ENROLLED for course_id in course_ids):
        return [*(CourseOutcome(course_id, ENROLLED) for course_id in course_ids), *unenrolled]
    now: dict[int, Decision] = {}
    # The enrollment is committed. If the database fails now, or the student was deleted, only the positions are
    # missing.
    with suppress(SQLAlchemyError, StudentNotFound):
        now = {decision.course_id: decision for decision in explain(replace(request, instead_of=()))}
    return [
        *(_outcome(course_id, outcome_by_course.get(course_id), now.get(course_id)) for course_id in course_ids),
        *unenrolled,
    ]


def explain(request: EnrollmentRequest, *, permit: bool = False) -> list[Decision]:
    """Decide about each course; lock and change nothing. Raises `StudentNotFound`.

    With `permit`, decide as if a permission waived each rule that can be waived.
    """
    wanted = [*request.course_ids, *request.instead_of]
    situation = situation_of(autocommit, request.student_id, wanted, request.context)
    return request.decide(waived(situation) if permit else situation)


def situation_of(execute: Execute, student_id: int, course_ids: Sequence[int], context: RequestContext) -> Situation:
    """Return the situation of the student, by the cheapest query that has all that the rules of these courses need."""
    engine = db.engine
    memory = memory_of(engine)
    situation = None if memory.has_term(course_ids) else load_without_rules(execute, student_id, course_ids)
    if situation is None:
        situation = load(execute, engine.dialect.name, student_id, course_ids, context.time_zone)
        memory.note_terms(situation)
    return situation


@retried(repeatable=True)
def _apply(request: EnrollmentRequest) -> ExchangeResult:
    """Apply the request, unless nothing has to change. Raises the refusals."""
    if request.instead_of:
        return _exchange_under_locks(request)
    memory = memory_of(db.engine)
    if memory.has_term(request.course_ids):
        return _enroll_by_rules(request, *_decide(request))
    return _enroll_by_seats(request, memory)


def _enroll_by_seats(request: EnrollmentRequest, memory: CourseMemory) -> ExchangeResult:
    """Enroll by one statement that decides and applies. If it changes nothing, decide: that gives the reasons."""
    # A full course is probably still full. And the statement has no credits, which only courses of terms have.
    decides_first = bool(request.chosen_credits) or memory.has_refused(request.course_ids, waitlist=request.waitlist)
    changed, conflict = (None, None) if decides_first else _run_enroll_by_seats(request)
    if changed:
        return changed
    situation, decisions = _decide(request)
    if situation.has_rules:
        return _enroll_by_rules(request, situation, decisions)
    if not any(decision.action for decision in decisions):
        return decisions
    if decides_first:
        changed, conflict = _run_enroll_by_seats(request)
    if not changed:
        raise Raced from conflict  # no course refused: the cause is gone, or the statement lost a race
    return changed


def _enroll_by_rules(request: EnrollmentRequest, situation: Situation, decisions: list[Decision]) -> ExchangeResult:
    """Apply these decisions if they are still true; otherwise decide again under the locks."""
    if not any(decision.action for decision in decisions):
        return decisions
    return _take_if_unchanged(request, situation, decisions) or _exchange_under_locks(request)


def _decide(request: EnrollmentRequest) -> tuple[Situation, list[Decision]]:
    """Return the decisions and the situation that they are about. Raises the refusals."""
    situation = situation_of(autocommit, request.student_id, request.course_ids, request.context)
    decisions = request.decide(situation)
    memory_of(db.engine).note(decisions, waitlist=request.waitlist)
    promote_waiting_first(decisions, request.context)
    refuse(decisions)
    return situation, decisions


def _run_enroll_by_seats(request: EnrollmentRequest) -> tuple[AppliedChanges | None, IntegrityError | None]:
    """Run the statement for courses without a term. Return what it changed, or the constraint that refused it."""
    return _run(ENROLL_BY_SEATS, request.parameters(request.course_ids))


def _take_if_unchanged(
    request: EnrollmentRequest, situation: Situation, decisions: Sequence[Decision]
) -> AppliedChanges | None:
    """Apply the decision by one statement, which locks and compares. Return None if something has changed since."""
    if situation.is_waiting:  # what is taken may end what stops a promotion elsewhere
        return None
    changed, _ = _run(ENROLL_AS_DECIDED, request.decided_parameters(situation, decisions))
    return changed


def _run(
    statements: Mapping[str, Executable], values: Mapping[str, Any]
) -> tuple[AppliedChanges | None, IntegrityError | None]:
    """Run a statement in a transaction of its own. Return what it changed, or the constraint that refused it."""
    try:
        return _changed(autocommit(statements[db.engine.dialect.name], values)), None
    except IntegrityError as error:
        if sequences.without_ids(error):
            raise  # the ledger got no id for its line; trying again would not help
        # Something does not exist or was dropped meanwhile, or a constraint decided a race: read the present state.
        return None, error


def _changed(rows: Sequence[AnyRow]) -> AppliedChanges | None:
    return AppliedChanges({row.course_id: row.status for row in rows}) if rows else None


def _exchange_under_locks(request: EnrollmentRequest) -> ExchangeResult:
    """Lock the courses and the student, then exchange: nothing changes in between.

    Not a loop of attempts without locks: sixteen clients of one student needed up to 21 of them.
    """
    with transaction() as connection:
        result = exchange_under_locks(functools.partial(run, connection), request)
    return raise_if_refused(result, request.context)


def raise_if_refused(result: ExchangeResult, context: RequestContext) -> ExchangeResult:
    """Return what `exchange` has applied, or that nothing has to change. Raises the refusals, or `Raced`."""
    if isinstance(result, AppliedChanges):
        return result
    promote_waiting_first(result, context)
    refuse(result)
    return result


def promote_waiting_first(decisions: Sequence[Decision], context: RequestContext) -> None:
    """Give free seats to the students who wait for them. Raises `Raced` if none is left waiting beside a free seat."""
    unclaimed = [decision.course_id for decision in decisions if decision.seat_reserved]
    # While students still wait beside the seat, the refusal is true: it is reserved for them.
    if unclaimed and not promote(unclaimed, context).pending:
        raise Raced


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
