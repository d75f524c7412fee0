"""Giving free seats to those who wait, in the order of the queue.

Called after the commit of whatever freed a seat, raised a limit or joined a queue. It is a transaction of its
own: its failure never changes the answer already committed, and what a crash prevented is found from the state,
by the next request on that course or by `course-management promote`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import structlog
from sqlalchemy import Integer, String, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from ...database import autocommit, kind_of, retry, run, transaction
from ...logs import milliseconds_since
from ...models import ENROLLED, WAITLISTED, Id, UtcDateTime, among, courses, enrollments, utcnow
from .. import Context
from .statements import course_ids, lock_courses, seat_free

ACTOR = "promotion"
BATCH = 100
"""Students promoted in one transaction: how long one lock is held."""
TIME_LIMIT_S = 0.5
"""How long one request goes on promoting; the rest is found from the state."""

log = structlog.get_logger(__name__)

_ALL_DUE = select(courses.c.id).where(courses.c.waiting > 0, seat_free(courses)).order_by(courses.c.id)
_DUE = _ALL_DUE.where(among(courses.c.id, course_ids))
_FREE = lock_courses(courses.c.capacity, courses.c.seats_taken)
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
    )
    .returning(enrollments.c.student_id)
)


def promote(course_list: Sequence[int], context: Context) -> int:
    """Seat those who wait for `course_list` while there are seats. Returns how many were seated; never raises."""
    stop = time.monotonic() + TIME_LIMIT_S
    seated = 0
    progress = bool(course_list)
    try:
        while progress:
            progress = False
            for row in autocommit(_DUE, {"course_ids": course_list}):
                batch = _promote_course(row.id, context)
                seated += batch
                progress = progress or batch > 0
                if time.monotonic() > stop:
                    return seated
    except SQLAlchemyError as error:
        _postponed(course_list, error)
    return seated


def promote_all(context: Context) -> tuple[int, int]:
    """Seat those who wait in every course that has seats, whatever prevented it before.

    Returns how many were seated, and how many courses still have seats to give (because their promotion failed).
    """
    seated = 0
    while due := [row.id for row in autocommit(_ALL_DUE)]:
        batch = sum(promote([course_id], context) for course_id in due)
        if not batch:
            break
        seated += batch
    return seated, len(due)


def _promote_course(course_id: int, context: Context) -> int:
    """One batch of one course; a course that cannot be had now does not stop the others."""
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


def _promote_batch(course_id: int, context: Context) -> list[int]:
    with transaction() as connection:
        found = run(connection, _FREE, {"course_ids": [course_id]})
        if not found:
            return []
        (course,) = found
        free = BATCH if course.capacity is None else min(course.capacity - course.seats_taken, BATCH)
        values = {"course": course_id, "seats": free, "at": utcnow(), "request": context.request_id}
        seated = run(connection, _PROMOTE, values)
        return [row.student_id for row in seated]
