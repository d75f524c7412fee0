"""Credit limits of single students in a term, in the place of the term's limit."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database import retried, writing
from ..errors import TermNotFound
from ..models import StudentTerm, Term
from .enrollment import promote
from .passed_over_marks import reconsider_student
from .rule_ledger import record


def put(student_id: int, term_id: int, credit_limit: Decimal, context: RequestContext) -> StudentTerm:
    """Set the limit of a student in a term, and promote the student if that lets it.

    Raises `StudentNotFound`, `TermNotFound`.
    """
    limit, course_ids = _put(student_id, term_id, credit_limit, context)
    promote(course_ids, context)
    return limit


@retried(repeatable=True)
def _put(
    student_id: int, term_id: int, credit_limit: Decimal, context: RequestContext
) -> tuple[StudentTerm, list[int]]:
    with writing() as session:
        _lock_term(session, term_id)
        course_ids = reconsider_student(session, student_id)
        limit = session.get(StudentTerm, (student_id, term_id))
        change = None if limit and limit.credit_limit == credit_limit else "changed" if limit else "added"
        if limit is None:
            limit = StudentTerm(student_id=student_id, term_id=term_id)
            session.add(limit)
        limit.credit_limit = credit_limit
        session.flush()
        if change:
            record(session, context, student_id, ("limit", term_id), change, {"credit_limit": credit_limit})
        return limit, course_ids


def remove(student_id: int, term_id: int, context: RequestContext) -> None:
    """Delete the limit, so that of the term counts again; doing so again changes nothing.

    Raises `StudentNotFound`, `TermNotFound`.
    """
    promote(_remove(student_id, term_id, context), context)


@retried(repeatable=True)
def _remove(student_id: int, term_id: int, context: RequestContext) -> list[int]:
    with writing() as session:
        _lock_term(session, term_id)
        course_ids = reconsider_student(session, student_id)
        if limit := session.get(StudentTerm, (student_id, term_id)):
            session.delete(limit)
            record(session, context, student_id, ("limit", term_id), "removed", {"credit_limit": limit.credit_limit})
        return course_ids


def _lock_term(session: Session, term_id: int) -> None:
    """Lock the term against being deleted; before the courses, as a change of it does. Raises `TermNotFound`."""
    if session.get(Term, term_id, with_for_update={"read": True, "key_share": True}) is None:
        raise TermNotFound
