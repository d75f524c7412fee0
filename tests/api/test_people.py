"""People over HTTP: their roles, whom they advise, and the accounts of people and students."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from course_management.models import Person

from ..support.concurrency import together
from ..support.fixture_types import Make, Sql
from ..support.responses import pointers
from ..support.waits import PATIENT, wait_until_blocked

ISSUER = "https://login.example.edu"
GRACE = {"issuer": ISSUER, "subject": "grace"}


@pytest.fixture
def person(client: FlaskClient) -> Make:
    """Makes a person; its id."""

    def make(**values: Any) -> int:
        response = client.post("/people", json={"name": "Grace Hopper", **values})
        assert response.status_code == 201, response.text
        return int(response.get_json()["id"])

    return make


# --- people -----------------------------------------------------------------------------------------------


def test_a_person_with_a_name_alone_has_neither_roles_nor_advisees(client: FlaskClient) -> None:
    created = client.post("/people", json={"name": "Grace Hopper"})

    body = created.get_json()
    assert body == client.get(created.headers["Location"]).get_json()
    assert (body["roles"], body["advises"], body["student_id"], body["email"]) == ([], [], None, None)


def test_roles_and_advisees_are_sorted_lists_that_a_change_replaces(
    client: FlaskClient, student: Make, person: Make
) -> None:
    ada, alan, kurt = student(), student(), student()
    path = f"/people/{person(roles=['registrar', 'advisor'], advises=[alan, ada])}"
    assert client.get(path).get_json()["roles"] == ["advisor", "registrar"]
    assert client.get(path).get_json()["advises"] == [ada, alan]

    for body, roles, advises in (
        ({"advises": [kurt, ada]}, ["advisor", "registrar"], [ada, kurt]),
        ({"roles": ["advisor"]}, ["advisor"], [ada, kurt]),
        ({"roles": None, "advises": None}, [], []),
    ):
        changed = client.patch(path, json=body).get_json()

        assert (changed["roles"], changed["advises"]) == (roles, advises)
        assert client.get(path).get_json() == changed


def test_a_list_of_people_takes_three_statements_for_any_number(
    client: FlaskClient, student: Make, person: Make, statements: list[str]
) -> None:
    ada = student()
    for _ in range(3):
        person(roles=["advisor"], advises=[ada])
    statements.clear()

    items = client.get("/people").get_json()["items"]

    assert [each["advises"] for each in items] == [[ada]] * 3
    assert len([each for each in statements if each.startswith("SELECT") and "people" in each]) <= 3
    assert len(statements) <= 4  # and, in protected mode, whether there are keys


def test_people_are_found_by_words_and_by_address(client: FlaskClient, person: Make) -> None:
    grace = person(email="Grace@Example.edu", external_id="hr-1")
    emmy = person(name="Emmy Noether", email="grace@example.edu")

    def found(query: str) -> list[int]:
        return [each["id"] for each in client.get(f"/people?{query}").get_json()["items"]]

    assert found("q=hopper") == [grace]
    assert found("q=EXAMPLE") == found("email=GRACE@example.edu") == [grace, emmy]
    assert found("external_id=hr-1") == [grace]


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/name"]),
        ({"name": None}, ["/name"]),
        ({"name": "G\u0000"}, ["/name"]),
        ({"name": "G", "roles": ["dean"]}, ["/roles/0"]),
        ({"name": "G", "roles": ["advisor", "advisor"]}, ["/roles/1"]),
        ({"name": "G", "roles": "advisor"}, ["/roles"]),
        ({"name": "G", "roles": [["advisor"]]}, ["/roles/0"]),
        ({"name": "G", "advises": [1, 1]}, ["/advises/1"]),
        ({"name": "G", "advises": [0, "1", True, 2**53]}, [f"/advises/{place}" for place in range(4)]),
        ({"name": "G", "advises": list(range(1, 2002))}, ["/advises"]),
        ({"name": "G", "student_id": "1"}, ["/student_id"]),
        ({"name": "G", "id": 1, "accounts": []}, ["/accounts", "/id"]),
    ],
    ids=str,
)
def test_what_is_not_valid_is_named(client: FlaskClient, sql: Sql, body: Any, places: list[str]) -> None:
    assert pointers(client.post("/people", json=body)) == places
    assert sql("SELECT count(*) FROM people") == [(0,)]


def test_students_who_do_not_exist_are_named(client: FlaskClient, student: Make, person: Make, sql: Sql) -> None:
    ada, known = student(), person()
    body = {"student_id": 4711, "advises": [ada, 4712, 4713]}

    created = client.post("/people", json={"name": "Emmy", **body})
    changed = client.patch(f"/people/{known}", json=body)

    assert pointers(created) == pointers(changed) == ["/student_id", "/advises/1", "/advises/2"]
    assert sql("SELECT count(*) FROM advisees") == [(0,)]


def test_a_student_is_at_most_one_person(client: FlaskClient, student: Make, person: Make) -> None:
    ada = student()
    grace = person(student_id=ada)

    refused = client.post("/people", json={"name": "Emmy", "student_id": ada})

    assert (refused.status_code, refused.get_json()["code"]) == (409, "student_id_taken")
    assert refused.get_json()["existing_id"] == grace


def test_a_deleted_person_takes_roles_advisees_and_accounts_along(
    client: FlaskClient, student: Make, person: Make, sql: Sql
) -> None:
    grace = person(roles=["advisor"], advises=[student()])
    client.post(f"/people/{grace}/accounts", json=GRACE)

    assert client.delete(f"/people/{grace}").status_code == 204

    for table in ("people", "person_roles", "advisees", "accounts"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]
    again = client.delete(f"/people/{grace}")
    assert (again.status_code, again.get_json()["code"]) == (404, "person_not_found")


def test_a_deleted_student_leaves_the_lists_of_advisors(client: FlaskClient, student: Make, person: Make) -> None:
    ada, alan = student(), student()
    grace = person(roles=["advisor"], advises=[ada, alan], student_id=alan)

    client.delete(f"/students/{alan}")

    left = client.get(f"/people/{grace}").get_json()
    assert (left["advises"], left["student_id"]) == ([ada], None)


def test_of_two_roles_given_at_once_with_the_same_etag_one_is_refused(
    app: Flask, client: FlaskClient, person: Make
) -> None:
    path = f"/people/{person()}"
    known = {"If-Match": client.get(path).headers["ETag"]}

    def giving(role: str) -> Callable[[FlaskClient], Any]:
        return lambda each: each.patch(path, json={"roles": [role]}, headers=known)

    responses = together(app, [giving("advisor"), giving("registrar")])

    assert sorted(each.status_code for each in responses) == [200, 412]
    (applied,) = (each.get_json() for each in responses if each.status_code == 200)
    assert client.get(path).get_json() == applied


@pytest.mark.parametrize("guarded", [True, False])
def test_without_the_lock_on_the_person_a_change_of_roles_is_lost(
    *, guarded: bool, backend: str, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a second change reads the roles before the first is committed, and its ETag is right."""
    if backend == "sqlite":
        pytest.skip("SQLite has one writer at a time, from the beginning of its transaction")
    app = make_app(threads=3, **PATIENT)
    client = app.test_client()
    path = client.post("/people", json={"name": "Grace"}).headers["Location"]
    known = {"If-Match": client.get(path).headers["ETag"]}
    if not guarded:
        get = Session.get
        monkeypatch.setattr(Session, "get", lambda *args, **_: get(*args))

    with app.app_context():
        engine: Engine = app.extensions["sqlalchemy"].engine
    with Session(engine) as first, ThreadPoolExecutor(1) as pool:
        grace = first.query(Person).with_for_update(key_share=True).one()
        grace.roles = {"advisor"}
        first.flush()
        second = pool.submit(client.patch, path, json={"roles": ["advisor", "registrar"]}, headers=known)
        wait_until_blocked(engine)  # on the lock, or else only on the role that both insert
        first.commit()
        status = second.result().status_code

    assert status == (412 if guarded else 500)


