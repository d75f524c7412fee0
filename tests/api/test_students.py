"""Students: create, list, read, change, delete, and their history."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Held, Make, Sql


def test_a_student_is_created(client: FlaskClient) -> None:
    response = client.post("/students", json={"name": "Ada Lovelace", "email": "ada@example.edu"})

    assert response.status_code == 201
    created = response.get_json()
    assert created.keys() == {"id", "name", "email", "external_id", "created_at", "updated_at"}
    assert (created["name"], created["email"]) == ("Ada Lovelace", "ada@example.edu")
    assert response.headers["Location"] == f"/students/{created['id']}"
    read = client.get(response.headers["Location"])
    assert read.get_json() == created
    assert read.headers["ETag"] == response.headers["ETag"]


def test_the_time_of_creation_is_in_utc_and_says_so(client: FlaskClient, student: Make) -> None:
    created_at = client.get(f"/students/{student()}").get_json()["created_at"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", created_at)
    assert abs(datetime.fromisoformat(created_at) - datetime.now(UTC)) < timedelta(minutes=1)


def test_text_is_kept_trimmed_and_composed(client: FlaskClient) -> None:
    response = client.post("/students", json={"name": "  Rene\u0301e O'Neil ", "email": " rene@example.edu "})

    assert response.get_json()["name"] == "Ren\u00e9e O'Neil"
    assert response.get_json()["email"] == "rene@example.edu"


def test_students_are_listed_by_id(client: FlaskClient, student: Make) -> None:
    ids = [student(name=name) for name in ("Zoe", "Ada", "Kurt")]

    response = client.get("/students")

    assert [each["id"] for each in response.get_json()["items"]] == ids
    assert response.get_json()["next"] is None
    assert response.get_json()["items"][0] == client.get(f"/students/{ids[0]}").get_json()


# --- one e-mail address, one student ----------------------------------------------------------------------


@pytest.mark.parametrize("email", ["ada@example.edu", "ADA@Example.EDU", " ada@example.edu "])
def test_a_taken_email_is_refused(client: FlaskClient, student: Make, email: str) -> None:
    student(email="ada@example.edu")

    response = client.post("/students", json={"name": "Another", "email": email})

    assert response.status_code == 409
    assert response.get_json()["code"] == "email_taken"
    assert email.strip() not in response.text
    assert len(client.get("/students").get_json()["items"]) == 1


def test_the_refusal_of_a_taken_email_names_the_student_with_it(client: FlaskClient, student: Make) -> None:
    ada, other = student(email="ada@example.edu"), student()

    created = client.post("/students", json={"name": "Another", "email": "Ada@example.edu"})
    changed = client.patch(f"/students/{other}", json={"email": "ADA@example.edu"})

    assert [each.get_json()["existing_id"] for each in (created, changed)] == [ada, ada]


def test_a_student_is_found_by_email(client: FlaskClient, student: Make) -> None:
    student()
    ada = student(email="ada.lovelace+cs@example.edu")

    def found(email: str, more: str = "") -> list[int]:
        response = client.get(f"/students?email={email}{more}")
        assert (response.status_code, response.get_json()["next"]) == (200, None)
        return [each["id"] for each in response.get_json()["items"]]

    assert found("ada.lovelace%2Bcs@example.edu") == found("Ada.Lovelace%2BCS@Example.EDU", "&limit=1") == [ada]
    assert found("ada.lovelace%2bcs%40example.edu%20") == [ada]
    bucher = student(email="kurt@b\u00fccher.example")
    assert found("KURT@xn--bcher-kva.example") == found("kurt@b%C3%BCcher.example") == [bucher]
    assert found("ada.lovelace@example.edu") == found("%25@example.edu") == []


def test_an_email_in_capitals_is_the_same_email(client: FlaskClient) -> None:
    response = client.post("/students", json={"name": "Ada", "email": "ADA@Example.EDU"})

    assert response.get_json()["email"] == "ada@example.edu"


def test_of_two_students_created_at_once_with_one_email_one_is_refused(app: Flask, client: FlaskClient) -> None:
    start = Barrier(8)

    def create(name: str) -> int:
        mine = app.test_client()
        start.wait()
        return mine.post("/students", json={"name": name, "email": "ada@example.edu"}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(create, "ABCDEFGH"))

    assert statuses == [201] + [409] * 7
    assert len(client.get("/students").get_json()["items"]) == 1


def test_a_deleted_students_email_is_free_again(client: FlaskClient, student: Make) -> None:
    client.delete(f"/students/{student(email='ada@example.edu')}")

    assert student(email="ada@example.edu")


# --- changing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"name": "Ada King"}, {"email": "king@example.edu"}])
def test_a_change_keeps_the_fields_that_are_not_sent(
    client: FlaskClient, student: Make, change: dict[str, str]
) -> None:
    path = f"/students/{student()}"
    before = client.get(path).get_json()

    response = client.patch(path, json=change)

    assert response.status_code == 200
    now = client.get(path).get_json()
    assert response.get_json() == now
    assert now == before | change | {"updated_at": now["updated_at"]}
    assert response.headers["ETag"] == client.get(path).headers["ETag"]


def test_an_empty_change_changes_nothing(client: FlaskClient, student: Make) -> None:
    path = f"/students/{student()}"
    before = client.get(path)

    response = client.patch(path, json={})

    assert response.status_code == 200
    assert response.get_json() == before.get_json()
    assert response.headers["ETag"] == before.headers["ETag"]


def test_a_student_cannot_be_changed_to_a_taken_email(client: FlaskClient, student: Make) -> None:
    student(email="ada@example.edu")
    path = f"/students/{student(email='kurt@example.edu')}"

    response = client.patch(path, json={"name": "Kurt", "email": "Ada@example.edu"})

    assert response.status_code == 409
    assert response.get_json()["code"] == "email_taken"
    assert client.get(path).get_json()["name"] == "Ada Lovelace"


def test_a_students_own_email_is_not_taken(client: FlaskClient, student: Make) -> None:
    path = f"/students/{student(email='ada@example.edu')}"

    assert client.patch(path, json={"email": "ADA@example.edu"}).status_code == 200


# --- deleting ---------------------------------------------------------------------------------------------


def test_a_student_without_courses_is_deleted(client: FlaskClient, student: Make) -> None:
    path = f"/students/{student()}"

    response = client.delete(path)

    assert (response.status_code, response.data) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.get("/students").get_json()["items"] == []
    assert client.delete(path).status_code == 404


@pytest.mark.parametrize("status", ["enrolled", "waitlisted"])
def test_a_student_with_enrollments_is_not_deleted(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, status: str
) -> None:
    ada = student()
    wanted = course(capacity=1, waitlist_capacity=1)
    if status == "waitlisted":
        enroll(student(), wanted)
    enroll(ada, wanted, waitlist=True)

    response = client.delete(f"/students/{ada}")

    assert response.status_code == 409
    assert response.get_json()["code"] == "student_has_enrollments"
    assert held(ada) == {wanted: status}


def test_a_student_without_enrollments_is_deleted_and_the_history_stays(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})
    before = client.get(f"/students/{ada}/history").get_json()

    assert client.delete(f"/students/{ada}").status_code == 204

    assert [each["to"] for each in before["items"]] == ["unenrolled", "enrolled"]
    assert client.get(f"/students/{ada}/history").get_json() == before
    assert [each["student_id"] for each in client.get(f"/courses/{programming}/history").get_json()["items"]] == [
        ada,
        ada,
    ]
    assert client.get(f"/students/{ada}/courses").status_code == 404


def test_a_deleted_students_id_is_never_given_again(client: FlaskClient, student: Make) -> None:
    student()
    last = student()
    client.delete(f"/students/{last}")

    assert student() > last


# --- history ----------------------------------------------------------------------------------------------


def test_the_history_has_each_change_newest_first(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, other, full = student(), student(), course(capacity=1, waitlist_capacity=1)
    enroll(other, full)
    for number, (method, call) in enumerate([("POST", "enroll"), ("DELETE", "unenroll"), ("POST", "enroll")]):
        client.open(
            f"/students/{ada}/{call}",
            method=method,
            json={"course_id": full} | ({"waitlist": True} if call == "enroll" else {}),
            headers={"X-Request-ID": f"request-{number}"},
        )

    lines = client.get(f"/students/{ada}/history").get_json()["items"]

    assert [{key: value for key, value in line.items() if key != "at"} for line in lines] == [
        {
            "course_id": full,
            "from": was,
            "to": now,
            "credits": None,
            "actor": "anonymous",
            "request_id": f"request-{number}",
            "reason": None,
        }
        for number, was, now in [
            (2, "unenrolled", "waitlisted"),
            (1, "waitlisted", "unenrolled"),
            (0, None, "waitlisted"),
        ]
    ]
    times = [line["at"] for line in lines]
    assert times == sorted(times, reverse=True)
    assert all(time.endswith("Z") for time in times)


def test_calls_that_change_nothing_add_no_line_to_the_ledger(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, programming = student(), course()
    client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})
    enroll(ada, programming)
    enroll(ada, programming)

    assert len(client.get(f"/students/{ada}/history").get_json()["items"]) == 1


def test_a_new_student_has_an_empty_history(client: FlaskClient, student: Make) -> None:
    assert client.get(f"/students/{student()}/history").get_json() == {"items": [], "next": None}


# --- unknown students -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/courses"), ("GET", "/history")]
)
def test_an_unknown_student_is_404(client: FlaskClient, method: str, rest: str) -> None:
    for unknown in (1, 2**53 - 1):
        response = client.open(f"/students/{unknown}{rest}", method=method, json={} if method == "PATCH" else None)

        assert response.status_code == 404
        assert response.get_json()["code"] == "student_not_found"


def test_the_violation_of_an_unknown_constraint_is_an_internal_error(
    client: FlaskClient, student: Make, sql: Sql
) -> None:
    sql("CREATE UNIQUE INDEX made_by_hand ON students (name)")
    student()

    response = client.post("/students", json={"name": "Ada Lovelace", "email": "other@example.edu"})

    assert (response.status_code, response.get_json()["code"]) == (500, "internal_error")
