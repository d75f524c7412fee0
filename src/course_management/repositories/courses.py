"""Questions about courses, their rosters and queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, null, select, true

from ..database import AnyRow, autocommit
from ..database.types import Code, Id
from ..errors import CourseNotFound
from ..models import ENROLLED, WAITLISTED, courses, enrollments, students

_ID, _AFTER, _LIMIT = bindparam("id", type_=Id), bindparam("after", type_=Id), bindparam("limit", type_=Integer)
_ONE = select(*(column for column in courses.c if column is not courses.c.search_text)).where(courses.c.id == _ID)
_UNSEEN = {"last_event_at", "updated_at", "search_text"}
_SHOWN = [column for column in courses.c if column.name not in _UNSEEN]  # a time more per row is not free
_PAGE = select(*_SHOWN).where(courses.c.id > _AFTER).order_by(courses.c.id).limit(_LIMIT)
_PAGE_BY_CODE = _PAGE.where(courses.c.code == bindparam("code", type_=Code))

_SEATED = (
    select(
        enrollments.c.student_id,
        students.c.name,
        enrollments.c.status,
        enrollments.c.status_since,
        null().label("position"),
        enrollments.c.student_id.label("key"),
    )
    .join(students, students.c.id == enrollments.c.student_id)
    .where(enrollments.c.course_id == _ID, enrollments.c.status == ENROLLED, enrollments.c.student_id > _AFTER)
    .order_by(enrollments.c.student_id)
    .limit(_LIMIT)
)
_QUEUE = (
    select(enrollments, func.row_number().over(order_by=enrollments.c.queue_number).label("position"))
    .where(enrollments.c.course_id == _ID, enrollments.c.status == WAITLISTED)
    .subquery("queue")
)
_WAITING = (
    select(
        _QUEUE.c.student_id,
        students.c.name,
        _QUEUE.c.status,
        _QUEUE.c.status_since,
        _QUEUE.c.position,
        _QUEUE.c.queue_number.label("key"),
    )
    .join(students, students.c.id == _QUEUE.c.student_id)
    .where(_QUEUE.c.queue_number > _AFTER)
    .order_by(_QUEUE.c.queue_number)
    .limit(_LIMIT)
)


def _of_course(roster: Select[Any]) -> Select[Any]:
    """The roster with its course beside it: no row at all means that there is no course."""
    page = roster.subquery("page")
    return select(page).select_from(courses.outerjoin(page, true())).where(courses.c.id == _ID).order_by(page.c.key)


_ROSTER = {ENROLLED: _of_course(_SEATED), WAITLISTED: _of_course(_WAITING)}


def one(course_id: int) -> AnyRow:
    """The row of a course. Raises `CourseNotFound`."""
    for row in autocommit(_ONE, {"id": course_id}):
        return row
    raise CourseNotFound


def page(after: int, limit: int, code: str | None = None) -> Sequence[AnyRow]:
    """Up to `limit` courses whose id is above `after`, by id; with `code`, only the one that has it."""
    if code is None:
        return autocommit(_PAGE, {"after": after, "limit": limit})
    return autocommit(_PAGE_BY_CODE, {"after": after, "limit": limit, "code": code})


def id_of(code: str) -> int | None:
    """The id of the course with this code, or None."""
    return next((row.id for row in page(0, 1, code)), None)


def roster(course_id: int, status: str, after: int, limit: int) -> Sequence[AnyRow]:
    """Who holds a seat (`enrolled`, by student id) or waits (`waitlisted`, by position).

    Rows of `student_id, name, status, status_since, position, key`; the next page starts after `key`. Raises
    `CourseNotFound`.
    """
    rows = autocommit(_ROSTER[status], {"id": course_id, "after": after, "limit": limit})
    if not rows:
        raise CourseNotFound
    return [row for row in rows if row.student_id is not None]
