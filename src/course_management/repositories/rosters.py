"""Read the rosters and waitlists of courses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    bindparam,
    func,
    null,
    select,
    true,
    tuple_,
    type_coerce,
)

from ..database import AnyRow, autocommit
from ..database.types import Id, by_code_point
from ..errors import CourseNotFound
from ..models import ENROLLED, WAITLISTED, courses, enrollments, students

_ID, _AFTER, _LIMIT = bindparam("id", type_=Id), bindparam("after", type_=Id), bindparam("limit", type_=Integer)
_NAME = by_code_point(students.c.name)

_ENROLLED = (
    select(enrollments, null().label("position"))
    .where(enrollments.c.course_id == _ID, enrollments.c.status == ENROLLED)
    .subquery("roster")
)
_WAITLIST = (
    select(enrollments, func.row_number().over(order_by=enrollments.c.queue_number).label("position"))
    .where(enrollments.c.course_id == _ID, enrollments.c.status == WAITLISTED)
    .subquery("waitlist")
)


def _page(roster: FromClause, key: ColumnElement[int], *, by_name: bool = False) -> Select[Any]:
    """Return a page of a roster, with the columns of its course: no row means that there is no course."""
    after = tuple_(_NAME, key) > tuple_(bindparam("after_name", type_=String), _AFTER) if by_name else key > _AFTER
    page = (
        select(
            roster.c.student_id,
            students.c.name,
            roster.c.status,
            roster.c.status_since,
            roster.c.position,
            type_coerce(roster.c.credits, Integer).label("credits"),
            roster.c.passed_over_at,
            roster.c.passed_over_for,
            key.label("key"),
        )
        .join(students, students.c.id == roster.c.student_id)
        .where(after)
        .order_by(*([_NAME] if by_name else []), key)
        .limit(_LIMIT)
        .subquery("page")
    )
    order = [by_code_point(page.c.name), page.c.key] if by_name else [page.c.key]
    return select(page).select_from(courses.outerjoin(page, true())).where(courses.c.id == _ID).order_by(*order)


_BY_KEY = {ENROLLED: _page(_ENROLLED, _ENROLLED.c.student_id), WAITLISTED: _page(_WAITLIST, _WAITLIST.c.queue_number)}
_BY_NAME = {
    ENROLLED: _page(_ENROLLED, _ENROLLED.c.student_id, by_name=True),
    WAITLISTED: _page(_WAITLIST, _WAITLIST.c.student_id, by_name=True),
}
MAX_ROWS = 2**31 - 1
"""More than any roster has."""


def roster(course_id: int, status: str, after: int, limit: int) -> Sequence[AnyRow]:
    """Return the `enrolled` students of a course, by id, or the `waitlisted` ones, by position.

    Rows of `student_id, name, status, status_since, position, credits` (in hundredths), `passed_over_at,
    passed_over_for, key`; the next page starts after `key`. Raises `CourseNotFound`.
    """
    return _of_course(autocommit(_BY_KEY[status], {"id": course_id, "after": after, "limit": limit}))


def roster_by_name(course_id: int, status: str, after: tuple[str, int], limit: int) -> Sequence[AnyRow]:
    """Return the same rows by name, in the order of code points, and id; `after` is where the page before ended."""
    name, key = after
    values = {"id": course_id, "after_name": name, "after": key, "limit": limit}
    return _of_course(autocommit(_BY_NAME[status], values))


def whole_roster(course_id: int, status: str, *, by_name: bool) -> Sequence[AnyRow]:
    """Return all rows of a roster or waitlist, as of one moment. Raises `CourseNotFound`."""
    if by_name:
        return roster_by_name(course_id, status, ("", 0), MAX_ROWS)
    return roster(course_id, status, -1, MAX_ROWS)


def _of_course(rows: Sequence[AnyRow]) -> Sequence[AnyRow]:
    if not rows:
        raise CourseNotFound
    return [row for row in rows if row.student_id is not None]
