"""Read who is enrolled in the courses of a term, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from sqlalchemy import Integer, bindparam, select, tuple_

from ..database import AnyRow, autocommit
from ..database.types import Id
from ..models import ENROLLED, courses, enrollments

AT_ONCE = 1_000
"""Rows per statement."""

_ROWS = (
    select(enrollments.c.student_id, enrollments.c.course_id, courses.c.code)
    .join(courses, courses.c.id == enrollments.c.course_id)
    .where(
        enrollments.c.status == ENROLLED,
        courses.c.term_id == bindparam("term", type_=Id),
        tuple_(enrollments.c.student_id, enrollments.c.course_id)
        > tuple_(bindparam("after_student", type_=Id), bindparam("after_course", type_=Id)),
    )
    .order_by(enrollments.c.student_id, enrollments.c.course_id)
    .limit(bindparam("limit", type_=Integer))
)


def students_of_term(term_id: int) -> Iterator[tuple[int, dict[int, str]]]:
    """Yield each student who is enrolled in a course of the term, by id, with the codes of these courses by their ids.

    Each statement reads a page, so the pages are of different moments.
    """
    for student_id, rows in itertools.groupby(_pages(term_id), lambda row: int(row.student_id)):
        yield student_id, {row.course_id: row.code for row in rows}


def _pages(term_id: int) -> Iterator[AnyRow]:
    after = {"after_student": 0, "after_course": 0}
    while rows := autocommit(_ROWS, {"term": term_id, "limit": AT_ONCE, **after}):
        yield from rows
        after = {"after_student": rows[-1].student_id, "after_course": rows[-1].course_id}
