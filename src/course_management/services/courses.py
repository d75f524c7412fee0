"""Create, change and delete courses. A raised capacity promotes students from the waitlist."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..database import AnyRow, autocommit, retried, transaction
from ..database.types import Id, utcnow
from ..errors import (
    CapacityBelowEnrollment,
    CodeTaken,
    CourseHasEnrollments,
    CourseNotFound,
    WaitlistCapacityBelowWaiting,
)
from ..models import Course, courses
from ..models.search import search_text_of
from . import Context, Precondition, refusing
from .enrollment import Promotion, is_due, promote

REFUSALS = {
    "uq_courses_code": CodeTaken,
    "ck_courses_seats_within_capacity": CapacityBelowEnrollment,
    "ck_courses_waiting_within_waitlist": WaitlistCapacityBelowWaiting,
    "student_courses_held_rows_stay": CourseHasEnrollments,
}

_CREATE = insert(courses).returning(courses)


def create(values: Mapping[str, Any]) -> AnyRow:
    """Create a course of `code`, `title`, `capacity` and `waitlist_capacity`. Raises `CodeTaken`."""
    with refusing(REFUSALS):
        now = utcnow()
        given = {"created_at": now, "updated_at": now, "search_text": _search_text(values)}
        return autocommit(_CREATE, {**values, **given}, repeatable=False)[0]


_READ = select(courses).where(courses.c.id == bindparam("course", type_=Id))


class Changed(NamedTuple):
    """A course as it is after a change; `promotion` is None where no student was waiting."""

    course: AnyRow
    promotion: Promotion | None = None


def change(course_id: int, values: Mapping[str, Any], precondition: Precondition | None, context: Context) -> Changed:
    """Set some of `code`, `title` and the limits, then promote from the waitlist for a bounded time.

    What is left of the promotion is background work. Raises `CourseNotFound`, `CodeTaken`, `CapacityBelowEnrollment`,
    `WaitlistCapacityBelowWaiting`.
    """
    course = _change(course_id, values, precondition)
    if not course.waiting:
        return Changed(course)
    promoted, pending = promote([course_id], context)
    if promoted:
        with suppress(SQLAlchemyError):  # the change is committed; at worst the counters are those of that moment
            course = next(iter(autocommit(_READ, {"course": course_id})), course)
    return Changed(course, Promotion(promoted, pending and is_due(course)))


@retried(repeatable=False)
def _change(course_id: int, values: Mapping[str, Any], precondition: Precondition | None) -> AnyRow:
    with refusing(REFUSALS), transaction() as connection:
        course = _lock(connection, course_id, precondition)
        if not values:
            return course
        return connection.execute(
            update(courses)
            .where(courses.c.id == course_id)
            .values(**values, search_text=_search_text(values, course))
            .returning(courses)
        ).one()


def _search_text(values: Mapping[str, Any], before: AnyRow = None) -> str:
    return search_text_of(values.get(name, getattr(before, name, None)) for name in Course.searched)


@retried(repeatable=False)
def remove(course_id: int, precondition: Precondition | None) -> None:
    """Delete a course nobody is in; the rows of those who left go along, the ledger stays.

    Raises `CourseNotFound`, and `CourseHasEnrollments` while a seat or a place in the queue is held.
    """
    with refusing(REFUSALS), transaction() as connection:
        _lock(connection, course_id, precondition)
        connection.execute(delete(courses).where(courses.c.id == course_id))


def _lock(connection: Connection, course_id: int, precondition: Precondition | None) -> AnyRow:
    """The course's row, locked, and found to be what the caller thinks it is."""
    course = connection.execute(
        select(courses).where(courses.c.id == course_id).with_for_update(key_share=True)
    ).first()
    if course is None:
        raise CourseNotFound
    if precondition:
        precondition(course)
    return course
