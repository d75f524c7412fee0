"""The statement that enrolls and the decision that explains say the same about every state of a course."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from course_management.context import RequestContext
from course_management.database import autocommit, db
from course_management.services.enrollment import dry_run
from course_management.services.enrollment.request import EnrollmentRequest
from course_management.services.enrollment.statements import ENROLL_BY_SEATS

Make = Callable[..., int]

LIMITS = (None, 0, 1, 2)
STATES = [
    (capacity, waitlist_capacity, seats_taken, waiting)
    for capacity, waitlist_capacity, seats_taken, waiting in product(LIMITS, LIMITS, range(3), range(3))
    if (capacity is None or seats_taken <= capacity) and (waitlist_capacity is None or waiting <= waitlist_capacity)
]
"""Every state with at most two seats, places and students, also with a free seat beside waiting students."""


@pytest.fixture
def courses(engine: Engine, student: Make) -> dict[int, tuple[Any, ...]]:
    """A course in each state, by id; the students in it are others than the one who asks."""
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


@pytest.mark.parametrize("waitlist", [False, True])
def test_a_course_is_eligible_exactly_when_the_statement_enrolls(
    app: Flask, student: Make, courses: dict[int, tuple[Any, ...]], waitlist: bool
) -> None:
    ada = student()
    different: dict[tuple[Any, ...], tuple[str, list[str]]] = {}
    with app.app_context():
        for number, state in courses.items():
            request = EnrollmentRequest(ada, [number], waitlist=waitlist, context=RequestContext())
            (decision,) = dry_run(request)
            changed = autocommit(ENROLL_BY_SEATS[db.engine.dialect.name], request.parameters([number]))
            rows = [row.status for row in changed]
            if (decision.outcome == "eligible") != bool(rows):
                different[state] = decision.outcome, rows

    assert different == {}
