"""The statement that enrolls and the decision that explains say the same about every state of a course."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from course_management.context import RequestContext
from course_management.database import autocommit, db
from course_management.errors import Reason, UnknownCourse
from course_management.services.enrollment.decisions import explain
from course_management.services.enrollment.statements import ENROLL, parameters

from ..fixture_types import Make

LIMITS = (None, 0, 1, 2)
STATES = [
    (capacity, waitlist_capacity, seats_taken, waiting)
    for capacity, waitlist_capacity, seats_taken, waiting in product(LIMITS, LIMITS, range(3), range(3))
    if (capacity is None or seats_taken <= capacity) and (waitlist_capacity is None or waiting <= waitlist_capacity)
]
"""Every state with at most two seats, places and students, also with a free seat beside waiting students."""


@pytest.fixture
def courses(engine: Engine, student: Make) -> dict[int, tuple[Any, ...]]:
    """Create a course in each state, with other students than the one of the requests. Return them by id."""
    others = [student() for _ in range(4)]
    with engine.begin() as connection:

        def run(statement: str, *rows: dict[str, Any]) -> None:
            connection.execute(text(statement), list(rows))

        numbered = dict(enumerate(STATES, 1))
        run(
            "INSERT INTO courses (id, code, title, capacity, waitlist_capacity) VALUES (:id, :code, 'T', NULL, NULL)",
            *({"id": number, "code": f"C{number}"} for number in numbered),
        )
        run(
            "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
            " VALUES (:student, :course, :status, :number)",
            *(
                {
                    "student": other,
                    "course": number,
                    "status": "enrolled" if place < seats_taken else "waitlisted",
                    "number": None if place < seats_taken else place,
                }
                for number, (_, _, seats_taken, waiting) in numbered.items()
                for place, other in enumerate(others[: seats_taken + waiting])
            ),
        )
        run(
            "UPDATE courses SET capacity = :capacity, waitlist_capacity = :waitlist WHERE id = :id",
            *(
                {"id": number, "capacity": capacity, "waitlist": waitlist}
                for number, (capacity, waitlist, _, _) in numbered.items()
            ),
        )
    return numbered


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("waitlist", [False, True])
def test_a_course_is_eligible_exactly_when_the_statement_enrolls(
    app: Flask, student: Make, sql: Any, courses: dict[int, tuple[Any, ...]], waitlist: bool, closed: bool
) -> None:
    ada = student()
    if closed:
        sql("UPDATE courses SET closed_at = CURRENT_TIMESTAMP")
    different: dict[tuple[Any, ...], tuple[str, list[str]]] = {}
    with app.app_context():
        for number, state in courses.items():
            (decision,) = explain(autocommit, ada, [number], waitlist=waitlist)
            values = parameters(ada, [number], RequestContext(), waitlist=waitlist)
            rows = [row.status for row in autocommit(ENROLL[db.engine.dialect.name], values)]
            if (decision.outcome == "eligible") != bool(rows):
                different[state] = decision.outcome, rows

    assert different == {}


def test_every_reason_is_given_in_one_of_these_states(
    app: Flask, student: Make, sql: Any, courses: dict[int, tuple[Any, ...]]
) -> None:
    """Else the test above would not notice a reason that the statement does not enforce: add a state that has it."""
    ada = student()
    given: set[str] = set()
    for change in ("UPDATE courses SET closed_at = NULL", "UPDATE courses SET closed_at = CURRENT_TIMESTAMP"):
        sql(change)
        with app.app_context():
            for waitlist in (False, True):
                decisions = explain(autocommit, ada, list(courses), waitlist=waitlist)
                given |= {reason.code for decision in decisions for reason in decision.reasons}

    assert given == {cls.code for cls in Reason.__subclasses__()} - {UnknownCourse.code}