def test_a_student_who_is_deleted_meanwhile_is_not_advised(
    app: Flask, client: FlaskClient, student: Make, person: Make
) -> None:
    path, ada = f"/people/{person()}", student()

    advised, deleted = together(
        app,
        [
            lambda each: each.patch(path, json={"roles": ["advisor"], "advises": [ada]}),
            lambda each: each.delete(f"/students/{ada}"),
        ],
    )

    assert deleted.status_code == 204
    assert advised.status_code in {200, 422}
    assert client.get(path).get_json()["advises"] == []


# --- accounts ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["person", "student"])
def owner(request: pytest.FixtureRequest) -> tuple[str, int, str]:
    """Return a person or a student with accounts: the address, the id, and the name of the id."""
    number = request.getfixturevalue(request.param)()
    return f"/{'people' if request.param == 'person' else 'students'}/{number}/accounts", number, f"{request.param}_id"


def test_an_account_is_created_listed_and_deleted(client: FlaskClient, owner: tuple[str, int, str]) -> None:
    path, _, _ = owner
    created = client.post(path, json=GRACE)
    body = created.get_json()

    assert (created.status_code, created.headers["Location"]) == (201, f"{path}/{body['id']}")
    assert {name: body[name] for name in GRACE} == GRACE
    other = client.post(path, json=GRACE | {"subject": " Grace  Hopper\u00e9 "}).get_json()
    assert other["subject"] == " Grace  Hopper\u00e9 "  # exactly as in the tokens
    first = client.get(f"{path}?limit=1").get_json()
    second = client.get(path, query_string={"limit": 1, "after": first["next"]}).get_json()
    assert (first["items"], second["items"], second["next"]) == ([body], [other], None)

    assert client.delete(f"{path}/{body['id']}").status_code == 204
    again = client.delete(f"{path}/{body['id']}")
    assert (again.status_code, again.get_json()["code"]) == (404, "account_not_found")
    assert client.get(path).get_json()["items"] == [other]


