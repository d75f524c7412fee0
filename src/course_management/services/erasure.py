"""Erase what identifies a student. The row stays with its number, so that rosters, counts and the ledger stay true.

`models.personal` says what becomes of each column. Locks are taken in the order of every statement: the courses of the
student, ascending by id, then the student, then the other rows. Without those of the courses, an enrollment that has
its course and needs the student would wait for an erasure that has the student and needs the enrollment.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import structlog
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, or_, select, update

from ..database import Raced, retried, run, transaction
from ..errors import StudentNotFound
from ..models import courses, enrollments, events, import_rows, is_held, students, terms
from ..models.personal import TREATMENTS, column_of_student, tables_about_students
from ..repositories.student_data import names_student
from .enrollment.statements import LOCK_COURSES

log = structlog.get_logger(__name__)


class StillEnrolled(Exception):
    """The student is enrolled or waitlisted in courses that have not ended; nothing was erased. `course_ids`: which."""

    def __init__(self, course_ids: list[int]) -> None:
        super().__init__(
            f"The student is enrolled or waitlisted in courses that have not ended: {', '.join(map(str, course_ids))}. "
            "Unenroll the student first. Nothing was erased."
        )
        self.course_ids = course_ids


@retried(repeatable=True)
def erase(student_id: int, today: date) -> Mapping[str, int]:
    """Erase a student, in one transaction; doing so again changes nothing. Returns the number of rows per table.

    `today` is the date of the school, before which a term has ended. Raises `StudentNotFound`, `StillEnrolled`.
    """
    with transaction() as connection:
        if connection.dialect.name == "sqlite":  # else what was deleted stays readable in free parts of the file
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        lock_courses_of(connection, student_id)
        if left := _current_courses(connection, student_id, today):
            raise StillEnrolled(left)
        # Rows of imports are found by the external id and the address, so they come before the student.
        counts = {import_rows.name: _empty(connection, import_rows, names_student(connection, student_id))}
        for table in reversed(tables_about_students()):
            counts[table.name] = _treat(connection, table, student_id)
    log.info("student.erased", student_id=student_id)
    return counts


def lock_courses_of(connection: Connection, student_id: int) -> None:
    """Lock the courses in which the student has a row, then the student.

    Raises `StudentNotFound`, and `Raced` if an enrollment in another course was committed meanwhile.
    """
    mine = select(enrollments.c.course_id).where(enrollments.c.student_id == student_id)
    course_ids = sorted(connection.scalars(mine))
    if course_ids:
        run(connection, LOCK_COURSES, {"course_ids": course_ids})
    # Unlike the locks of other changes, this one also waits for new rows that refer to the student.
    if not connection.execute(select(students.c.id).where(students.c.id == student_id).with_for_update()).first():
        raise StudentNotFound
    if sorted(connection.scalars(mine)) != course_ids:
        raise Raced


def _current_courses(connection: Connection, student_id: int, today: date) -> list[int]:
    has_ended = and_(terms.c.ends_on.is_not(None), terms.c.ends_on < today)
    return list(
        connection.scalars(
            select(courses.c.id)
            .join(enrollments, enrollments.c.course_id == courses.c.id)
            .outerjoin(terms, terms.c.id == courses.c.term_id)
            .where(enrollments.c.student_id == student_id, is_held(enrollments), or_(terms.c.id.is_(None), ~has_ended))
            .order_by(courses.c.id)
        )
    )


def _treat(connection: Connection, table: Table, student_id: int) -> int:
    """Delete or empty the rows of a student in a table. Returns their number."""
    condition: ColumnElement[bool] = column_of_student(table) == student_id
    if TREATMENTS[table.name].is_deleted:
        return connection.execute(delete(table).where(condition)).rowcount
    if table is events:  # a line without a reason says nothing that could be erased
        condition = and_(condition, events.c.reason.is_not(None))
    return _empty(connection, table, condition)


def _empty(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    values = TREATMENTS[table.name].empties
    if not values:
        return 0
    return connection.execute(update(table).where(condition).values(values)).rowcount
