"""Creating, changing and deleting courses. A raised limit lets those in who wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from ..database import AnyRow, autocommit, retried, transaction
from ..errors import (
    CapacityBelowEnrollment,
    CodeTaken,
    CourseHasEnrollments,
    CourseNotFound,
    WaitlistCapacityBelowWaiting,
)
from ..models import courses, utcnow
from . import Context, Precondition, refusing
from .enrollment import promote

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
        return autocommit(_CREATE, {**values, "created_at": utcnow()}, repeatable=False)[0]


def change(course_id: int, values: Mapping[str, Any], precondition: Precondition | None, context: Context) -> AnyRow:
    """Set some of `code`, `title` and the limits, then give freed seats to those who wait for them.

    Returns the row as it is now. Raises `CourseNotFound`, `CodeTaken`, `CapacityBelowEnrollment`,
    `WaitlistCapacityBelowWaiting`.
    """
    course = _change(course_id, values, precondition)
    if course.waiting and promote([course_id], context):
        course = next(iter(autocommit(select(courses).where(courses.c.id == course_id))), course)
    return course


@retried(repeatable=False)
def _change(course_id: int, values: Mapping[str, Any], precondition: Precondition | None) -> AnyRow:
    with refusing(REFUSALS), transaction() as connection:
        course = _lock(connection, course_id, precondition)
        if not values:
            return course
        return connection.execute(
            update(courses).where(courses.c.id == course_id).values(**values).returning(courses)
        ).one()


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
