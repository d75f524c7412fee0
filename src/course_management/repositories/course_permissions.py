"""Read the permissions for one course, as instructors and registrars look for them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, and_, bindparam, select

from ..database import AnyRow, autocommit
from ..database.types import Id
from ..models import enrollments, permissions, students

_OF_COURSE = (
    select(permissions, students.c.name, enrollments.c.student_id.is_not(None).label("is_of_course"))
    .join(students, students.c.id == permissions.c.student_id)
    .outerjoin(
        enrollments,
        and_(enrollments.c.student_id == permissions.c.student_id, enrollments.c.course_id == permissions.c.course_id),
    )
    .where(
        permissions.c.course_id == bindparam("course", type_=Id),
        permissions.c.id < bindparam("before", type_=Id),
    )
    .order_by(permissions.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)


def of_course(course_id: int, before: int, limit: int) -> Sequence[AnyRow]:
    """Return up to `limit` permissions for a course with an id below `before`, newest first.

    Rows have the columns of a permission, the `name` of the student, and `is_of_course`: whether the student is or was
    enrolled or waitlisted there.
    """
    return autocommit(_OF_COURSE, {"course": course_id, "before": before, "limit": limit})
