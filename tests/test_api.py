"""The story of the enrollment calls: a student enrolls, waits, is promoted, replaces, unenrolls, and reads the history.

Each test shows one call through the public API. The details of each call are in `tests/api/`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from .support.fixture_types import Counters, Enroll, Held, Make


@pytest.fixture
def unenroll(client: FlaskClient) -> Callable[..., Any]:
    """Return a function that unenrolls a student from courses and returns the response."""

    def call(student_id: int, *course_ids: int) -> Any:
        return client.delete(f"/students/{student_id}/unenroll", json={"course_ids": course_ids})

    return call


@pytest.fixture
def replace(client: FlaskClient) -> Callable[..., Any]:
    """Return a function that replaces the courses of a student and returns the response."""

    def call(student_id: int, *course_ids: int, query: str = "", **body: Any) -> Any:
        return client.put(f"/students/{student_id}/enroll{query}", json={"course_ids": course_ids, **body})

    return call


@pytest.fixture
def full(student: Make, course: Make, enroll: Enroll) -> int:
    """Return a course whose only seat is taken, with a waitlist of two places."""
    course_id = course(capacity=1, waitlist_capacity=2)
    enroll(student(), course_id)
    return course_id


def reasons(response: Any) -> dict[int, list[str]]:
    """Return the codes of the reasons of a refusal, by course."""
    return {
        each["course_id"]: [reason["code"] for reason in each["reasons"]] for each in response.get_json()["decisions"]
    }


# --- enroll -----------------------------------------------------------------------------------------------


def test_a_student_enrolls_in_a_course(
    student: Make, course: Make, enroll: Enroll, held: Held, counters: Counters
) -> None:
    ada, programming = student(), course(capacity=30)

    response = enroll(ada, programming)

    assert response.status_code == 201
    assert response.get_json() == {
        "student_id": ada,
        "results": [{"course_id": programming, "outcome": "enrolled"}],
    }
    assert held(ada) == {programming: "enrolled"}
    assert counters(programming) == (1, 0)


def test_enrolling_again_changes_nothing(client: FlaskClient, student: Make, course: Make, enroll: Enroll) -> None:
    ada, programming = student(), course(capacity=1)
    enroll(ada, programming)

    response = enroll(ada, programming)

    assert response.status_code == 200
    assert response.get_json()["results"] == [{"course_id": programming, "outcome": "already_enrolled"}]
    assert len(client.get(f"/students/{ada}/history").get_json()["items"]) == 1


# --- waitlist and promotion -------------------------------------------------------------------------------


def test_a_student_joins_the_waitlist_of_a_full_course(
    full: int, student: Make, course: Make, enroll: Enroll, counters: Counters
) -> None:
    free = course()
    enroll(student(), full, waitlist=True)

    response = enroll(student(), free, full, waitlist=True)

    assert response.status_code == 201
    assert response.get_json()["results"] == [
        {"course_id": free, "outcome": "enrolled"},
        {"course_id": full, "outcome": "waitlisted", "position": 2},
    ]
    assert counters(full) == (1, 2)


def test_joining_a_waitlist_again_gives_the_position(full: int, student: Make, enroll: Enroll) -> None:
    ada = student()
    enroll(ada, full, waitlist=True)

    response = enroll(ada, full, waitlist=True)

    assert response.status_code == 200
    assert response.get_json()["results"] == [{"course_id": full, "outcome": "already_waitlisted", "position": 1}]


def test_a_free_seat_goes_to_the_first_student_on_the_waitlist(
    course: Make, student: Make, enroll: Enroll, unenroll: Any, held: Held, counters: Counters
) -> None:
    wanted, ada, first, second = course(capacity=1, waitlist_capacity=2), student(), student(), student()
    for each in (ada, first, second):
        enroll(each, wanted, waitlist=True)

    unenroll(ada, wanted)

    assert (held(first), held(second)) == ({wanted: "enrolled"}, {wanted: "waitlisted"})
    assert counters(wanted) == (1, 1)


# --- refusals ---------------------------------------------------------------------------------------------


def test_a_full_course_is_refused_with_the_facts(full: int, student: Make, enroll: Enroll, counters: Counters) -> None:
    response = enroll(student(), full)

    assert (response.status_code, response.get_json()["code"]) == (409, "enrollment_refused")
    (decision,) = response.get_json()["decisions"]
    assert decision["reasons"] == [
        {
            "code": "course_full",
            "detail": "All seats are taken or reserved for students on the waitlist.",
            "capacity": 1,
            "waitlist_open": True,
        }
    ]
    assert counters(full) == (1, 0)


def test_one_refused_course_refuses_the_request_and_each_course_has_its_reasons(
    full: int, student: Make, course: Make, enroll: Enroll, held: Held
) -> None:
    ada, kept, free, no_waitlist = student(), course(), course(), course(capacity=0)
    enroll(ada, kept)
    for _ in range(2):
        enroll(student(), full, waitlist=True)

    response = enroll(ada, free, full, no_waitlist, kept, waitlist=True)

    assert response.status_code == 409
    assert reasons(response) == {free: [], full: ["waitlist_full"], no_waitlist: ["course_full"], kept: []}
    assert [each["outcome"] for each in response.get_json()["decisions"]] == [
        "eligible",
        "refused",
        "refused",
        "already_enrolled",
    ]
    assert held(ada) == {kept: "enrolled"}


def test_an_unknown_course_is_404_with_the_reasons_of_the_others(
    full: int, student: Make, enroll: Enroll, held: Held
) -> None:
    ada = student()

    response = enroll(ada, 999, full)

    assert (response.status_code, response.get_json()["code"]) == (404, "course_not_found")
    assert reasons(response) == {999: ["course_not_found"], full: ["course_full"]}
    assert held(ada) == {}


def test_an_unknown_student_is_404(
    course: Make, enroll: Enroll, replace: Any, unenroll: Any, counters: Counters
) -> None:
    programming = course()

    for response in (enroll(999, programming), replace(999, programming), unenroll(999, programming)):
        assert (response.status_code, response.get_json()["code"]) == (404, "student_not_found")
        assert "decisions" not in response.get_json()
    assert counters(programming) == (0, 0)


# --- replace ----------------------------------------------------------------------------------------------


def test_a_student_replaces_courses(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held, counters: Counters
) -> None:
    ada, old, kept, new = student(), course(), course(), course(capacity=1)
    enroll(ada, old, kept)

    response = replace(ada, new, kept)

    assert response.status_code == 200
    assert response.get_json() == {
        "student_id": ada,
        "enrolled": [new],
        "waitlisted": [],
        "unenrolled": [old],
        "withdrawn": [],
        "kept": [kept],
    }
    assert held(ada) == {kept: "enrolled", new: "enrolled"}
    assert [counters(each) for each in (old, kept, new)] == [(0, 0), (1, 0), (1, 0)]


def test_a_refused_replacement_changes_nothing(
    full: int, student: Make, course: Make, enroll: Enroll, replace: Any, held: Held, counters: Counters
) -> None:
    ada, old, free = student(), course(), course()
    enroll(ada, old)

    response = replace(ada, free, full)

    assert (response.status_code, response.get_json()["code"]) == (409, "enrollment_refused")
    assert reasons(response) == {free: [], full: ["course_full"]}
    assert held(ada) == {old: "enrolled"}
    assert [counters(each) for each in (old, free)] == [(1, 0), (0, 0)]


def test_a_dry_run_decides_the_same_and_changes_nothing(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held
) -> None:
    ada, old, new = student(), course(), course()
    enroll(ada, old)

    trial = replace(ada, new, query="?dry_run=true")

    assert held(ada) == {old: "enrolled"}
    assert replace(ada, new).get_json() == trial.get_json()


# --- unenroll ---------------------------------------------------------------------------------------------


def test_a_student_unenrolls_and_the_seat_is_free(
    student: Make, course: Make, enroll: Enroll, unenroll: Any, held: Held, counters: Counters
) -> None:
    ada, programming = student(), course(capacity=1)
    enroll(ada, programming)

    response = unenroll(ada, programming)

    assert response.status_code == 200
    assert response.get_json() == {
        "student_id": ada,
        "results": [{"course_id": programming, "outcome": "unenrolled"}],
    }
    assert held(ada) == {}
    assert counters(programming) == (0, 0)


def test_each_course_has_its_outcome(full: int, student: Make, course: Make, enroll: Enroll, unenroll: Any) -> None:
    ada, programming, algebra = student(), course(), course()
    enroll(ada, programming, full, waitlist=True)

    response = unenroll(ada, algebra, full, programming)

    assert [(each["course_id"], each["outcome"]) for each in response.get_json()["results"]] == [
        (algebra, "not_enrolled"),
        (full, "left_waitlist"),
        (programming, "unenrolled"),
    ]


def test_an_unknown_course_leaves_all_enrollments_unchanged(
    student: Make, course: Make, enroll: Enroll, unenroll: Any, held: Held
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)

    response = unenroll(ada, programming, 999)

    assert (response.status_code, response.get_json()["code"]) == (404, "course_not_found")
    assert reasons(response) == {999: ["course_not_found"]}
    assert held(ada) == {programming: "enrolled"}


# --- what a student reads ---------------------------------------------------------------------------------


def test_a_student_lists_courses_by_code(
    client: FlaskClient, full: int, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, programming = student(), course(code="A1", title="Programming")
    enroll(ada, full, programming, waitlist=True)

    enrolled = client.get(f"/students/{ada}/courses").get_json()["courses"]
    everything = client.get(f"/students/{ada}/courses?status=any").get_json()["courses"]

    assert [(each["id"], each["code"], each["title"], each["status"], each["position"]) for each in enrolled] == [
        (programming, "A1", "Programming", "enrolled", None)
    ]
    assert [(each["id"], each["status"], each["position"]) for each in everything] == [
        (programming, "enrolled", None),
        (full, "waitlisted", 1),
    ]


def test_the_history_has_a_line_for_each_change_newest_first(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, grace, wanted = student(), student(), course(capacity=1, waitlist_capacity=1)
    for each in (ada, grace):
        enroll(each, wanted, waitlist=True)
    client.delete(f"/students/{ada}/unenroll?course_id={wanted}", headers={"X-Request-ID": "ada-unenrolls"})

    promoted, joined = client.get(f"/students/{grace}/history").get_json()["items"]

    assert {name: value for name, value in promoted.items() if name != "at"} == {
        "course_id": wanted,
        "from": "waitlisted",
        "to": "enrolled",
        "credits": None,
        "actor": "promotion",
        "request_id": "ada-unenrolls",
        "reason": None,
    }
    assert (joined["from"], joined["to"], joined["actor"]) == (None, "waitlisted", "anonymous")
    assert joined["at"] <= promoted["at"]
