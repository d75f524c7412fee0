"""Read which students have courses that meet at the same time."""

from __future__ import annotations

from sqlalchemy import bindparam, exists, select

from ..database import autocommit
from ..database.types import Id
from ..models import ENROLLED, course_meetings, courses, enrollments

_ours, _theirs = course_meetings.alias("ours"), course_meetings.alias("theirs")
_other, _elsewhere = enrollments.alias("other"), courses.alias("elsewhere")
_CLASHING = (
    select(enrollments.c.student_id)
    .join(courses, courses.c.id == enrollments.c.course_id)
    .where(
        enrollments.c.course_id == bindparam("course", type_=Id),
        enrollments.c.status == ENROLLED,
        courses.c.term_id.is_not(None),
        exists().where(
            _other.c.student_id == enrollments.c.student_id,
            _other.c.course_id != enrollments.c.course_id,
            _other.c.status == ENROLLED,
            _elsewhere.c.id == _other.c.course_id,
            _elsewhere.c.term_id.is_not(None),
            _ours.c.course_id == enrollments.c.course_id,
            _theirs.c.course_id == _other.c.course_id,
            _ours.c.weekday == _theirs.c.weekday,
            _ours.c.starts_minute < _theirs.c.ends_minute,
            _theirs.c.starts_minute < _ours.c.ends_minute,
            _ours.c.starts_on <= _theirs.c.ends_on,
            _theirs.c.starts_on <= _ours.c.ends_on,
        ),
    )
    .order_by(enrollments.c.student_id)
)


def clashing_students(course_id: int) -> list[int]:
    """Return the students enrolled in a course of a term who have another such course that meets at the same time.

    Two meetings clash on the same weekday if both their times and their dates overlap; adjacent ones do not.
    """
    return [row.student_id for row in autocommit(_CLASHING, {"course": course_id})]
