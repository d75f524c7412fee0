"""Terms, groups, holds and permissions through the ORM."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy.exc import StatementError

from course_management.database import reading, writing
from course_management.database.types import utcnow
from course_management.models import (
    Course,
    CourseRestriction,
    Group,
    Hold,
    Permission,
    RegistrationWindow,
    RuleEvent,
    Student,
    Term,
)


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def a_term(**values: object) -> Term:
    return Term(
        **{"code": "F26", "title": "Fall", "starts_on": date(2026, 9, 1), "ends_on": date(2026, 12, 18)} | values
    )


def test_a_term_has_windows_in_the_order_of_their_creation_and_an_exact_credit_limit() -> None:
    now = utcnow()
    with writing() as session:
        term = a_term(credit_limit=Decimal("18.25"))
        term.windows = [RegistrationWindow(opens_at=now + timedelta(n), closes_at=now + timedelta(9)) for n in (3, 1)]
        session.add(term)

    with reading() as session:
        found = session.get_one(Term, term.id)
        assert found.credit_limit == Decimal("18.25")
        assert [window.opens_at - now for window in found.windows] == [timedelta(3), timedelta(1)]
        assert (found.starts_on, found.created_at) == (date(2026, 9, 1), found.updated_at)


def test_credits_with_three_decimals_are_refused_and_not_rounded() -> None:
    with pytest.raises(StatementError, match="at most two decimals"), writing() as session:
        session.add(a_term(credit_limit=Decimal("0.125")))


def test_rows_that_say_only_what_they_must_get_defaults() -> None:
    with writing() as session:
        ada, term = Student(name="Ada"), a_term()
        session.add_all([ada, term])
        session.flush()
        course = Course(code="CS101", title="Programming", term_id=term.id)
        group = Group(kind="level", code="UG", title="Undergraduate")
        session.add_all([course, group])
        session.flush()
        hold = Hold(student_id=ada.id, kind="library", contact="Room 1", blocks="both")
        permission = Permission(student_id=ada.id, course_id=course.id, rule="restricted", reason="Asked for")
        restriction = CourseRestriction(course_id=course.id, group_id=group.id)
        line = RuleEvent(student_id=ada.id, subject="hold", subject_id=1, change="placed")
        other = RuleEvent(student_id=ada.id, subject="group", subject_id=1, change="added", facts={"kind": "level"})
        session.add_all([hold, permission, restriction, line, other])

    with reading() as session:
        found = session.get_one(Course, course.id)
        assert (found.component, found.permission_required, found.closed_at) == ("", False, None)
        assert (hold.placed_by, permission.granted_by, restriction.admits) == ("database", "database", True)
        assert [session.get_one(RuleEvent, each.id).facts for each in (line, other)] == [{}, {"kind": "level"}]
        assert session.get_one(Student, ada.id).schedule_revision == 0
