"""Say how many students another capacity would promote, before it is set. Nothing is locked and nothing changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Integer, bindparam, select

from ...context import RequestContext
from ...database import autocommit
from ...database.types import Id
from ...errors import CourseNotFound
from ...models import courses, enrollments
from .loading import load_by_rules
from .passing_over import check_promotion

MOST_ASKED = 100
"""For how many waiting students the rules are asked: a few milliseconds each."""

_COURSE = select(courses.c.seats_taken, courses.c.waiting, courses.c.term_id, courses.c.closed_at).where(
    courses.c.id == bindparam("course", type_=Id)
)
_WAITING = (
    select(enrollments.c.student_id)
    .where(enrollments.c.course_id == bindparam("course", type_=Id), enrollments.c.queue_number.is_not(None))
    .order_by(enrollments.c.queue_number)
    .limit(bindparam("limit", type_=Integer))
)


class Forecast(NamedTuple):
    """What a capacity would do at this moment."""

    seats: int
    """Seats that would be free for students on the waitlist, at most as many as wait."""
    promoted: int
    stopped: Mapping[str, int]
    """How many of those who were asked the rules would stop, by code: a student can count several times."""
    passed_over: int
    """How many students the rules would stop."""
    is_complete: bool
    """False if the waitlist is longer than the number of students who were asked: then more may be promoted."""


def forecast(course_id: int, capacity: int | None, context: RequestContext) -> Forecast:
    """Return how many students `capacity` (None: no limit) would promote. Raises `CourseNotFound`."""
    rows = autocommit(_COURSE, {"course": course_id})
    if not rows:
        raise CourseNotFound
    (course,) = rows
    free = course.waiting if capacity is None else min(max(capacity - course.seats_taken, 0), course.waiting)
    if course.term_id is None:
        # No other rule applies to a course without a term.
        promoted = 0 if course.closed_at else free
        return Forecast(free, promoted, {"course_closed": free} if course.closed_at else {}, free - promoted, True)
    return _by_rules(course_id, free, context)


def _by_rules(course_id: int, free: int, context: RequestContext) -> Forecast:
    stopped: Counter[str] = Counter()
    promoted = passed_over = 0
    waiting: Sequence[int] = []
    if free:
        waiting = [row.student_id for row in autocommit(_WAITING, {"course": course_id, "limit": MOST_ASKED + 1})]
    for student_id in waiting[:MOST_ASKED]:
        if promoted == free:
            break
        situation = load_by_rules(autocommit, student_id, [course_id], context)
        codes = check_promotion(situation, course_id).codes
        stopped.update(codes)
        promoted, passed_over = (promoted, passed_over + 1) if codes else (promoted + 1, passed_over)
    is_complete = promoted == free or len(waiting) <= MOST_ASKED
    return Forecast(free, promoted, stopped, passed_over, is_complete)
