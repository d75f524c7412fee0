"""Creating, changing and deleting students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from ..database import AnyRow, autocommit, retried, transaction
from ..database.types import utcnow
from ..errors import EmailTaken, StudentHasEnrollments, StudentNotFound
from ..models import Student, students
from ..models.search import search_text_of
from . import Precondition, refusing

REFUSALS = {"uq_students_email": EmailTaken, "student_courses_held_rows_stay": StudentHasEnrollments}

_CREATE = insert(students).returning(students)


def create(values: Mapping[str, Any]) -> AnyRow:
    """Create a student of `name` and `email`. Returns its row. Raises `EmailTaken`."""
    with refusing(REFUSALS):
        now = utcnow()
        given = {"created_at": now, "updated_at": now, "search_text": _search_text(values)}
        return autocommit(_CREATE, {**values, **given}, repeatable=False)[0]


@retried(repeatable=False)
def change(student_id: int, values: Mapping[str, Any], precondition: Precondition | None) -> AnyRow:
    """Set some of `name` and `email`. Returns the row as it is now. Raises `StudentNotFound`, `EmailTaken`."""
    with refusing(REFUSALS), transaction() as connection:
        student = _lock(connection, student_id, precondition)
        if not values:
            return student
        return connection.execute(
            update(students)
            .where(students.c.id == student_id)
            .values(**values, search_text=_search_text(values, student))
            .returning(students)
        ).one()


def _search_text(values: Mapping[str, Any], before: AnyRow = None) -> str:
    return search_text_of(values.get(name, getattr(before, name, None)) for name in Student.searched)


@retried(repeatable=False)
def remove(student_id: int, precondition: Precondition | None) -> None:
    """Delete a student who holds nothing; the rows of courses left behind go along, the ledger stays.

    Raises `StudentNotFound`, and `StudentHasEnrollments` while a seat or a place in a queue is held.
    """
    with refusing(REFUSALS), transaction() as connection:
        _lock(connection, student_id, precondition)
        connection.execute(delete(students).where(students.c.id == student_id))


def _lock(connection: Connection, student_id: int, precondition: Precondition | None) -> AnyRow:
    """The student's row, locked, and found to be what the caller thinks it is."""
    student = connection.execute(
        select(students).where(students.c.id == student_id).with_for_update(key_share=True)
    ).first()
    if student is None:
        raise StudentNotFound
    if precondition:
        precondition(student)
    return student
