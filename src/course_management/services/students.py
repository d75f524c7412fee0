"""Creating, changing and deleting students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..database import AnyRow, autocommit, broken_constraint, retried, transaction
from ..errors import EmailTaken, StudentHasEnrollments, StudentNotFound
from ..models import students, utcnow
from . import Precondition


def create(values: Mapping[str, Any]) -> AnyRow:
    """Create a student of `name` and `email`. Returns its row. Raises `EmailTaken`."""
    try:
        statement = insert(students).values(**values, created_at=utcnow()).returning(students)
        return autocommit(statement, repeatable=False)[0]
    except IntegrityError as error:
        raise _refusal(error) from None


@retried(repeatable=False)
def change(student_id: int, values: Mapping[str, Any], precondition: Precondition | None) -> AnyRow:
    """Set some of `name` and `email`. Returns the row as it is now. Raises `StudentNotFound`, `EmailTaken`."""
    try:
        with transaction() as connection:
            student = _lock(connection, student_id)
            if precondition:
                precondition(student)
            if not values:
                return student
            return connection.execute(
                update(students).where(students.c.id == student_id).values(**values).returning(students)
            ).one()
    except IntegrityError as error:
        raise _refusal(error) from None


@retried(repeatable=False)
def remove(student_id: int, precondition: Precondition | None) -> None:
    """Delete a student who holds nothing; the rows of courses left behind go along, the ledger stays.

    Raises `StudentNotFound`, and `StudentHasEnrollments` while a seat or a place in a queue is held.
    """
    try:
        with transaction() as connection:
            student = _lock(connection, student_id)
            if precondition:
                precondition(student)
            connection.execute(delete(students).where(students.c.id == student_id))
    except IntegrityError as error:
        raise _refusal(error) from None


def _lock(connection: Connection, student_id: int) -> AnyRow:
    student = connection.execute(
        select(students).where(students.c.id == student_id).with_for_update(key_share=True)
    ).first()
    if student is None:
        raise StudentNotFound
    return student


def _refusal(error: IntegrityError) -> Exception:
    refusals: dict[str, type[Exception]] = {
        "uq_students_email": EmailTaken,
        "student_courses_held_rows_stay": StudentHasEnrollments,
    }
    refusal = refusals.get(broken_constraint(error))
    return refusal() if refusal else error
