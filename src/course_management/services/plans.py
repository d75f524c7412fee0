"""The plan of a student: courses to enroll in later. It reserves nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, select

from ..database import autocommit, lock_text, retried, writing
from ..database.types import Id, IdList, among
from ..errors import CourseNotFound, PlanFull, StudentNotFound
from ..models import PlannedCourse, planned_courses
from . import refusing

MAX_PLANNED = 20
"""Courses in a plan; enrolling in more at once is hardly meant."""
_STUDENT = bindparam("student", type_=Id)
_PLANNED = (
    select(planned_courses.c.course_id)
    .where(planned_courses.c.student_id == _STUDENT)
    .order_by(planned_courses.c.course_id)
)
_REMOVE = delete(planned_courses).where(
    planned_courses.c.student_id == _STUDENT,
    among(planned_courses.c.course_id, bindparam("course_ids", type_=IdList)),
)
REFUSALS = {
    "fk_planned_courses_student_id": StudentNotFound,
    "fk_planned_courses_course_id": CourseNotFound,
}


def planned(student_id: int) -> list[int]:
    """Return the courses that a student plans, by id."""
    return [row.course_id for row in autocommit(_PLANNED, {"student": student_id})]


@retried(repeatable=True)
def add(student_id: int, course_id: int) -> None:
    """Add a course to a plan, once. Raises `StudentNotFound`, `CourseNotFound` or `PlanFull`."""
    with refusing(REFUSALS), writing() as session:
        lock_text(session, f"plan {student_id}")
        if session.get(PlannedCourse, (student_id, course_id)):
            return
        count = select(func.count()).where(planned_courses.c.student_id == student_id)
        if session.scalars(count).one() >= MAX_PLANNED:
            raise PlanFull
        session.add(PlannedCourse(student_id=student_id, course_id=course_id))


@retried(repeatable=True)
def remove(student_id: int, course_ids: Sequence[int]) -> None:
    """Remove courses from a plan, if they are in it."""
    autocommit(_REMOVE, {"student": student_id, "course_ids": list(course_ids)})
