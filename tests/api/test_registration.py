"""GET /students/{id}/registration: what a student sees before registering for a term."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Make, Sql

HOLD = {"kind": "financial", "contact": "Bursar's office", "blocks": "enroll", "note": "Invoice 4711"}
FIRST = {"opens_at": "2026-08-01T08:00:00Z", "closes_at": "2026-09-01T08:00:00Z"}
SECOND = {"opens_at": "2026-08-03T08:00:00Z", "closes_at": "2026-09-01T08:00:00Z"}
THIRD = {"opens_at": "2026-08-05T08:00:00Z", "closes_at": "2026-09-01T08:00:00Z"}


@pytest.fixture
def read(client: FlaskClient) -> Callable[..., Any]:
    return lambda student_id, term_id, **more: client.get(
        f"/students/{student_id}/registration?term_id={term_id}", **more
    )


def test_it_has_the_windows_credits_and_groups_of_the_student(
    client: FlaskClient, student: Make, term: Make, group: Make, read: Any
) -> None:
    ada, fall, mine, other = student(), term(credit_limit=16.5), group(code="CS"), group(code="BIO")
    client.put(f"/students/{ada}/groups", json=[mine])
    windows = [THIRD, {"group_id": other, **FIRST}, {"group_id": mine, **SECOND}]
    client.put(f"/terms/{fall}/windows", json=windows)

    found = read(ada, fall)

    assert found.status_code == 200
    assert found.get_json() == {
        "holds": [],
        "windows": [{**FIRST, "mine": False}, {**SECOND, "mine": True}, {**THIRD, "mine": True}],
        "credits": {"limit": 16.5, "held": 0},
        "groups": [{"id": mine, "kind": "program", "code": "CS", "title": "Physics"}],
    }


def test_it_has_the_holds_that_are_in_force(
    client: FlaskClient, student: Make, term: Make, read: Any, sql: Sql
) -> None:
    ada, alan, fall = student(), student(), term()
    path = f"/students/{ada}/holds"
    tomorrow = {"until": "2999-01-01T00:00:00Z"}
    placed = [client.post(path, json=HOLD | more).get_json() for more in ({}, tomorrow, tomorrow, {})]
    released, expired = placed[3]["id"], placed[2]["id"]
    client.delete(f"{path}/{released}")
    sql("UPDATE holds SET until = '2020-01-01 00:00:00.000000' WHERE id = :id", id=expired)
    client.post(f"/students/{alan}/holds", json=HOLD)

    assert read(ada, fall).get_json()["holds"] == placed[:2]


def test_credits_are_those_of_courses_of_the_term_in_which_the_student_is_enrolled(
    client: FlaskClient, student: Make, course: Make, open_term: Make, enroll: Enroll, read: Any, sql: Sql
) -> None:
    ada, fall, spring = student(), open_term(), open_term(credit_limit=18)
    first, second, left = (course(term_id=fall) for _ in range(3))
    full, later, plain = course(term_id=fall, capacity=0, waitlist_capacity=1), course(term_id=spring), course()
    enroll(ada, first, second, left, full, later, plain, waitlist=True)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": left})
    sql("UPDATE student_courses SET credits = 250")

    assert read(ada, fall).get_json()["credits"] == {"limit": None, "held": 5}
    assert read(ada, spring).get_json()["credits"] == {"limit": 18, "held": 2.5}
    own = "INSERT INTO student_terms (student_id, term_id, credit_limit) VALUES (:ada, :spring, 2100)"
    sql(own, ada=ada, spring=spring)
    assert read(ada, spring).get_json()["credits"] == {"limit": 21, "held": 2.5}, "the limit of the student"


def test_its_etag_changes_with_each_part(
    client: FlaskClient, student: Make, term: Make, group: Make, read: Any
) -> None:
    ada, fall = student(), term()
    seen = [read(ada, fall).headers["ETag"]]
    assert read(ada, fall, headers={"If-None-Match": seen[0]}).status_code == 304

    for method, path, body in (
        ("PUT", f"/terms/{fall}/windows", [FIRST]),
        ("PATCH", f"/terms/{fall}", {"credit_limit": 12}),
        ("POST", f"/students/{ada}/holds", HOLD),
        ("PUT", f"/students/{ada}/groups", [group()]),
    ):
        assert client.open(path, method=method, json=body).status_code < 300
        response = read(ada, fall, headers={"If-None-Match": seen[-1]})
        assert response.status_code == 200
        seen.append(response.headers["ETag"])
    assert len(set(seen)) == 5


def test_the_student_and_the_term_must_exist(student: Make, term: Make, read: Any) -> None:
    ada, fall = student(), term()

    for response, code in (
        (read(999_999, fall), "student_not_found"),
        (read(ada, 999_999), "term_not_found"),
        (read(999_999, 999_999), "student_not_found"),
    ):
        assert (response.status_code, response.get_json()["code"]) == (404, code)


@pytest.mark.parametrize(
    "query", ["", "term_id=", "term_id=0", "term_id=-1", f"term_id={2**53}", "term_id=x", "term_id=1&term_id=1"]
)
def test_it_needs_one_term(client: FlaskClient, student: Make, query: str) -> None:
    response = client.get(f"/students/{student()}/registration?{query}")

    assert (response.status_code, response.get_json()["code"]) == (422, "validation_failed")
    assert [each["pointer"] for each in response.get_json()["errors"]] == ["/term_id"]
