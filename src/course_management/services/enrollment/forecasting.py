"""Say which students another capacity would promote, before it is set. Nothing is locked and nothing changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Integer, bindparam, select

from ...context import RequestContext
from ...database import autocommit
from ...database.types import Id
from ...errors import CourseNotFound
from ...models import courses, enrollments
from .explaining import check_promotions

MOST_ASKED = 100
"""For how many waiting students the rules are asked."""
ASKED_TOGETHER = 25
"""For how many of them by one statement."""

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
    students: Sequence[int]
    """The ids of the students who would be promoted, in the order of the waitlist; at most `MOST_ASKED`."""
    stopped: Mapping[int, Sequence[str]]
    """The codes of the rules that would stop a student, by the student's id."""
    is_complete: bool
    """False if the waitlist is longer than the number of students who were asked: then more may be promoted."""


def forecast(course_id: int, capacity: int | None, context: RequestContext) -> Forecast:
    """Return which students `capacity` (None: no limit) would promote. Raises `CourseNotFound`."""
    rows = autocommit(_COURSE, {"course": course_id})
    if not rows:
        raise CourseNotFound
    (course,) = rows
    free = course.waiting if capacity is None else min(max(capacity - course.seats_taken, 0), course.waiting)
    waiting: Sequence[int] = []
    if free:
        waiting = [row.student_id for row in autocommit(_WAITING, {"course": course_id, "limit": MOST_ASKED + 1})]
    asked = waiting[:MOST_ASKED]
    if course.term_id is None and course.closed_at is None:  # no rule applies
        return Forecast(free, free, asked[:free], {}, True)
    promoted: list[int] = []
    stopped: dict[int, Sequence[str]] = {}
    for start in range(0, len(asked), ASKED_TOGETHER):
        if len(promoted) == free:
            break
        together = asked[start : start + ASKED_TOGETHER]
        against = check_promotions(course_id, together, context)
        for student_id in together:
            if len(promoted) == free or student_id not in against:
                continue
            if codes := against[student_id].codes:
                stopped[student_id] = codes
            else:
                promoted.append(student_id)
    is_complete = len(promoted) == free or len(waiting) <= MOST_ASKED
    return Forecast(free, len(promoted), promoted, stopped, is_complete)
