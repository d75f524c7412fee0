"""Promote students from waitlists to free seats, in the order of each waitlist.

A request promotes after its commit, for a bounded time; the background job (`background/promotion.py`) and
`course-management promote` do the rest. A promotion locks the course first and reads the head of its waitlist under
that lock. So any number of processes may promote at the same time: no student is promoted twice, no course is oversold,
and the order is kept. A promotion is a transaction of its own: its failure never changes a response that was already
decided, and after a crash, the state of the database says what is left to promote.

Without a term, up to `BATCH` students are promoted in one transaction. In a course of a term, the rules of registration
decide about one student per transaction (`passing_over.py`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, Executable, Integer, bindparam, null, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from ... import metrics
from ...context import RequestContext
from ...database import Raced, autocommit, kind_of, retry, run, transaction, travels
from ...database.types import Id, UtcDateTime, among, utcnow
from ...log_output import milliseconds_since
from ...models import ENROLLED, WAITLISTED, courses, enrollments
from . import parameters
from .decisions import Decision
from .exchanging import lock
from .passing_over import is_due_by_rules, next_student, pass_over, round_parameters
from .statements import CLEAR_MARKS, CLEAR_PASSED_OVER, WAITLISTED_COURSES, decided_by_seats, lock_courses, seat_free

ACTOR = "promotion"
BATCH = 100
"""Most students promoted in one transaction, which bounds how long one lock is held."""
TIME_LIMIT_S = 0.25
"""How long one request continues to promote; it promotes at least one batch. The rest is background work."""
MOST_STUDENTS_JUDGED = 5
"""For how many students of waitlists one request asks the rules of registration. The rest is background work."""

log = structlog.get_logger(__name__)

_ALL_DUE = (
    select(courses.c.id)
    .where(courses.c.waiting > 0, seat_free(courses), or_(decided_by_seats(courses), is_due_by_rules()))
    .order_by(courses.c.id)
)
_DUE_AMONG = travels(_ALL_DUE.where(among(courses.c.id, parameters.course_ids)))
_LOCK = lock_courses(
    courses.c.id,
    courses.c.capacity,
    courses.c.seats_taken,
    courses.c.last_event_at,
    courses.c.term_id,
    courses.c.promotion_round_at,
).where(seat_free(courses), or_(decided_by_seats(courses), courses.c.term_id.is_not(None)))
_HEAD = (
    select(enrollments.c.student_id)
    .where(enrollments.c.course_id == bindparam("course", type_=Id), enrollments.c.queue_number.is_not(None))
    .order_by(enrollments.c.queue_number)
    .limit(bindparam("free_seats", type_=Integer))
)


def promotion_statement(
    condition: ColumnElement[bool], credits_counted: Any = None, actor: Any = ACTOR, ledger_reason: Any = None
) -> Executable:
    """Return the statement that enrolls waiting students of a course, which the transaction has locked."""
    return (
        update(enrollments)
        .where(enrollments.c.course_id == bindparam("course", type_=Id), condition)
        .values(
            status=ENROLLED,
            previous_status=WAITLISTED,
            status_since=bindparam("at", type_=UtcDateTime),
            queue_number=None,
            revision=enrollments.c.revision + 1,
            actor=actor,
            request_id=parameters.request_id,
            reason=null() if ledger_reason is None else ledger_reason,
            credits=credits_counted,
            **CLEAR_PASSED_OVER,
        )
        .returning(enrollments.c.student_id)
    )


_PROMOTE_HEAD = promotion_statement(enrollments.c.student_id.in_(_HEAD))
_PROMOTE_ONE = promotion_statement(
    enrollments.c.student_id == bindparam("student", type_=Id), bindparam("new_credits", type_=Integer)
)


class Promotion(NamedTuple):
    """The result of a bounded promotion.

    `pending`: students may still wait beside a free seat, because a limit was reached or the database failed.
    """

    promoted: int
    pending: bool


class PromotionBatch(NamedTuple):
    """What one transaction did: the students promoted, and those whom a rule stopped, with its codes."""

    promoted: Sequence[int] = ()
    passed_over: Sequence[tuple[int, Sequence[str]]] = ()
    marked: Sequence[int] = ()
    """Those of the promoted students who were passed over in other courses."""

    def __bool__(self) -> bool:
        """Return whether it got further along the waitlist."""
        return bool(self.promoted or self.passed_over)


def promote(course_ids: Sequence[int], context: RequestContext) -> Promotion:
    """Promote from the waitlists of `course_ids` into free seats, within the limits of a request. Never raises."""
    if not course_ids:
        return Promotion(0, pending=False)
    stop = time.monotonic() + TIME_LIMIT_S
    promoted = passed_over = 0
    continues = True
    try:
        while due := _due_among(course_ids):
            if not continues:
                return Promotion(promoted, pending=True)
            continues = False
            for course_id in due:
                batch = promote_batch(course_id, context)
                promoted += len(batch.promoted)
                passed_over += len(batch.passed_over)
                continues = continues or bool(batch)
                if time.monotonic() > stop or passed_over >= MOST_STUDENTS_JUDGED:
                    continues = False
                    break
    except SQLAlchemyError as error:
        _log_postponed(course_ids, error)
        return Promotion(promoted, pending=True)
    return Promotion(promoted, pending=False)


def promote_waiting_first(decisions: Sequence[Decision], context: RequestContext) -> None:
    """Give the free seats that these decisions found reserved to the students who wait for them.

    Raises `Raced` if no student is left waiting beside a free seat: then decide again.
    """
    reserved = [decision.course_id for decision in decisions if decision.seat_reserved]
    # While students still wait beside the seat, the refusal is true: it is reserved for them.
    if reserved and not promote(reserved, context).pending:
        raise Raced


def promote_all(context: RequestContext) -> tuple[int, int]:
    """Promote in every course that has a free seat and students on the waitlist, as the rules allow.

    Returns how many were promoted, and how many courses still have both (because their promotion failed).
    """
    promoted = 0
    while due := due_courses():
        batches = [promote_batch(course_id, context) for course_id in due]
        promoted += sum(len(batch.promoted) for batch in batches)
        if not any(batches):
            break
    return promoted, len(due)


def due_courses() -> list[int]:
    """Find the courses with a free seat and students on the waitlist to look at; their ids, ascending."""
    return [row.id for row in autocommit(_ALL_DUE, round_parameters())]


def _due_among(course_ids: Sequence[int]) -> list[int]:
    return [row.id for row in autocommit(_DUE_AMONG, {"course_ids": course_ids, **round_parameters()})]


def promote_batch(course_id: int, context: RequestContext) -> PromotionBatch:
    """Promote at most `BATCH` students of one course in one transaction, or ask the rules about one; log each of them.

    A database error is logged and counts as no progress, so that one course does not stop the others.
    """
    started = time.perf_counter()
    try:
        batch = retry(functools.partial(_promote_batch, course_id, context), repeatable=True)
    except SQLAlchemyError as error:
        _log_postponed([course_id], error)
        return PromotionBatch()
    duration_ms = milliseconds_since(started)
    events: list[tuple[str, int, Sequence[str]]] = [("promoted", student_id, []) for student_id in batch.promoted]
    events += [("passed_over", student_id, codes) for student_id, codes in batch.passed_over]
    for event, student_id, codes in events:
        facts = {"student_id": student_id, "course_ids": [course_id], "codes": codes, "duration_ms": duration_ms}
        log.info(f"enrollment.{event}", **facts)
        metrics.outcomes(event, codes)
    metrics.promoted(len(batch.promoted))
    for student_id in batch.marked:
        with suppress(SQLAlchemyError):  # then the next round looks again
            retry(functools.partial(_clear_marks, student_id), repeatable=True)
    return batch


def _log_postponed(course_ids: Sequence[int], error: SQLAlchemyError) -> None:
    log.warning("enrollment.promotion_postponed", course_ids=course_ids, codes=[kind_of(error)])


def _promote_batch(course_id: int, context: RequestContext) -> PromotionBatch:
    with transaction() as connection:
        course_rows = run(connection, _LOCK, {"course_ids": [course_id]})
        if not course_rows:
            return PromotionBatch()
        (course,) = course_rows
        now = utcnow()
        at = max(now, course.last_event_at or now)  # as `no_earlier_than_the_ledger`
        values = {"course": course_id, "at": at, "by_request": context.request_id}
        if course.term_id is None:
            free_seats = BATCH if course.capacity is None else min(course.capacity - course.seats_taken, BATCH)
            rows = run(connection, _PROMOTE_HEAD, values | {"free_seats": free_seats})
            return PromotionBatch(promoted=[row.student_id for row in rows])
        student = next_student(connection, course, context)
        if student is None:
            return PromotionBatch()
        if student.codes:
            pass_over(connection, course, student)
            return PromotionBatch(passed_over=[(student.student_id, student.codes)])
        run(connection, _PROMOTE_ONE, values | {"student": student.student_id, "new_credits": student.credits})
        return PromotionBatch(promoted=[student.student_id], marked=[student.student_id] if student.is_marked else [])


def _clear_marks(student_id: int) -> None:
    """Clear the marks of a student who was promoted: the seat may end what stopped a promotion elsewhere.

    In a transaction of its own, because other courses may have to be locked before the one of the promotion.
    """
    with transaction() as connection:
        execute = functools.partial(run, connection)
        waitlisted_ids = [row.course_id for row in execute(WAITLISTED_COURSES, {"student": student_id})]
        lock(execute, student_id, waitlisted_ids)
        execute(CLEAR_MARKS, {"student": student_id, "course_ids": waitlisted_ids})
