"""Instructors, who are people with a relation to a course and need no role; and what students see of their holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from course_management.access import authentication

Make = Callable[..., int]
Headers = Callable[..., dict[str, str]]
HOLD = {"kind": "financial", "contact": "Bursar", "blocks": "enroll", "note": "Invoice 4711"}


def permission(course_id: int) -> dict[str, Any]:
    return {"course_id": course_id, "rule": "course_closed", "reason": "Her last term"}


def code(response: Any) -> tuple[int, str | None]:
    return response.status_code, (response.get_json(silent=True) or {}).get("code")


@pytest.fixture(autouse=True)
def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a caller anew for each request, as after 5 seconds."""
    monkeypatch.setattr(authentication, "FRESH_S", 0)


def test_an_instructor_lists_and_revokes_the_permissions_of_the_own_courses_only(
    client: FlaskClient, stranger: FlaskClient, student: Make, course: Make, person: Headers
) -> None:
    ada, mine, other = student(), course(), course()
    path, emmy = f"/students/{ada}/permissions", person("instructor", mine)
    foreign = client.post(path, json=permission(other)).get_json()["id"]

    granted = stranger.post(path, json=permission(mine), headers=emmy)
    listed = stranger.get(path, headers=emmy).get_json()["items"]

    assert granted.status_code == 201
    assert granted.get_json()["granted_by"].startswith("instructor:")
    assert [each["course_id"] for each in listed] == [mine]
    assert code(stranger.post(path, json=permission(other), headers=emmy)) == (403, "forbidden")
    assert code(stranger.delete(f"{path}/{foreign}", headers=emmy)) == (404, "permission_not_found")
    assert stranger.delete(f"{path}/{granted.get_json()['id']}", headers=emmy).status_code == 204
    assert [each["revoked_at"] is None for each in client.get(path).get_json()["items"]] == [True, False]


def test_an_instructor_cannot_tell_whether_there_is_a_student(
    client: FlaskClient, stranger: FlaskClient, student: Make, course: Make, person: Headers
) -> None:
    ada, mine, other = student(), course(), course()
    emmy = person("instructor", mine)
    foreign = client.post(f"/students/{ada}/permissions", json=permission(other)).get_json()["id"]

    for number in (ada, 999_999):
        path = f"/students/{number}/permissions"
        listed = stranger.get(path, headers=emmy)
        assert (listed.status_code, listed.get_json()) == (200, {"items": [], "next": None})
        assert code(stranger.post(path, json=permission(other), headers=emmy)) == (403, "forbidden")
        assert code(stranger.delete(f"{path}/{foreign}", headers=emmy)) == (404, "permission_not_found")
        assert code(stranger.get(f"/students/{number}", headers=emmy)) == (404, "student_not_found")


def test_an_instructor_who_is_a_student_grants_no_permission_to_itself(
    client: FlaskClient, stranger: FlaskClient, student: Make, course: Make, person: Headers
) -> None:
    ada, alan, mine = student(), student(), course()
    emmy = person("instructor", mine)
    (number,) = client.get(f"/courses/{mine}/instructors").get_json()
    client.patch(f"/people/{number}", json={"student_id": ada})

    own = stranger.post(f"/students/{ada}/permissions", json=permission(mine), headers=emmy)
    of_another = stranger.post(f"/students/{alan}/permissions", json=permission(mine), headers=emmy)

    assert code(own) == (403, "forbidden")
    assert of_another.status_code == 201
    assert stranger.get(f"/students/{ada}/permissions", headers=emmy).status_code == 200


def test_whoever_teaches_a_course_no_more_sees_its_roster_no_more(
    client: FlaskClient, stranger: FlaskClient, course: Make, person: Headers
) -> None:
    mine = course()
    emmy = person("instructor", mine)

    before = stranger.get(f"/courses/{mine}/students?status=waitlisted", headers=emmy)
    client.put(f"/courses/{mine}/instructors", json=[])
    after = stranger.get(f"/courses/{mine}/students?status=waitlisted", headers=emmy)

    assert before.status_code == 200
    assert code(after) == (403, "forbidden")


def test_an_advisor_who_teaches_keeps_the_rights_of_both(
    client: FlaskClient, stranger: FlaskClient, student: Make, course: Make, person: Headers
) -> None:
    ada, alan, mine, other = student(), student(), course(), course()
    emmy = person("instructor", mine)
    (number,) = client.get(f"/courses/{mine}/instructors").get_json()
    client.patch(f"/people/{number}", json={"roles": ["advisor"], "advises": [ada]})

    of_advisee = stranger.post(f"/students/{ada}/permissions", json=permission(other), headers=emmy)
    of_others = stranger.post(f"/students/{alan}/permissions", json=permission(mine), headers=emmy)
    refused = stranger.post(f"/students/{alan}/permissions", json=permission(other), headers=emmy)

    assert (of_advisee.status_code, of_others.status_code) == (201, 201)
    assert of_advisee.get_json()["granted_by"] == f"advisor:{number}"
    assert code(refused) == (403, "forbidden")


def test_a_student_reads_holds_without_their_notes(
    client: FlaskClient, stranger: FlaskClient, student: Make, person: Headers, bearer: Headers
) -> None:
    ada = student()
    path = f"/students/{ada}/holds"
    assert client.post(path, json=HOLD).get_json()["note"] == "Invoice 4711"

    def read(headers: dict[str, str]) -> Any:
        (found,) = stranger.get(path, headers=headers).get_json()["items"]
        return found

    seen, known = read(person("student", ada)), read(person("registrar"))

    assert "note" not in seen
    assert seen == {name: value for name, value in known.items() if name != "note"}
    assert known["note"] == read(bearer("holds:read"))["note"] == "Invoice 4711"


def test_the_holds_of_a_registration_have_a_note_only_for_callers_who_read_holds(
    client: FlaskClient,
    stranger: FlaskClient,
    student: Make,
    term: Make,
    person: Headers,
    bearer: Headers,
) -> None:
    ada, fall = student(), term()
    client.post(f"/students/{ada}/holds", json=HOLD)

    def has_note(headers: dict[str, str]) -> bool:
        response = stranger.get(f"/students/{ada}/registration?term_id={fall}", headers=headers)
        assert response.status_code == 200
        return [each.get("note") for each in response.get_json()["holds"]] == ["Invoice 4711"]

    for headers in (person("student", ada), person("advisor", ada), bearer("students:read")):
        assert not has_note(headers)
    for headers in (person("registrar"), bearer("students:read", "holds:read")):
        assert has_note(headers)
