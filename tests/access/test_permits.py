"""Who may send `permit` and `reason` with the enrollment calls, and who may enroll with a permit only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Make
from .conftest import as_if_absent

Headers = Callable[..., dict[str, str]]
Sql = Callable[..., list[Any]]
PERMIT = {"reason": "Her last term"}


def code(response: Any) -> tuple[int, str | None]:
    return response.status_code, (response.get_json(silent=True) or {}).get("code")


@pytest.fixture
def nothing_happened(sql: Sql) -> Callable[[], bool]:
    tables = ("student_courses", "permissions", "rule_events")
    return lambda: not any(sql(f"SELECT * FROM {table}") for table in tables)


ALLOWED: dict[str, Callable[[Headers, int, int], dict[str, str]]] = {
    "registrar": lambda person, _, __: person("registrar"),
    "the advisor": lambda person, ada, _: person("advisor", ada),
    "the instructor": lambda person, _, mine: person("instructor", mine),
}


@pytest.mark.parametrize("caller", ALLOWED)
def test_callers_who_may_grant_permissions_enroll_with_a_permit(
    stranger: FlaskClient, student: Make, course: Make, term: Make, person: Headers, sql: Sql, caller: str
) -> None:
    ada, mine = student(), course(term_id=term())
    headers = ALLOWED[caller](person, ada, mine)

    body = {"course_id": mine, "permit": PERMIT, "reason": "Asked by mail"}
    response = stranger.post(f"/students/{ada}/enroll", json=body, headers=headers)

    assert response.status_code == 201, response.text
    ((actor, reason, granted_by, wrote),) = sql(
        "SELECT student_courses.actor, student_courses.reason, granted_by, rule_events.actor"
        " FROM student_courses, permissions, rule_events"
    )
    assert actor == granted_by == wrote
    assert (actor.partition(":")[0], reason) == (caller.removeprefix("the "), "Asked by mail")


def test_a_service_needs_both_scopes_for_a_permit(
    stranger: FlaskClient, student: Make, course: Make, term: Make, bearer: Headers, nothing_happened: Any
) -> None:
    ada, late = student(), course(term_id=term())

    def send(*scopes: str, query: str = "") -> Any:
        body = {"course_id": late, "permit": PERMIT}
        return stranger.post(f"/students/{ada}/enroll{query}", json=body, headers=bearer(*scopes))

    for query in ("", "?dry_run=true"):
        for scopes in (["enrollments:write"], ["permissions:write"], ["enrollments:write", "permissions:read"]):
            assert code(send(*scopes, query=query)) == (403, "forbidden")
    assert nothing_happened()
    assert send("enrollments:write", "permissions:write").status_code == 201


def test_students_grant_themselves_nothing_and_give_no_reason(
    client: FlaskClient, stranger: FlaskClient, student: Make, course: Make, person: Headers, nothing_happened: Any
) -> None:
    ada, mine = student(), course()
    itself = person("student", ada)
    teaching = person("instructor", mine)
    (number,) = client.get(f"/courses/{mine}/instructors").get_json()
    client.patch(f"/people/{number}", json={"student_id": ada})
    path = f"/students/{ada}"

    for headers in (itself, teaching):
        for query in ("", "?dry_run=true"):
            for more in ({"permit": PERMIT}, {"reason": "Because"}):
                response = stranger.post(f"{path}/enroll{query}", json={"course_id": mine, **more}, headers=headers)
                assert code(response) == (403, "forbidden")
        for method, call in (("PUT", "enroll"), ("DELETE", "unenroll")):
            body = {"course_ids": [mine], "reason": "Because"}
            response = stranger.open(f"{path}/{call}", method=method, json=body, headers=headers)
            assert code(response) == (403, "forbidden")
    assert nothing_happened()
    assert stranger.post(f"{path}/enroll", json={"course_id": mine}, headers=teaching).status_code == 201


def test_an_instructor_enrolls_with_a_permit_in_the_own_courses_only(
    stranger: FlaskClient, student: Make, course: Make, term: Make, person: Headers, nothing_happened: Any
) -> None:
    ada, fall = student(), term()
    mine, other = course(term_id=fall), course(term_id=fall)
    emmy = person("instructor", mine)

    def send(*course_ids: int, query: str = "", **more: Any) -> Any:
        body = {"course_ids": course_ids, **more}
        return stranger.post(f"/students/{ada}/enroll{query}", json=body, headers=emmy)

    for query in ("", "?dry_run=true"):
        assert code(send(mine, query=query)) == (403, "forbidden"), "without a permit"
        assert code(send(mine, query=query, reason="By mail")) == (403, "forbidden")
        for wanted in ([other], [mine, other], [mine, 999_999]):
            assert code(send(*wanted, query=query, permit=PERMIT)) == (403, "forbidden")
    for method, call in (("PUT", "enroll"), ("DELETE", "unenroll")):
        body = {"course_ids": [mine], "reason": "Because"}
        response = stranger.open(f"/students/{ada}/{call}", method=method, json=body, headers=emmy)
        assert code(response) == (404, "student_not_found")
    assert nothing_happened()
    assert send(mine, permit=PERMIT, query="?dry_run=true").status_code == 200
    assert nothing_happened()
    assert send(mine, permit=PERMIT).status_code == 201


def test_without_a_permit_an_instructor_cannot_tell_whether_there_is_a_student(
    stranger: FlaskClient, student: Make, course: Make, person: Headers
) -> None:
    ada, mine, other = student(), course(), course()
    emmy = person("instructor", mine)

    for body in ({"course_id": mine}, {"course_id": other, "permit": PERMIT}):
        there, absent = (
            stranger.post(f"/students/{number}/enroll", json=body, headers=emmy) for number in (ada, 999_999)
        )
        assert code(there) == (403, "forbidden")
        assert as_if_absent(there) == as_if_absent(absent)


@pytest.mark.parametrize("role", ["student", "advisor"])
def test_a_permit_for_a_student_of_others_is_for_a_student_who_does_not_exist(
    stranger: FlaskClient, student: Make, course: Make, person: Headers, role: str
) -> None:
    headers = person(role, student())

    response = stranger.post(
        f"/students/{student()}/enroll", json={"course_id": course(), "permit": PERMIT}, headers=headers
    )

    assert code(response) == (404, "student_not_found")


@pytest.mark.parametrize(("method", "call"), [("POST", "enroll"), ("PUT", "enroll"), ("DELETE", "unenroll")])
def test_staff_give_a_reason_for_the_ledger(
    stranger: FlaskClient,
    client: FlaskClient,
    student: Make,
    course: Make,
    person: Headers,
    bearer: Headers,
    method: str,
    call: str,
) -> None:
    ada, programming = student(), course()

    for headers in (person("registrar"), person("advisor", ada), bearer("enrollments:write")):
        if method == "DELETE":
            client.post(f"/students/{ada}/enroll", json={"course_id": programming})
        body = {"course_ids": [programming], "reason": "By phone"}
        assert stranger.open(f"/students/{ada}/{call}", method=method, json=body, headers=headers).status_code < 300
        assert client.get(f"/students/{ada}/history?limit=1").get_json()["items"][0]["reason"] == "By phone"
        client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})
