"""Questions about who holds what, and what happened before."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, and_, bindparam, case, select

from ..database import AnyRow, autocommit
from ..errors import StudentNotFound
from ..models import UNENROLLED, WAITLISTED, Id, courses, enrollments, events, queue_position, students
from . import courses as course_questions
from . import students as student_questions

_HELD = (
    select(
        courses.c.id,
        courses.c.code,
        courses.c.title,
        enrollments.c.status,
        enrollments.c.status_since,
        case((enrollments.c.status == WAITLISTED, queue_position(enrollments))).label("position"),
        enrollments.c.course_id,
        enrollments.c.revision,
    )
    .select_from(
        students.outerjoin(
            enrollments.join(courses, courses.c.id == enrollments.c.course_id),
            and_(enrollments.c.student_id == students.c.id, enrollments.c.status != UNENROLLED),
        )
    )
    .where(students.c.id == bindparam("id", type_=Id))
    .order_by(courses.c.code)
)


def of_student(student_id: int) -> Sequence[AnyRow]:
    """What the student holds, seats and places in queues, by course code.

    Rows of `id, code, title, status, status_since, position, course_id, revision`. Raises `StudentNotFound`.
    """
    rows = autocommit(_HELD, {"id": student_id})
    if not rows:
        raise StudentNotFound
    return [row for row in rows if row.id is not None]


_HISTORY = {
    column.name: select(events)
    .where(column == bindparam("id", type_=Id), events.c.id < bindparam("before", type_=Id))
    .order_by(events.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
    for column in (events.c.student_id, events.c.course_id)
}


def history_of_student(student_id: int, before: int, limit: int) -> Sequence[AnyRow]:
    """Up to `limit` ledger lines of a student with an id below `before`, newest first.

    The ledger outlives the student. Raises `StudentNotFound` when neither is there.
    """
    rows = autocommit(_HISTORY["student_id"], {"id": student_id, "before": before, "limit": limit})
    if not rows:
        student_questions.one(student_id)
    return rows


def history_of_course(course_id: int, before: int, limit: int) -> Sequence[AnyRow]:
    """The same of a course. Raises `CourseNotFound` when neither the course nor a line of it is there."""
    rows = autocommit(_HISTORY["course_id"], {"id": course_id, "before": before, "limit": limit})
    if not rows:
        course_questions.one(course_id)
    return rows