def test_a_subject_belongs_to_one_person_or_student(
    client: FlaskClient, owner: tuple[str, int, str], person: Make, student: Make
) -> None:
    path, number, name = owner
    account = client.post(path, json=GRACE).get_json()["id"]

    for other in (path, f"/people/{person()}/accounts", f"/students/{student()}/accounts"):
        refused = client.post(other, json=GRACE).get_json()

        assert (refused["status"], refused["code"]) == (409, "account_taken")
        assert (refused["existing_id"], refused[name]) == (account, number)
    assert client.post(path, json=GRACE | {"issuer": "https://other.example"}).status_code == 201


def test_accounts_of_an_unknown_person_or_student_are_404(client: FlaskClient, person: Make, student: Make) -> None:
    theirs = client.post(f"/people/{person()}/accounts", json=GRACE).get_json()["id"]
    for path, code in (("/people/4711", "person_not_found"), ("/students/4711", "student_not_found")):
        for response in (client.get(f"{path}/accounts"), client.post(f"{path}/accounts", json=GRACE)):
            assert (response.status_code, response.get_json()["code"]) == (404, code)
    for path in (f"/people/{person()}", f"/students/{student()}"):
        response = client.delete(f"{path}/accounts/{theirs}")
        assert (response.status_code, response.get_json()["code"]) == (404, "account_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"issuer": "", "subject": ""},
        {"issuer": "i" * 256, "subject": "s" * 256},
        {"issuer": "i\n", "subject": "s\u0000"},
        {"issuer": 1, "subject": None},
        {"issuer": ["i"], "subject": "\ud800"},
        {},
    ],
    ids=str,
)
def test_an_account_that_no_token_can_have_is_refused(client: FlaskClient, person: Make, body: Any) -> None:
    assert pointers(client.post(f"/people/{person()}/accounts", json=body)) == ["/issuer", "/subject"]


def test_of_many_who_add_a_subject_at_once_one_gets_it(
    app: Flask, client: FlaskClient, person: Make, student: Make
) -> None:
    paths = [f"/people/{person()}/accounts" for _ in range(3)] + [f"/students/{student()}/accounts" for _ in range(3)]

    def adding(path: str) -> Callable[[FlaskClient], Any]:
        return lambda each: each.post(path, json=GRACE)

    responses = together(app, [adding(path) for path in paths])

    assert sorted(each.status_code for each in responses) == [201] + [409] * 5
    assert {each.get_json()["code"] for each in responses if each.status_code == 409} == {"account_taken"}
    assert sum(len(client.get(path).get_json()["items"]) for path in paths) == 1
