"""Requests of several students in one transaction, which are asked and applied together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, Executable, text

from course_management.context import NamedActor, RequestContext
from course_management.database import Raced, autocommit, run, transaction
from course_management.services import enrollment
from course_management.services.enrollment import EnrollmentRequest, taking_seats
from course_management.services.enrollment.loading import load_by_rules, load_many_by_rules

from ..oracle.schools import School, schools
from ..support.fixture_types import Make, Sql

CONTEXT = RequestContext(caller=NamedActor("import:1"))


def request(student_id: int, *course_ids: int, **options: Any) -> EnrollmentRequest:
    return EnrollmentRequest(student_id, course_ids, context=CONTEXT, **options)


def outcomes(results: Sequence[enrollment.BulkResult]) -> list[Mapping[int, str] | None]:
    return [(result.outcome_by_course or None) if result else None for result in results]


def test_the_situations_of_several_students_are_those_of_each_alone(app: Flask, engine: Engine) -> None:
    examples = 0

    @seed(0)
    @settings(
        max_examples=15,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def in_one_school(data: Any) -> None:
        nonlocal examples
        examples += 1
        school: School = data.draw(schools(examples * 1000))
        with engine.begin() as connection:
            school.write(connection)
        lists = {
            student: data.draw(st.lists(st.sampled_from(school.courses), unique=True)) for student in school.students
        }
        with app.app_context():
            many = load_many_by_rules(autocommit, lists, CONTEXT)
            alone = {
                student: load_by_rules(autocommit, student, course_list, CONTEXT)
                for student, course_list in lists.items()
            }
        assert many == {student: replace(situation, now=many[student].now) for student, situation in alone.items()}

    in_one_school()
    assert examples == 15


def test_the_last_seat_goes_to_the_first_of_several_requests(app: Flask, student: Make, course: Make) -> None:
    first, second, third, scarce, other = student(), student(), student(), course(capacity=1), course()
    with app.app_context():
        requests = [request(first, other), request(second, scarce), request(third, other, scarce)]
        assert outcomes(enrollment.exchange_all(requests, {})) == [{other: "enrolled"}, {scarce: "enrolled"}, None]


def test_one_student_may_have_several_requests_beside_those_of_others(app: Flask, student: Make, course: Make) -> None:
    ada, bob, left, taken = student(), student(), course(), course(capacity=1)
    with app.app_context():
        enrollment.exchange_all([request(ada, left)], {})
        seen = enrollment.enrollments_of([ada], [left])
        requests = [request(ada, instead_of=[left]), request(ada, taken), request(bob, left)]
        done = outcomes(enrollment.exchange_all(requests, seen))
    assert done == [{left: "unenrolled"}, {taken: "enrolled"}, {left: "enrolled"}]


def test_seats_are_not_taken_without_the_locks_of_their_students(
    app: Flask, student: Make, course: Make, sql: Sql
) -> None:
    """As if another transaction had enrolled the student after the question, which the locks make impossible."""
    ada, wanted = student(), course()
    late = text(
        "INSERT INTO student_courses (student_id, course_id, status, actor) VALUES (:ada, :wanted, 'enrolled', 'x')"
    )

    def taking() -> None:
        with transaction() as connection:
            execute: Callable[..., Any] = functools.partial(run, connection)

            def and_then_enroll(statement: Executable, parameters: Mapping[str, Any]) -> Any:
                rows = execute(statement, parameters)
                if "requests" in parameters:
                    connection.execute(late, {"ada": ada, "wanted": wanted})
                return rows

            taking_seats.take_seats(and_then_enroll, [request(ada, wanted)])

    with app.app_context(), pytest.raises(Raced):
        taking()
    assert sql("SELECT * FROM student_courses") == []
