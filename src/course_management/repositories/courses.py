"""Questions about courses, their rosters and queues."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, String, bindparam, case, func, literal, null, or_, select, true

from ..database import AnyRow, autocommit
from ..errors import CourseNotFound
from ..models import ENROLLED, WAITLISTED, Code, Id, UtcDateTime, courses, enrollments, events, students

_ID, _AFTER, _LIMIT = bindparam("id", type_=Id), bindparam("after", type_=Id), bindparam("limit", type_=Integer)
_ONE = select(courses).where(courses.c.id == _ID)
_PAGE = select(courses).where(courses.c.id > _AFTER).order_by(courses.c.id).limit(_LIMIT)
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


def _past() -> Select[Any]:
    """The roster as the ledger has it: the course's lines up to the last one that is dated `as_of` or before.

    Up to that line, not only those dated so: a line carries the clock of the server that served it, perhaps from
    before it waited for its course, but in one course the lines follow each other as the changes did. So this is
    a state in which the course has been, and none is oversold. The place in the queue is the order of the lines.
    """
    of_course = events.c.course_id == _ID
    end = select(func.max(events.c.id)).where(of_course, events.c.at <= bindparam("as_of", type_=UtcDateTime))
    last = (
        select(func.max(events.c.id).label("id"))
        .where(of_course, events.c.id <= end.scalar_subquery())
        .group_by(events.c.student_id)
        .subquery("last")
    )
    status = bindparam("status", type_=String)
    then = (
        select(
            events.c.student_id,
            events.c.to_status.label("status"),
            events.c.at.label("status_since"),
            case((status == WAITLISTED, func.row_number().over(order_by=events.c.id))).label("position"),
            case((status == WAITLISTED, events.c.id), else_=events.c.student_id).label("key"),
        )
        .join(last, last.c.id == events.c.id)
        .where(events.c.to_status == status)
        .subquery("past")
    )
    page = select(then).where(then.c.key > _AFTER).order_by(then.c.key).limit(_LIMIT).subquery("page")
    always = select(literal(1, Integer).label("one")).subquery("always")
    # The ledger outlives the course: its lines are an answer without it, and a course without lines is one too.
    known = or_(select(courses.c.id).where(courses.c.id == _ID).exists(), select(events.c.id).where(of_course).exists())
    return (
        select(page, students.c.name)
        .select_from(always.outerjoin(page, true()).outerjoin(students, students.c.id == page.c.student_id))
        .where(known)
        .order_by(page.c.key)
    )


_PAST = _past()


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
    return _of_known_course(rows)


def past_roster(course_id: int, status: str, as_of: datetime, after: int, limit: int) -> Sequence[AnyRow]:
    """The same as it was at a past moment, from the ledger; `name` is null where the student was deleted since.

    Raises `CourseNotFound` when neither the course nor a line of it is there.
    """
    values = {"id": course_id, "status": status, "as_of": as_of, "after": after, "limit": limit}
    return _of_known_course(autocommit(_PAST, values))


def _of_known_course(rows: Sequence[AnyRow]) -> Sequence[AnyRow]:
    if not rows:
        raise CourseNotFound
    return [row for row in rows if row.student_id is not None]
