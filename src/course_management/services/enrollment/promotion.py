"""Promote students from waitlists to free seats, in the order of each waitlist.

A request promotes after its commit, for a bounded time; the background job (`background/promotion.py`) and
`course-management promote` do the rest. A promotion locks the course first and reads the head of its waitlist under
that lock. So any number of processes may promote at the same time: no student is promoted twice, no course is oversold,
and the order is kept. A promotion is a transaction of its own: its failure never changes a response that was already
decided, and after a crash, the state of the database says what is left to promote.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import Integer, String, bindparam, null, select, update
from sqlalchemy.exc import SQLAlchemyError

from ...context import RequestContext
from ...database import AnyRow, autocommit, kind_of, retry, run, transaction
from ...database.types import Id, UtcDateTime, among, utcnow
from ...log_output import milliseconds_since
from ...models import ENROLLED, WAITLISTED, courses, enrollments
from .statements import CLEAR_PASSED_OVER, course_ids, lock_courses, open_without_rules, seat_free

ACTOR = "promotion"
BATCH = 100
"""Most students promoted in one transaction, which bounds how long one lock is held."""
TIME_LIMIT_S = 0.25
"""How long one request continues to promote; it promotes at least one batch. The rest is background work."""

log = structlog.get_logger(__name__)

_ALL_DUE = (
    select(courses.c.id)
    .where(courses.c.waiting > 0, seat_free(courses), open_without_rules(courses))
    .order_by(courses.c.id)
)
_DUE = _ALL_DUE.where(among(courses.c.id, course_ids))
_FREE = lock_courses(courses.c.capacity, courses.c.seats_taken, courses.c.last_event_at).where(
    open_without_rules(courses)
)
_HEAD = (
    select(enrollments.c.student_id)
    .where(enrollments.c.course_id == bindparam("course", type_=Id), enrollments.c.queue_number.is_not(None))
    .order_by(enrollments.c.queue_number)
    .limit(bindparam("seats", type_=Integer))
)
_PROMOTE = (
    update(enrollments)
    .where(
        enrollments.c.course_id == bindparam("course", type_=Id),
        enrollments.c.student_id.in_(_HEAD),
    )
    .values(
        status=ENROLLED,
        previous_status=WAITLISTED,
        status_since=bindparam("at", type_=UtcDateTime),
        queue_number=None,
        revision=enrollments.c.revision + 1,
        actor=ACTOR,
        request_id=bindparam("request", type_=String),
        reason=null(),
        **CLEAR_PASSED_OVER,
    )
    .returning(enrollments.c.student_id)
)


class Promotion(NamedTuple):
    """The result of a bounded promotion.

    `pending`: students may still wait beside a free seat, because the time limit was reached or the database failed.
    """

    promoted: int
    pending: bool


def promote(course_list: Sequence[int], context: RequestContext) -> Promotion:
    """Promote from the waitlists of `course_list` into free seats, for a bounded time. Never raises."""
    if not course_list:
        return Promotion(0, pending=False)
    stop = time.monotonic() + TIME_LIMIT_S
    promoted = 0
    progress = True
    try:
        while due := autocommit(_DUE, {"course_ids": course_list}):
            if not progress:
                return Promotion(promoted, pending=True)
            progress = False
            for row in due:
                batch = promote_batch(row.id, context)
                promoted += batch
                progress = progress or batch > 0
                if time.monotonic() > stop:
                    return Promotion(promoted, pending=True)
    except SQLAlchemyError as error:
        _postponed(course_list, error)
        return Promotion(promoted, pending=True)
    return Promotion(promoted, pending=False)


def promote_all(context: RequestContext) -> tuple[int, int]:
    """Promote in every course with a free seat and waiting students.

    Returns how many were promoted, and how many courses still have both (because their promotion failed).
    """
    promoted = 0
    while due := due_courses():
        batch = sum(promote([course_id], context).promoted for course_id in due)
        if not batch:
            break
        promoted += batch
    return promoted, len(due)


def due_courses() -> list[int]:
    """Find the courses with a free seat while students wait for it; their ids, ascending."""
    return [row.id for row in autocommit(_ALL_DUE)]


def is_due(course: AnyRow) -> bool:
    """Return whether a seat of this course is free while students wait for it."""
    is_open = course.term_id is None and course.closed_at is None
    has_free_seat = course.capacity is None or course.seats_taken < course.capacity
    return bool(is_open and course.waiting > 0 and has_free_seat)


def promote_batch(course_id: int, context: RequestContext) -> int:
    """Promote at most `BATCH` students of one course in one transaction, and log each of them.

    Returns how many. A database error is logged and counts as none, so that one course does not stop the others.
    """
    started = time.perf_counter()
    try:
        batch = retry(functools.partial(_promote_batch, course_id, context), repeatable=True)
    except SQLAlchemyError as error:
        _postponed([course_id], error)
        return 0
    duration_ms = milliseconds_since(started)
    for student_id in batch:
        log.info(
            "enrollment.promoted", student_id=student_id, course_ids=[course_id], codes=[], duration_ms=duration_ms
        )
    return len(batch)


def _postponed(course_list: Sequence[int], error: SQLAlchemyError) -> None:
    log.warning("enrollment.promotion_postponed", course_ids=course_list, codes=[kind_of(error)])


def _promote_batch(course_id: int, context: RequestContext) -> list[int]:
    with transaction() as connection:
        found = run(connection, _FREE, {"course_ids": [course_id]})
        if not found:
            return []
        (course,) = found
        free = BATCH if course.capacity is None else min(course.capacity - course.seats_taken, BATCH)
        now = utcnow()
        at = max(now, course.last_event_at or now)  # as `no_earlier_than_the_ledger`
        values = {"course": course_id, "seats": free, "at": at, "request": context.request_id}
        promoted = run(connection, _PROMOTE, values)
        return [row.student_id for row in promoted]
