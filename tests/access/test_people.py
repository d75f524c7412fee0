"""People with several roles and accounts, and people who are students as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access.callers import PersonCaller
from course_management.access.people import find
from course_management.database import writing
from course_management.errors import AccountTaken, StudentIdTaken, StudentNotFound
from course_management.models import Account, Person
from course_management.services import people

from ..support.fixture_types import Make, Sql
from .issuer import LocalIssuer

ISSUER = "https://login.example.edu"


@pytest.fixture
def context(app: Flask) -> Any:
    with app.app_context():
        yield


@pytest.mark.usefixtures("context")
def test_a_person_has_all_its_roles_and_is_named_by_the_strongest(student: Make) -> None:
    ada = student()
    people.appoint(ISSUER, "grace", "advisor")
    people.advise(ISSUER, "grace", ada)
    assert find(ISSUER, "grace") == PersonCaller("advisor:1", frozenset(["advisor"]), None, frozenset([ada]))

    people.appoint(ISSUER, "grace", "registrar")

    assert find(ISSUER, "grace") == PersonCaller(
        "registrar:1", frozenset(["advisor", "registrar"]), None, frozenset([ada])
    )
    with pytest.raises(people.PersonConflict, match="is already registrar"):
        people.appoint(ISSUER, "grace", "registrar")


@pytest.mark.usefixtures("context")
def test_a_person_can_be_a_student_as_well(student: Make) -> None:
    ada, alan = student(), student()
    people.appoint(ISSUER, "grace", "advisor")

    people.link_student(ISSUER, "grace", ada)

    assert find(ISSUER, "grace") == PersonCaller("advisor:1", frozenset(["advisor"]), ada)
    with pytest.raises(people.PersonConflict, match=f"already student {ada}"):
        people.link_student(ISSUER, "grace", alan)
    people.appoint(ISSUER, "emmy", "advisor")
    with pytest.raises(StudentIdTaken):
        people.link_student(ISSUER, "emmy", ada)
    with pytest.raises(StudentNotFound):
        people.link_student(ISSUER, "emmy", 4711)


@pytest.mark.usefixtures("context")
def test_the_account_of_a_student_gets_no_role(student: Make) -> None:
    people.link_student(ISSUER, "ada", student())

    with pytest.raises(AccountTaken):
        people.appoint(ISSUER, "ada", "registrar")


@pytest.mark.usefixtures("context")
def test_several_accounts_are_the_same_person_until_the_last_is_removed(sql: Sql) -> None:
    with writing() as session:
        session.add(
            Person(
                name="Grace Hopper",
                roles=["registrar"],
                accounts=[Account(issuer=ISSUER, subject="grace"), Account(issuer=ISSUER, subject="hopper")],
            )
        )

    assert find(ISSUER, "grace") == find(ISSUER, "hopper") == PersonCaller("registrar:1", frozenset(["registrar"]))
    assert people.delete_account(ISSUER, "grace")
    assert find(ISSUER, "grace") is None
    assert find(ISSUER, "hopper") is not None
    assert people.delete_account(ISSUER, "hopper")
    assert [sql(f"SELECT count(*) FROM {table}") for table in ("people", "person_roles")] == [[(0,)], [(0,)]]


@pytest.mark.usefixtures("context")
def test_a_person_whose_student_is_deleted_stays(student: Make, client: FlaskClient) -> None:
    ada = student()
    people.appoint(ISSUER, "grace", "advisor")
    people.link_student(ISSUER, "grace", ada)

    assert client.delete(f"/students/{ada}").status_code == 204

    assert find(ISSUER, "grace") == PersonCaller("advisor:1", frozenset(["advisor"]))


def test_an_advisor_who_is_a_student_enrolls_only_itself_and_its_advisees(
    app: Flask, stranger: FlaskClient, session_issuer: LocalIssuer, student: Make, course: Make, sql: Sql
) -> None:
    itself, advised, other, wanted = student(), student(), student(), course()
    with app.app_context():
        people.appoint(session_issuer.name, "grace", "advisor")
        people.link_student(session_issuer.name, "grace", itself)
        people.advise(session_issuer.name, "grace", advised)
    headers = {"Authorization": f"Bearer {session_issuer.token('grace')}"}

    def enroll(number: int) -> int:
        path = f"/students/{number}/enroll"
        return stranger.post(path, json={"course_id": wanted}, headers=headers).status_code

    assert [enroll(each) for each in (itself, advised, other)] == [201, 201, 404]
    assert sql("SELECT DISTINCT actor FROM enrollment_events") == [("advisor:1",)]
    # It sees itself, so what it may not do there is forbidden, and not hidden.
    assert stranger.patch(f"/students/{itself}", json={"name": "G"}, headers=headers).status_code == 403
    assert stranger.patch(f"/students/{other}", json={"name": "G"}, headers=headers).status_code == 404


def test_a_lost_role_ends_administration_at_once_and_the_rest_within_seconds(
    client: FlaskClient, stranger: FlaskClient, person: Callable[..., dict[str, str]]
) -> None:
    headers = person("registrar")
    assert [stranger.get(path, headers=headers).status_code for path in ("/students", "/people")] == [200, 200]
    (registrar,) = client.get("/people").get_json()["items"]

    client.patch(f"/people/{registrar['id']}", json={"roles": []})

    restored = stranger.patch(f"/people/{registrar['id']}", json={"roles": ["registrar"]}, headers=headers)
    assert (restored.status_code, restored.get_json()["code"]) == (403, "forbidden")
    # What was read is remembered, also where it was read anew: the old response is not returned any more.
    assert stranger.get("/students", headers=headers).status_code == 403


@pytest.mark.usefixtures("context")
def test_advisees_count_as_long_as_the_person_is_an_advisor(client: FlaskClient, student: Make) -> None:
    ada = student()
    people.appoint(ISSUER, "grace", "advisor")
    people.advise(ISSUER, "grace", ada)
    (grace,) = client.get("/people").get_json()["items"]

    client.patch(f"/people/{grace['id']}", json={"roles": []})
    assert find(ISSUER, "grace") == PersonCaller("person:1")
    client.patch(f"/people/{grace['id']}", json={"roles": ["advisor"]})

    assert find(ISSUER, "grace") == PersonCaller("advisor:1", frozenset(["advisor"]), None, frozenset([ada]))
