"""Read the enrollments of a student, and the histories of students and courses."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    true,
)

from ..database import AnyRow, autocommit, travels
from ..database.types import Id
from ..errors import CourseNotFound, StudentNotFound
from ..models import HUNDREDTHS, WAITLISTED, courses, enrollments, events, is_held, queue_position, students

_POSITION = case((enrollments.c.status == WAITLISTED, queue_position(enrollments, courses))).label("position")
HELD_WITH_POSITIONS = travels(
    select(
        courses.c.id,
        courses.c.code,
        courses.c.title,
        enrollments.c.status,
        enrollments.c.status_since,
        _POSITION,
        enrollments.c.course_id,
        enrollments.c.revision,
        courses.c.term_id,
        HUNDREDTHS.label("credits"),
        enrollments.c.passed_over_at,
        enrollments.c.passed_over_for,
    )
    .select_from(
        # Flat, not nested: SQLite would materialize a nested join in every call (150 ms instead of 0.02 ms).
        students.outerjoin(
            enrollments, and_(enrollments.c.student_id == students.c.id, is_held(enrollments))
        ).outerjoin(courses, courses.c.id == enrollments.c.course_id)
    )
    .where(students.c.id == bindparam("id", type_=Id))
    .order_by(courses.c.code, courses.c.id)  # two terms may have courses of one code
)
HELD = HELD_WITH_POSITIONS.with_only_columns(
    *(null().label("position") if column is _POSITION else column for column in HELD_WITH_POSITIONS.selected_columns),
    maintain_column_froms=True,
)
"""The same without positions, whose queries cost PostgreSQL a third of the time even if the student waits nowhere."""

_COUNT_HELD = (
    select(func.count().label("held"))
    .select_from(enrollments)
    .where(enrollments.c.student_id == bindparam("id", type_=Id), is_held(enrollments))
)


def count_held(student_id: int) -> int:
    """Count the courses that the student is enrolled in or waitlisted for; 0 if the student does not exist."""
    (row,) = autocommit(_COUNT_HELD, {"id": student_id})
    return int(row.held)


def of_student(student_id: int) -> Sequence[AnyRow]:
    """Return the courses in which the student is enrolled or waitlisted, by course code.

    Rows of `id, code, title, status, status_since, position, course_id, revision, term_id, credits` (in hundredths),
    `passed_over_at, passed_over_for`. Raises `StudentNotFound`.
    """
    rows = autocommit(HELD, {"id": student_id})
    if any(row.status == WAITLISTED for row in rows):
        rows = autocommit(HELD_WITH_POSITIONS, {"id": student_id})  # whole, so that all rows are of one moment
    if not rows:
        raise StudentNotFound
    return [row for row in rows if row.id is not None]


def _history(column: ColumnElement[int], owner: Table) -> Select[tuple[int]]:
    """Select ledger lines of one student or course, the owner; no row means that neither the owner nor a line exists.

    One row without a line means that the owner exists and has no lines. The ledger outlives its owners.
    """
    owner_id = bindparam("id", type_=Id)
    page = (
        select(events)
        .where(column == owner_id, events.c.id < bindparam("before", type_=Id))
        .order_by(events.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
        .subquery("page")
    )
    always = select(literal(1, Integer).label("one")).subquery("always")
    known = select(owner.c.id).where(owner.c.id == owner_id).exists()
    return (
        select(page)
        .select_from(always.outerjoin(page, true()))
        .where(or_(page.c.id.is_not(None), known))
        .order_by(page.c.id.desc())
    )


_OF_STUDENT = _history(events.c.student_id, students)
_OF_COURSE = _history(events.c.course_id, courses)


def history_of_student(student_id: int, before: int, limit: int) -> Sequence[AnyRow]:
    """Return up to `limit` ledger lines of a student with an id below `before`, newest first.

    The ledger outlives the student. Raises `StudentNotFound` if neither the student nor a line exists.
    """
    rows = autocommit(_OF_STUDENT, {"id": student_id, "before": before, "limit": limit})
    if not rows:
        raise StudentNotFound
    return [row for row in rows if row.id is not None]


def history_of_course(course_id: int, before: int, limit: int) -> Sequence[AnyRow]:
    """Return the same for a course. Raises `CourseNotFound` if neither the course nor a line exists."""
    rows = autocommit(_OF_COURSE, {"id": course_id, "before": before, "limit": limit})
    if not rows:
        raise CourseNotFound
    return [row for row in rows if row.id is not None]
