"""Read what decides in advance when, and for how many credits, a student registers for a term."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import selectinload

from ..database import reading
from ..database.types import utcnow
from ..errors import StudentNotFound, TermNotFound
from ..models import (
    ENROLLED,
    Course,
    Group,
    Hold,
    RegistrationWindow,
    Student,
    StudentCourses,
    StudentGroup,
    StudentTerm,
    Term,
)


class Registration(NamedTuple):
    """The live holds of a student, all windows of a term, the credits there, and the groups of the student."""

    holds: Sequence[Hold]
    windows: Sequence[RegistrationWindow]
    credit_limit: Decimal | None
    """The student's own in the term or else that of the term; None: no limit."""
    credits: Decimal
    """Of the courses of the term in which the student is enrolled."""
    groups: Sequence[Group]

    def is_mine(self, window: RegistrationWindow) -> bool:
        """Return whether a window is for this student."""
        return window.group_id is None or window.group_id in {group.id for group in self.groups}


def registration_of(student_id: int, term_id: int) -> Registration:
    """Return what decides about the registration of a student for a term. Raises `StudentNotFound`, `TermNotFound`."""
    live = Hold.released_at.is_(None), or_(Hold.until.is_(None), Hold.until > utcnow())
    of_student = select(Group).join(StudentGroup, StudentGroup.group_id == Group.id)
    enrolled = select(func.sum(StudentCourses.credits)).join(Course, Course.id == StudentCourses.course_id)
    with reading() as session:
        if session.get(Student, student_id) is None:
            raise StudentNotFound
        term = session.get(Term, term_id, options=[selectinload(Term.windows)])
        if term is None:
            raise TermNotFound
        own = session.get(StudentTerm, (student_id, term_id))
        return Registration(
            holds=session.scalars(select(Hold).where(Hold.student_id == student_id, *live).order_by(Hold.id)).all(),
            windows=sorted(term.windows, key=lambda window: (window.opens_at, window.closes_at, window.id)),
            credit_limit=term.credit_limit if own is None else own.credit_limit,
            credits=session.scalar(
                enrolled.where(
                    StudentCourses.student_id == student_id,
                    StudentCourses.status == ENROLLED,
                    Course.term_id == term_id,
                )
            )
            or Decimal(0),
            groups=session.scalars(
                of_student.where(StudentGroup.student_id == student_id).order_by(Group.kind, Group.code)
            ).all(),
        )
