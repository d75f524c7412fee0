"""Read what students have completed, and their own credit limits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, and_, bindparam, select

from ..database import AnyRow, autocommit
from ..database.types import Id
from ..errors import StudentNotFound, TermNotFound
from ..models import completions, student_terms, students, terms

_STUDENT = bindparam("student", type_=Id)
_TERM = bindparam("term", type_=Id)
_PAGE = (
    select(completions)
    .select_from(
        students.outerjoin(
            completions,
            and_(completions.c.student_id == students.c.id, completions.c.catalog_id >= bindparam("first", type_=Id)),
        )
    )
    .where(students.c.id == _STUDENT)
    .order_by(completions.c.catalog_id, completions.c.term_code)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("shown", type_=Integer))
)
_LIMIT = (
    select(
        terms.c.id.label("term_id"),
        student_terms.c.credit_limit,
        student_terms.c.created_at,
        student_terms.c.updated_at,
    )
    .select_from(
        students.outerjoin(terms, terms.c.id == _TERM).outerjoin(
            student_terms, and_(student_terms.c.student_id == students.c.id, student_terms.c.term_id == terms.c.id)
        )
    )
    .where(students.c.id == _STUDENT)
)


def page(student_id: int, first: int, shown: int, limit: int) -> Sequence[AnyRow] | None:
    """Return up to `limit` completions of a student, by entry and term, from the entry `first` on.

    `shown` completions of that entry are left out, those of the pages before. None without the student.
    """
    rows = autocommit(_PAGE, {"student": student_id, "first": first, "shown": shown, "limit": limit})
    if not rows and not shown:
        return None
    return [row for row in rows if row.catalog_id is not None]


def credit_limit(student_id: int, term_id: int) -> AnyRow:
    """Return `credit_limit`, `created_at` and `updated_at` of a student in a term; nulls where the term's limit counts.

    Raises `StudentNotFound`, `TermNotFound`.
    """
    rows = autocommit(_LIMIT, {"student": student_id, "term": term_id})
    if not rows:
        raise StudentNotFound
    if rows[0].term_id is None:
        raise TermNotFound
    return rows[0]
