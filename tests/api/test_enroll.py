"""POST /students/{id}/enroll: all or nothing, safe to repeat, explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

Make = Callable[..., int]


def outcomes(answer: Any) -> list[tuple[int, str]]:
    return [(each["course_id"], each["outcome"]) for each in answer.get_json()["results"]]


def decisions(answer: Any) -> dict[int, Any]:
    return {each["course_id"]: each for each in answer.get_json()["decisions"]}


def test_a_single_course_may_be_named_alone(client: FlaskClient, student: Make, course: Make) -> None:
    ada, programming = student(), course()

    answer = client.post(f"/students/{ada}/enroll", json={"course_id": programming})

    assert outcomes(answer) == [(programming, "enrolled")]


def test_several_courses_come_back_in_the_order_asked(student: Make, course: Make, enroll: Any) -> None:
    ada, first, second, third = student(), course(), course(), course()

    answer = enroll(ada, third, first, second)

    assert outcomes(answer) == [(third, "enrolled"), (first, "enrolled"), (second, "enrolled")]


def test_a_course_without_a_limit_takes_everybody(student: Make, course: Make, enroll: Any, counters: Any) -> None:
    programming = course(capacity=None)

    assert all(enroll(student(), programming).status_code == 201 for _ in range(5))
    assert counters(programming) == (5, 0)


def test_what_is_held_already_is_no_obstacle_to_the_rest(student: Make, course: Make, enroll: Any) -> None:
    ada, full, free = student(), course(capacity=1), course()
    enroll(ada, full)

    answer = enroll(ada, full, free)

    assert answer.status_code == 201
    assert outcomes(answer) == [(full, "already_enrolled"), (free, "enrolled")]


def test_who_left_comes_back_to_the_same_row(
    client: FlaskClient, student: Make, course: Make, enroll: Any, sql: Any
) -> None:
    ada, programming = student(), course(capacity=1)
    enroll(ada, programming)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})

    answer = enroll(ada, programming)

    assert answer.status_code == 201
    assert sql("SELECT status, previous_status, revision FROM student_courses") == [("enrolled", "unenrolled", 3)]


def test_a_hundred_courses_at_once_are_one_change(
    student: Make, sql: Any, enroll: Any, client: FlaskClient, statements: list[str]
) -> None:
    ada = student()
    for number in range(100):
        sql(
            "INSERT INTO courses (code, title, capacity, created_at) VALUES (:code, 'T', 1, CURRENT_TIMESTAMP)",
            code=f"C{number}",
        )
    ids = [row[0] for row in sql("SELECT id FROM courses ORDER BY id DESC")]
    statements.clear()

    answer = enroll(ada, *ids)

    assert answer.status_code == 201
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


# --- the queue --------------------------------------------------------------------------------------------


def test_who_waits_already_is_not_refused_without_the_waitlist(student: Make, course: Make, enroll: Any) -> None:
    full, ada = course(capacity=0, waitlist_capacity=None), student()
    enroll(ada, full, waitlist=True)

    assert outcomes(enroll(ada, full)) == [(full, "already_waitlisted")]


def test_a_full_course_says_whether_its_queue_is_open(student: Make, course: Make, enroll: Any) -> None:
    full = course(capacity=0, waitlist_capacity=1)

    (reason,) = decisions(enroll(student(), full))[full]["reasons"]

    assert (reason["code"], reason["waitlist_open"]) == ("course_full", True)


@pytest.mark.parametrize("waitlist", [False, True])
def test_a_free_seat_somebody_waits_for_goes_to_the_head_of_the_queue(
    *, waitlist: bool, student: Make, course: Make, enroll: Any, held: Any, sql: Any
) -> None:
    full, first, newcomer = course(capacity=1, waitlist_capacity=5), student(), student()
    enroll(student(), full)
    enroll(first, full, waitlist=True)
    # What a crash between the commit that frees a seat and its promotion leaves behind.
    sql("UPDATE courses SET capacity = 2")

    answer = enroll(newcomer, full, waitlist=waitlist)

    assert held(first) == {full: "enrolled"}
    assert held(newcomer) == ({full: "waitlisted"} if waitlist else {})
    assert answer.status_code == (201 if waitlist else 409)


def test_who_joins_a_queue_that_has_a_seat_to_give_is_told_enrolled(
    student: Make, course: Make, enroll: Any, sql: Any
) -> None:
    full, ada = course(capacity=1, waitlist_capacity=5), student()
    enroll(student(), full)
    enroll(student(), full, waitlist=True)
    sql("UPDATE courses SET capacity = 3")

    answer = enroll(ada, full, waitlist=True)

    assert (answer.status_code, outcomes(answer)) == (201, [(full, "enrolled")])
