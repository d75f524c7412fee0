"""Read the meetings of courses, and which students have courses that meet at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, select

from ..database import AnyRow, autocommit
from ..database.types import Id, IdList, among
from ..errors import CourseNotFound, StudentNotFound
from ..models import ENROLLED, course_meetings, courses, enrollments, permissions, students

_ours, _theirs = course_meetings.alias("ours"), course_meetings.alias("theirs")
_other, _elsewhere = enrollments.alias("other"), courses.alias("elsewhere")
_CLASHES = (
    select(
        enrollments.c.student_id,
        enrollments.c.course_id,
        _other.c.course_id.label("other_course_id"),
        _ours.c.weekday,
        _ours.c.starts_on,
        _ours.c.ends_on,
        _theirs.c.starts_on.label("other_starts_on"),
        _theirs.c.ends_on.label("other_ends_on"),
    )
    .join(courses, courses.c.id == enrollments.c.course_id)
    .join(_other, _other.c.student_id == enrollments.c.student_id)
    .join(_elsewhere, _elsewhere.c.id == _other.c.course_id)
    .join(_ours, _ours.c.course_id == enrollments.c.course_id)
    .join(_theirs, _theirs.c.course_id == _other.c.course_id)
    .where(
        enrollments.c.status == ENROLLED,
        courses.c.term_id.is_not(None),
        _other.c.status == ENROLLED,
        _elsewhere.c.term_id.is_not(None),
        _ours.c.weekday == _theirs.c.weekday,
        _ours.c.starts_minute < _theirs.c.ends_minute,
        _theirs.c.starts_minute < _ours.c.ends_minute,
        _ours.c.starts_on <= _theirs.c.ends_on,
        _theirs.c.starts_on <= _ours.c.ends_on,
    )
)
_OF_COURSE = _CLASHES.where(
    enrollments.c.course_id == bindparam("course", type_=Id), _other.c.course_id != enrollments.c.course_id
)
_OF_COURSES = (
    select(course_meetings)
    .where(among(course_meetings.c.course_id, bindparam("course_ids", type_=IdList)))
    .order_by(course_meetings.c.course_id, course_meetings.c.weekday, course_meetings.c.starts_minute)
)
_NOT_PERMITTED = _CLASHES.where(
    enrollments.c.course_id < _other.c.course_id,
    ~exists().where(
        permissions.c.student_id == enrollments.c.student_id,
        permissions.c.course_id.in_([enrollments.c.course_id, _other.c.course_id]),
        permissions.c.rule == "time_conflict",
        permissions.c.revoked_at.is_(None),
    ),
).execution_options(yield_per=10_000)


def clashing_students(course_id: int) -> list[int]:
    """Return the students enrolled in a course of a term who have another such course that meets at the same time.

    Two meetings clash on the same weekday if both their times and their dates overlap, the dates on such a weekday;
    adjacent ones do not.
    """
    return sorted({row.student_id for row in autocommit(_OF_COURSE, {"course": course_id}) if _is_on_a_day(row)})


def meetings_of(course_ids: Sequence[int]) -> dict[int, list[AnyRow]]:
    """Return the weekly meetings of courses by course, in the order of the week; courses without any are left out."""
    found: dict[int, list[AnyRow]] = {}
    for row in autocommit(_OF_COURSES, {"course_ids": list(course_ids)}) if course_ids else ():
        found.setdefault(row.course_id, []).append(row)
    return found


def clashes(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield each two courses that meet at the same time and have the same student: `student_id, course_ids`.

    Without those that a permission waived. Two courses may come more than once, for several meetings.
    """
    for row in connection.execute(_NOT_PERMITTED):
        if _is_on_a_day(row):
            yield {"student_id": row.student_id, "course_ids": [row.course_id, row.other_course_id]}


def _is_on_a_day(row: AnyRow) -> bool:
    """Return whether the days that both meetings have in common, as dates, include their weekday."""
    first, last = max(row.starts_on, row.other_starts_on), min(row.ends_on, row.other_ends_on)
    return bool((last - first).days >= (row.weekday - first.isoweekday()) % 7)


_MEETINGS = select(
    courses.c.id.label("course_id"),
    courses.c.code,
    courses.c.title,
    courses.c.component,
    courses.c.created_at,
    courses.c.updated_at,
    *(course_meetings.c[name] for name in ("weekday", "starts_minute", "ends_minute", "starts_on", "ends_on", "place")),
)
_OF_ONE_COURSE = _MEETINGS.select_from(courses.outerjoin(course_meetings)).where(
    courses.c.id == bindparam("course", type_=Id)
)
_attended = enrollments.join(courses, courses.c.id == enrollments.c.course_id).join(course_meetings)
_is_attended = (enrollments.c.student_id == students.c.id) & (enrollments.c.status == ENROLLED)


def _of_student(is_attended: ColumnElement[bool]) -> Select[Any]:
    """Select the meetings that a student attends; one row without a meeting if there is none."""
    return _MEETINGS.select_from(students.outerjoin(_attended, is_attended)).where(
        students.c.id == bindparam("student", type_=Id)
    )


_OF_STUDENT = _of_student(_is_attended)
_OF_STUDENT_IN_TERM = _of_student(_is_attended & (courses.c.term_id == bindparam("term", type_=Id)))


def meetings_of_course(course_id: int) -> Sequence[AnyRow]:
    """Return the weekly meetings of a course, in any order: rows with the course's `course_id`, `code` and others.

    The times are texts of the school's clock. Raises `CourseNotFound`.
    """
    rows = autocommit(_OF_ONE_COURSE, {"course": course_id})
    if not rows:
        raise CourseNotFound
    return [row for row in rows if row.weekday is not None]


def meetings_of_student(student_id: int, term_id: int | None) -> Sequence[AnyRow]:
    """Return the same for the courses in which a student is enrolled; only those of a term, if one is given.

    Raises `StudentNotFound`.
    """
    if term_id is None:
        rows = autocommit(_OF_STUDENT, {"student": student_id})
    else:
        rows = autocommit(_OF_STUDENT_IN_TERM, {"student": student_id, "term": term_id})
    if not rows:
        raise StudentNotFound
    return [row for row in rows if row.weekday is not None]
