"""Held is enrolled or waitlisted: a student who has withdrawn from a course has no seat and no place in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.maintenance.verify import verify
from course_management.repositories import enrollments

from ..support.fixture_types import Counters, Enroll, Make

Sql = Callable[..., list[Any]]
Held = Callable[[int], dict[int, str]]


@pytest.fixture
def withdraw(sql: Sql) -> Callable[[int, int], None]:
    """Withdraws a student from a course, by hand."""

    def change(student_id: int, course_id: int) -> None:
        sql(
            "UPDATE student_courses SET status = 'withdrawn', queue_number = NULL"
            " WHERE student_id = :student AND course_id = :course",
            student=student_id,
            course=course_id,
        )

    return change


@pytest.fixture
def withdrawn(student: Make, course: Make, enroll: Enroll, withdraw: Callable[[int, int], None]) -> tuple[int, int]:
    """Return a student and the only course of it, from which the student has withdrawn."""
    ada, programming = student(), course(capacity=1, waitlist_capacity=5)
    enroll(ada, programming)
    withdraw(ada, programming)
    return ada, programming


def test_it_is_in_no_list_and_no_count(
    app: Flask, client: FlaskClient, withdrawn: tuple[int, int], held: Held, counters: Counters
) -> None:
    ada, programming = withdrawn

    assert held(ada) == {}
    assert counters(programming) == (0, 0)
    for status in ("enrolled", "waitlisted"):
        assert client.get(f"/courses/{programming}/students?status={status}").get_json()["items"] == []
    with app.app_context():
        assert enrollments.count_held(ada) == 0


def test_unenrolling_changes_nothing(client: FlaskClient, withdrawn: tuple[int, int]) -> None:
    ada, programming = withdrawn

    left = client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})

    assert [each["outcome"] for each in left.get_json()["results"]] == ["not_enrolled"]


def test_the_student_may_enroll_again(withdrawn: tuple[int, int], enroll: Enroll, held: Held, sql: Sql) -> None:
    ada, programming = withdrawn

    assert enroll(ada, programming).status_code == 201
    assert held(ada) == {programming: "enrolled"}
    assert sql("SELECT previous_status FROM student_courses") == [("withdrawn",)]


def test_a_replacement_neither_keeps_nor_unenrolls_it(
    client: FlaskClient, withdrawn: tuple[int, int], course: Make
) -> None:
    ada, programming = withdrawn
    other = course()

    changed = client.put(f"/students/{ada}/enroll", json={"course_ids": [other]}).get_json()
    assert (changed["enrolled"], changed["unenrolled"], changed["kept"]) == ([other], [], [])

    changed = client.put(f"/students/{ada}/enroll", json={"course_ids": [programming]}).get_json()
    assert (changed["enrolled"], changed["unenrolled"], changed["kept"]) == ([programming], [other], [])


def test_the_first_on_the_waitlist_gets_the_seat(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    held: Held,
    withdraw: Callable[[int, int], None],
) -> None:
    ada, ben, programming = student(), student(), course(capacity=1, waitlist_capacity=5)
    enroll(ada, programming)
    enroll(ben, programming, waitlist=True)

    withdraw(ada, programming)
    client.patch(f"/courses/{programming}", json={"title": "Programming"})  # a change is followed by promotion

    assert (held(ada), held(ben)) == ({}, {programming: "enrolled"})


@pytest.mark.parametrize(("what", "code"), [("students", "student"), ("courses", "course")])
def test_it_keeps_the_student_and_the_course_from_being_deleted(
    client: FlaskClient, withdrawn: tuple[int, int], sql: Sql, what: str, code: str
) -> None:
    response = client.delete(f"/{what}/{withdrawn[what == 'courses']}")

    assert (response.status_code, response.get_json()["code"]) == (409, f"{code}_has_enrollments")
    assert sql("SELECT status FROM student_courses") == [("withdrawn",)]


def test_the_whole_database_agrees_with_itself(app: Flask, withdrawn: tuple[int, int]) -> None:
    with app.app_context():
        assert withdrawn
        assert [finding.name for finding in verify() if finding.verdict == "BROKEN"] == []
