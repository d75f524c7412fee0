"""Read what a registrar looks at first: the terms that are not over, their windows, and how full their courses are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from sqlalchemy import ColumnElement, and_, case, func, select

from ..database import AnyRow, reading
from ..models import RegistrationWindow, Term, courses
from .course_search import CourseFilter


def terms_not_over(today: date) -> Sequence[Term]:
    """Return the terms that end today or later, by their first day."""
    with reading() as session:
        return session.scalars(select(Term).where(Term.ends_on >= today).order_by(Term.starts_on, Term.code)).all()


def windows_of(term_ids: Collection[int]) -> Mapping[int, Sequence[RegistrationWindow]]:
    """Return the registration windows of these terms, in order of time, by the id of the term."""
    windows: dict[int, list[RegistrationWindow]] = {term_id: [] for term_id in term_ids}
    statement = select(RegistrationWindow).where(RegistrationWindow.term_id.in_(term_ids))
    with reading() as session:
        for window in session.scalars(statement.order_by(RegistrationWindow.opens_at, RegistrationWindow.id)):
            windows[window.term_id].append(window)
    return windows


def course_counts(term_ids: Collection[int]) -> Mapping[int | None, AnyRow]:
    """Count the courses of these terms, and of no term, by the id of the term.

    A row has `courses`, and those that `CourseFilter` finds as `full`, `nearly_full` and `with_waitlist`; the students
    who are `waiting` in them, and of these the `passed_over`.
    """

    def number_of(wanted: CourseFilter) -> ColumnElement[int]:
        return func.sum(case((and_(*wanted.conditions()), 1), else_=0))

    statement = (
        select(
            courses.c.term_id,
            func.count().label("courses"),
            number_of(CourseFilter(only_full=True)).label("full"),
            number_of(CourseFilter(only_nearly_full=True)).label("nearly_full"),
            number_of(CourseFilter(only_waiting=True)).label("with_waitlist"),
            func.sum(courses.c.waiting).label("waiting"),
            func.sum(courses.c.passed_over_count).label("passed_over"),
        )
        .where(courses.c.term_id.in_(term_ids) | courses.c.term_id.is_(None))
        .group_by(courses.c.term_id)
    )
    with reading() as session:
        return {row.term_id: row for row in session.execute(statement)}
