"""Move existing courses with their enrollments into a term, while students register.

A batch of courses is one transaction, so that few courses are locked at a time. It locks all courses of the batch,
ascending by id, then all of their students: the trigger that raises schedule revisions takes the students of one course
after those of another, which alone would not be an order. An enrollment that was decided without a term, and does not
have the lock of its course by then, is decided again by the rules of the term.

A course without a term has no credits, so none are written into the enrollments. PATCH of a course can set both, and
the trigger writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError

from ..database import Raced, broken_constraint, retried, run, transaction
from ..database.types import Id, UtcDateTime, among, utcnow
from ..errors import CodeTaken, CourseNotFound, Problem, TermIsFixed, TermNotFound
from ..models import courses, enrollments, is_held, students, terms
from .enrollment import parameters
from .enrollment.statements import LOCK_COURSES

BATCH = 50
"""Courses per transaction. With 60 enrollments each, a batch takes 30 ms; 5,000 courses in one would take 4 s."""

_term_id = bindparam("term", type_=Id)
_in_term = courses.alias("in_term")
_TERM = select(terms.c.id).where(terms.c.id == _term_id).with_for_update(read=True, key_share=True)
# A join would let SQLite read all courses of the term for each batch, which took twice as long as the rest.
_WITH_THE_CODE = (
    select(_in_term.c.id)
    .where(_in_term.c.code == courses.c.code, _in_term.c.term_id == _term_id)
    .scalar_subquery()
    .label("existing_id")
)
_WITHOUT_TERM = select(courses.c.id, _WITH_THE_CODE).where(
    among(courses.c.id, parameters.course_ids), courses.c.term_id.is_(None)
)
_LOCK_STUDENTS = (
    select(students.c.id)
    .where(
        students.c.id.in_(
            select(enrollments.c.student_id).where(
                among(enrollments.c.course_id, parameters.course_ids), is_held(enrollments)
            )
        )
    )
    .order_by(students.c.id)
    .with_for_update(key_share=True, of=students)
)
_ADOPT = (
    update(courses)
    .where(among(courses.c.id, parameters.course_ids), courses.c.term_id.is_(None))
    .values(term_id=_term_id, updated_at=bindparam("at", type_=UtcDateTime))
    .returning(courses.c.id, courses.c.seats_taken, courses.c.waiting)
)


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of one course.

    `enrollments` is the number of students who came with it; None if the course was in the term already, or was
    refused. `refusal` is `CourseNotFound`, `TermIsFixed` or `CodeTaken`, then with the course that has the code.
    """

    course_id: int
    enrollments: int | None = None
    refusal: Problem | None = None


def adopt(term_id: int, course_ids: Sequence[int]) -> Iterator[Adopted]:
    """Move courses into a term, batch after batch, and yield what became of each one, by id.

    A refused course stays as it is and stops no other. To repeat a call changes nothing, so that a call that was
    interrupted is continued by repeating it. Raises `TermNotFound`.
    """
    ids = sorted(set(course_ids))
    for start in range(0, len(ids), BATCH):
        yield from _adopt(term_id, ids[start : start + BATCH])


@retried(repeatable=True)
def _adopt(term_id: int, batch: Sequence[int]) -> list[Adopted]:
    with transaction() as connection:
        if not run(connection, _TERM, {"term": term_id}):
            raise TermNotFound
        terms_of = {row.id: row.term_id for row in run(connection, LOCK_COURSES, {"course_ids": batch})}
        existing = {
            row.id: row.existing_id for row in run(connection, _WITHOUT_TERM, {"term": term_id, "course_ids": batch})
        }
        moving = [course_id for course_id, taken_by in existing.items() if taken_by is None]
        run(connection, _LOCK_STUDENTS, {"course_ids": moving})
        try:
            rows = run(connection, _ADOPT, {"term": term_id, "course_ids": moving, "at": utcnow()})
        except IntegrityError as error:
            if broken_constraint(error) != "uq_courses_term_id_code":
                raise
            raise Raced from error  # a course with one of the codes was created in the term meanwhile
        came = {row.id: row.seats_taken + row.waiting for row in rows}

    def outcome(course_id: int) -> Adopted:
        if existing.get(course_id):
            return Adopted(course_id, refusal=CodeTaken(existing_id=existing[course_id]))
        if course_id not in terms_of:
            return Adopted(course_id, refusal=CourseNotFound())
        if terms_of[course_id] not in {None, term_id}:
            return Adopted(course_id, refusal=TermIsFixed())
        return Adopted(course_id, came.get(course_id))

    return [outcome(course_id) for course_id in batch]
