"""POST /students/{id}/enroll: all or nothing, safe to repeat, explained."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Counters, Enroll, Held, Make, Sql


def outcomes(response: Any) -> list[tuple[int, str]]:
    return [(each["course_id"], each["outcome"]) for each in response.get_json()["results"]]


def decisions(response: Any) -> dict[int, Any]:
    return {each["course_id"]: each for each in response.get_json()["decisions"]}


def test_a_single_course_may_be_given_as_course_id(client: FlaskClient, student: Make, course: Make) -> None:
    ada, programming = student(), course()

    response = client.post(f"/students/{ada}/enroll", json={"course_id": programming})

    assert outcomes(response) == [(programming, "enrolled")]


def test_results_are_in_the_order_of_the_request(student: Make, course: Make, enroll: Enroll) -> None:
    ada, first, second, third = student(), course(), course(), course()

    response = enroll(ada, third, first, second)

    assert outcomes(response) == [(third, "enrolled"), (first, "enrolled"), (second, "enrolled")]


def test_a_course_without_a_capacity_enrolls_every_student(
    student: Make, course: Make, enroll: Enroll, counters: Counters
) -> None:
    programming = course(capacity=None)

    assert all(enroll(student(), programming).status_code == 201 for _ in range(5))
    assert counters(programming) == (5, 0)


def test_an_existing_enrollment_does_not_refuse_the_rest(student: Make, course: Make, enroll: Enroll) -> None:
    ada, full, free = student(), course(capacity=1), course()
    enroll(ada, full)

    response = enroll(ada, full, free)

    assert response.status_code == 201
    assert outcomes(response) == [(full, "already_enrolled"), (free, "enrolled")]


def test_enrolling_after_unenrolling_updates_the_same_row(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, sql: Sql
) -> None:
    ada, programming = student(), course(capacity=1)
    enroll(ada, programming)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})

    response = enroll(ada, programming)

    assert response.status_code == 201
    assert sql("SELECT status, previous_status, revision FROM student_courses") == [("enrolled", "unenrolled", 3)]


def test_a_hundred_courses_at_once_are_one_change(
    student: Make, sql: Sql, enroll: Enroll, client: FlaskClient, statements: list[str]
) -> None:
    ada = student()
    for number in range(100):
        sql(
            "INSERT INTO courses (code, title, capacity, created_at) VALUES (:code, 'T', 1, CURRENT_TIMESTAMP)",
            code=f"C{number}",
        )
    ids = [row[0] for row in sql("SELECT id FROM courses ORDER BY id DESC")]
    statements.clear()

    response = enroll(ada, *ids)

    assert response.status_code == 201
    assert len(statements) == 1
    assert len(client.get(f"/students/{ada}/courses").get_json()["courses"]) == 100


def test_the_ledger_names_the_request(client: FlaskClient, student: Make, course: Make) -> None:
    ada, programming = student(), course()

    client.post(
        f"/students/{ada}/enroll", json={"course_id": programming}, headers={"X-Request-ID": "registration-day-1"}
    )

    (line,) = client.get(f"/students/{ada}/history").get_json()["items"]
    assert (line["from"], line["to"], line["actor"], line["request_id"]) == (
        None,
        "enrolled",
        "anonymous",
        "registration-day-1",
    )


# --- the waitlist --------------------------------------------------------------------------------------------


def test_a_waitlisted_student_is_not_refused_without_the_waitlist(student: Make, course: Make, enroll: Enroll) -> None:
    full, ada = course(capacity=0, waitlist_capacity=None), student()
    enroll(ada, full, waitlist=True)

    assert outcomes(enroll(ada, full)) == [(full, "already_waitlisted")]


def test_a_full_course_reports_whether_its_waitlist_is_open(student: Make, course: Make, enroll: Enroll) -> None:
    full = course(capacity=0, waitlist_capacity=1)

    (reason,) = decisions(enroll(student(), full))[full]["reasons"]

    assert (reason["code"], reason["waitlist_open"]) == ("course_full", True)


@pytest.mark.parametrize("waitlist", [False, True])
def test_a_free_seat_goes_to_the_head_of_the_waitlist_before_a_newcomer(
    *, waitlist: bool, student: Make, course: Make, enroll: Enroll, held: Held, sql: Sql
) -> None:
    full, first, newcomer = course(capacity=1, waitlist_capacity=5), student(), student()
    enroll(student(), full)
    enroll(first, full, waitlist=True)
    # What a crash between the commit that frees a seat and its promotion leaves behind.
    sql("UPDATE courses SET capacity = 2")

    response = enroll(newcomer, full, waitlist=waitlist)

    assert held(first) == {full: "enrolled"}
    assert held(newcomer) == ({full: "waitlisted"} if waitlist else {})
    assert response.status_code == (201 if waitlist else 409)


def test_a_student_who_joins_a_waitlist_and_is_promoted_at_once_is_reported_enrolled(
    student: Make, course: Make, enroll: Enroll, sql: Sql
) -> None:
    full, ada = course(capacity=1, waitlist_capacity=5), student()
    enroll(student(), full)
    enroll(student(), full, waitlist=True)
    sql("UPDATE courses SET capacity = 3")

    response = enroll(ada, full, waitlist=True)

    assert (response.status_code, outcomes(response)) == (201, [(full, "enrolled")])
