"""Credits of enrollments: those of the course, chosen ones, limits, and changes by PUT."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Make

OPEN = {"opens_at": "2026-01-01T00:00:00Z", "closes_at": "2999-01-01T00:00:00Z"}


@pytest.fixture
def open_term(client: FlaskClient, term: Make) -> int:
    number = term(credit_limit=6.5)
    assert client.put(f"/terms/{number}/windows", json=[OPEN]).status_code == 200
    return number


@pytest.fixture
def counted(client: FlaskClient) -> Any:
    """Return a function that reads what the enrollments of a student count, by course."""

    def read(student: int) -> dict[int, Any]:
        courses = client.get(f"/students/{student}/courses?status=any").get_json()["courses"]
        return {each["id"]: each["credits"] for each in courses}

    return read


def reasons(response: Any) -> list[dict[str, Any]]:
    return [reason for each in response.get_json()["decisions"] for reason in each["reasons"]]


def test_an_enrollment_counts_the_credits_of_its_course_or_those_that_the_student_chooses(
    student: Make, course: Make, enroll: Enroll, counted: Any, open_term: int
) -> None:
    fixed, variable = course(term_id=open_term, credits=2.5), course(term_id=open_term, credits=1, credits_max=4)
    without, ada, alan = course(), student(), student()

    assert enroll(ada, fixed, variable, without, credits={str(variable): 3.25}).status_code == 201
    assert enroll(alan, variable).status_code == 201

    assert counted(ada) == {fixed: 2.5, variable: 3.25, without: None}
    assert counted(alan) == {variable: 1}


@pytest.mark.parametrize("asked", [0.5, 4.25])
def test_credits_that_the_course_does_not_offer_are_refused(
    student: Make, course: Make, enroll: Enroll, open_term: int, asked: float
) -> None:
    variable = course(term_id=open_term, credits=1, credits_max=4)

    response = enroll(student(), variable, credits={str(variable): asked})

    assert response.status_code == 409
    ((reason),) = reasons(response)
    assert {key: reason[key] for key in ("code", "least", "most")} == {
        "code": "credits_not_offered",
        "least": 1,
        "most": 4,
    }


def test_credits_for_a_course_without_a_term_are_not_offered(student: Make, course: Make, enroll: Enroll) -> None:
    number = course()

    assert [each["code"] for each in reasons(enroll(student(), number, credits={str(number): 3}))] == [
        "credits_not_offered"
    ]


def test_the_limit_of_the_term_and_that_of_the_student(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, open_term: int
) -> None:
    ada, one, other = student(), course(term_id=open_term, credits=4), course(term_id=open_term, credits=3)
    enroll(ada, one)

    response = enroll(ada, other)

    ((reason),) = reasons(response)
    assert {key: reason[key] for key in ("code", "limit", "held", "asked")} == {
        "code": "credit_limit_exceeded",
        "limit": 6.5,
        "held": 4,
        "asked": 3,
    }
    client.put(f"/students/{ada}/terms/{open_term}", json={"credit_limit": 7})
    assert enroll(ada, other).status_code == 201


def test_put_with_other_credits_changes_them_and_writes_a_line_of_the_ledger(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, counted: Any, open_term: int
) -> None:
    ada, one = student(), course(term_id=open_term, credits=1, credits_max=9)
    enroll(ada, one, credits={str(one): 2})
    path, etag = f"/students/{ada}/enroll", client.get(f"/students/{ada}/courses").headers["ETag"]
    body = {"course_ids": [one], "credits": {str(one): 3}}

    dry = client.put(f"{path}?dry_run=true", json=body)
    unchanged = counted(ada)
    response = client.put(path, json=body, headers={"If-Match": etag})

    assert dry.get_json() == response.get_json()
    assert (response.status_code, response.get_json()["kept"]) == (200, [one])
    assert (unchanged, counted(ada)) == ({one: 2}, {one: 3})
    lines = client.get(f"/students/{ada}/history").get_json()["items"]
    assert [(each["from"], each["to"], each["credits"]) for each in lines] == [
        ("enrolled", "enrolled", 3),
        (None, "enrolled", 2),
    ]
    assert client.put(path, json=body, headers={"If-Match": etag}).status_code == 412
    assert [each["code"] for each in reasons(client.put(path, json={**body, "credits": {str(one): 7}}))] == [
        "credit_limit_exceeded"
    ]
    assert client.put(path, json=body).status_code == 200  # nothing is left to change
    assert len(client.get(f"/students/{ada}/history").get_json()["items"]) == 2


def test_a_student_on_a_waitlist_gets_the_chosen_credits_with_the_seat(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, counted: Any, open_term: int
) -> None:
    ada, alan, grace = student(), student(), student()
    full = course(term_id=open_term, credits=1, credits_max=4, capacity=1, waitlist_capacity=2)
    enroll(grace, full)
    enroll(ada, full, waitlist=True, credits={str(full): 3})
    enroll(alan, full, waitlist=True)

    client.patch(f"/courses/{full}", json={"capacity": 3, "credits": 2})

    assert (counted(ada), counted(alan), counted(grace)) == ({full: 3}, {full: 2}, {full: 1})


def test_credits_that_the_course_no_longer_offers_become_its_least_with_the_seat(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, counted: Any, open_term: int
) -> None:
    ada, full = student(), course(term_id=open_term, credits=1, credits_max=4, capacity=0, waitlist_capacity=2)
    enroll(ada, full, waitlist=True, credits={str(full): 4})

    client.patch(f"/courses/{full}", json={"credits_max": 2, "capacity": 1})

    assert counted(ada) == {full: 1}
