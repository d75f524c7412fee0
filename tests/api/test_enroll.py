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


def test_a_student_gets_a_seat(student: Make, course: Make, enroll: Any, counters: Any) -> None:
    ada, programming = student(), course(capacity=1)

    answer = enroll(ada, programming)

    assert answer.status_code == 201
    assert answer.get_json() == {
        "student_id": ada,
        "results": [{"course_id": programming, "outcome": "enrolled"}],
    }
    assert counters(programming) == (1, 0)


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


def test_the_second_time_changes_nothing_and_says_so(
    student: Make, course: Make, enroll: Any, client: FlaskClient
) -> None:
    ada, programming = student(), course(capacity=1)
    enroll(ada, programming)

    answer = enroll(ada, programming)

    assert answer.status_code == 200
    assert outcomes(answer) == [(programming, "already_enrolled")]
    assert len(client.get(f"/students/{ada}/history").get_json()["items"]) == 1


def test_what_is_held_already_is_no_obstacle_to_the_rest(student: Make, course: Make, enroll: Any) -> None:
    ada, full, free = student(), course(capacity=1), course()
    enroll(ada, full)

    answer = enroll(ada, full, free)

    assert answer.status_code == 201
    assert outcomes(answer) == [(full, "already_enrolled"), (free, "enrolled")]


def test_in_a_full_course_is_refused_with_its_facts(student: Make, course: Make, enroll: Any, counters: Any) -> None:
    full = course(capacity=1)
    enroll(student(), full)

    answer = enroll(student(), full)

    assert answer.status_code == 409
    assert answer.get_json()["code"] == "enrollment_refused"
    (reason,) = decisions(answer)[full]["reasons"]
    assert (reason["code"], reason["capacity"], reason["waitlist_open"]) == ("course_full", 1, False)
    assert counters(full) == (1, 0)


def test_one_full_course_refuses_all_and_each_is_explained(
    student: Make, course: Make, enroll: Any, held: Any, counters: Any
) -> None:
    ada, kept, full, free = student(), course(), course(capacity=0), course()
    enroll(ada, kept)

    answer = enroll(ada, free, full, kept)

    assert answer.status_code == 409
    assert [(each["course_id"], each["outcome"]) for each in answer.get_json()["decisions"]] == [
        (free, "eligible"),
        (full, "refused"),
        (kept, "already_enrolled"),
    ]
    assert held(ada) == {kept: "enrolled"}
    assert counters(free) == (0, 0)


def test_an_unknown_course_refuses_all_and_every_reason_is_there(
    student: Make, course: Make, enroll: Any, held: Any
) -> None:
    ada, free, full = student(), course(), course(capacity=0)

    answer = enroll(ada, free, 999, full)

    assert answer.status_code == 404
    assert answer.get_json()["code"] == "course_not_found"
    found = decisions(answer)
    assert [reason["code"] for reason in found[999]["reasons"]] == ["course_not_found"]
    assert [reason["code"] for reason in found[full]["reasons"]] == ["course_full"]
    assert found[free]["outcome"] == "eligible"
    assert held(ada) == {}


def test_an_unknown_student_is_told_first(course: Make, enroll: Any, counters: Any) -> None:
    programming = course()

    answer = enroll(999, programming)

    assert answer.status_code == 404
    assert answer.get_json()["code"] == "student_not_found"
    assert "decisions" not in answer.get_json()
    assert counters(programming) == (0, 0)


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


def test_in_a_full_course_a_place_in_the_queue_will_do(student: Make, course: Make, enroll: Any, counters: Any) -> None:
    full, free = course(capacity=1, waitlist_capacity=5), course()
    enroll(student(), full)
    enroll(student(), full, waitlist=True)

    answer = enroll(student(), free, full, waitlist=True)

    assert answer.status_code == 201
    assert answer.get_json()["results"] == [
        {"course_id": free, "outcome": "enrolled"},
        {"course_id": full, "outcome": "waitlisted", "position": 2},
    ]
    assert counters(full) == (1, 2)


def test_asking_again_for_a_place_tells_the_position(student: Make, course: Make, enroll: Any) -> None:
    full, ada = course(capacity=0, waitlist_capacity=None), student()
    enroll(ada, full, waitlist=True)

    answer = enroll(ada, full, waitlist=True)

    assert answer.status_code == 200
    assert answer.get_json()["results"] == [{"course_id": full, "outcome": "already_waitlisted", "position": 1}]


def test_who_waits_already_is_not_refused_without_the_waitlist(student: Make, course: Make, enroll: Any) -> None:
    full, ada = course(capacity=0, waitlist_capacity=None), student()
    enroll(ada, full, waitlist=True)

    assert outcomes(enroll(ada, full)) == [(full, "already_waitlisted")]


def test_a_full_course_says_whether_its_queue_is_open(student: Make, course: Make, enroll: Any) -> None:
    full = course(capacity=0, waitlist_capacity=1)

    (reason,) = decisions(enroll(student(), full))[full]["reasons"]

    assert (reason["code"], reason["waitlist_open"]) == ("course_full", True)


def test_a_full_queue_is_its_own_reason_and_the_only_one(student: Make, course: Make, enroll: Any) -> None:
    full = course(capacity=0, waitlist_capacity=1)
    enroll(student(), full, waitlist=True)

    answer = enroll(student(), full, waitlist=True)

    assert answer.status_code == 409
    assert [reason["code"] for reason in decisions(answer)[full]["reasons"]] == ["waitlist_full"]


def test_a_course_without_a_queue_is_full_whatever_is_asked(student: Make, course: Make, enroll: Any) -> None:
    full = course(capacity=0)

    (reason,) = decisions(enroll(student(), full, waitlist=True))[full]["reasons"]

    assert (reason["code"], reason["waitlist_open"]) == ("course_full", False)


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
