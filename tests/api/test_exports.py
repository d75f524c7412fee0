"""Exports over HTTP: tables as CSV, OneRoster, rosters as CSV, and calendars."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar

from ..support.fixture_types import Make

CSV = {"Accept": "text/csv"}
MEETING = {
    "weekday": 1,
    "starts": "09:00",
    "ends": "09:50",
    "starts_on": "2026-09-01",
    "ends_on": "2026-12-18",
    "place": "Hall 4",
}


def events_of(response: Any) -> list[Any]:
    return Calendar.from_ical(response.data).walk("VEVENT")


def rows_of(response: Any) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text)))


@pytest.fixture
def term_id(client: FlaskClient) -> int:
    body = {"code": "F", "title": "Fall", "starts_on": "2026-09-01", "ends_on": "2026-12-20"}
    return int(client.post("/terms", json=body).get_json()["id"])


@pytest.fixture
def enrolled(client: FlaskClient, student: Make, course: Make) -> tuple[int, int]:
    """Returns a student and a course, whose only student it is."""
    ada, programming = student(name="=Ada", external_id="s1"), course(external_id="c1", capacity=1, waitlist_capacity=5)
    client.post(f"/students/{ada}/enroll", json={"course_id": programming})
    return ada, programming


def test_students_courses_and_enrollments_are_files_with_the_columns_of_imports(
    client: FlaskClient, enrolled: tuple[int, int], student: Make
) -> None:
    response = client.get("/exports/students.csv")
    assert response.mimetype == "text/csv"
    assert response.headers["Content-Disposition"] == "attachment; filename=students.csv"
    (ada,) = rows_of(response)
    assert ada == {"external_id": "s1", "name": "'=Ada", "email": "ada1@example.edu"}
    assert rows_of(client.get("/exports/courses.csv"))[0]["capacity"] == "1"
    bob = student(external_id="s2")
    assert client.post(f"/students/{bob}/enroll", json={"course_id": enrolled[1], "waitlist": True}).status_code == 201
    assert rows_of(client.get("/exports/enrollments.csv")) == [
        {"student": "s1", "course": "c1", "status": "enrolled", "credits": ""},
        {"student": "s2", "course": "c1", "status": "waitlisted", "credits": ""},
    ]


def test_an_export_can_be_of_one_term(
    client: FlaskClient, term_id: int, course: Make, enrolled: tuple[int, int]
) -> None:
    course(code="T1", external_id="t1", term_id=term_id)
    assert [row["external_id"] for row in rows_of(client.get(f"/exports/courses.csv?term_id={term_id}"))] == ["t1"]
    assert rows_of(client.get(f"/exports/students.csv?term_id={term_id}")) == []
    assert client.get("/exports/students.csv?term_id=999").get_json()["code"] == "term_not_found"
    assert client.get("/exports/students.csv?limit=1").status_code == 422
    assert enrolled


def test_head_of_an_export_reads_nothing(client: FlaskClient, statements: list[str]) -> None:
    assert client.head("/exports/enrollments.csv").status_code == 200
    assert not any("student_courses" in each for each in statements)


def test_a_school_is_a_oneroster_archive(client: FlaskClient, enrolled: tuple[int, int]) -> None:
    response = client.get("/exports/oneroster.zip")
    assert response.mimetype == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("enrollments.csv"), "utf-8")))
    assert [(row["classSourcedId"], row["userSourcedId"], row["role"]) for row in rows] == [("c1", "s1", "student")]
    assert enrolled


def test_a_roster_is_a_file_where_that_is_asked_for(
    client: FlaskClient, student: Make, enrolled: tuple[int, int]
) -> None:
    _, programming = enrolled
    bob = student(name="Bob", email=None)
    client.post(f"/students/{bob}/enroll", json={"course_id": programming, "waitlist": True})
    path = f"/courses/{programming}/students"
    (row,) = rows_of(client.get(path, headers=CSV))
    assert row | {"external_id": "s1", "name": "'=Ada", "email": "ada1@example.edu", "status": "enrolled"} == row
    (row,) = rows_of(client.get(f"{path}?status=waitlisted&sort=name", headers=CSV))
    assert (row["name"], row["email"], row["external_id"], row["position"]) == ("Bob", "", "", "1")
    (row,) = rows_of(client.get(f"{path}?as_of=2999-01-01T00:00:00Z", headers=CSV))
    assert row["name"] == "'=Ada"
    assert client.get(path, headers={"Accept": "*/*"}).mimetype == "application/json"
    assert client.get("/courses/999/students", headers=CSV).get_json()["code"] == "course_not_found"


def test_a_schedule_has_the_meetings_of_the_courses_with_a_seat(
    client: FlaskClient, student: Make, enrolled: tuple[int, int]
) -> None:
    ada, programming = enrolled
    client.put(f"/courses/{programming}/meetings", json=[MEETING])
    bob = student(name="Bob")
    client.post(f"/students/{bob}/enroll", json={"course_id": programming, "waitlist": True})

    response = client.get(f"/students/{ada}/schedule.ics")

    assert response.mimetype == "text/calendar"
    (event,) = events_of(response)
    assert (event["LOCATION"], event["DTSTART"].dt.isoformat()) == ("Hall 4", "2026-09-07T09:00:00+00:00")
    assert not events_of(client.get(f"/students/{bob}/schedule.ics"))
    assert not events_of(client.get(f"/students/{ada}/schedule.ics?term_id=1"))
    of_course = client.get(f"/courses/{programming}/schedule.ics")
    assert [each["UID"] for each in events_of(of_course)] == [event["UID"]]
    assert client.get("/students/999/schedule.ics").get_json()["code"] == "student_not_found"
    assert client.get("/courses/999/schedule.ics").get_json()["code"] == "course_not_found"


def test_a_calendar_that_has_not_changed_is_not_sent_again(client: FlaskClient, enrolled: tuple[int, int]) -> None:
    path = f"/students/{enrolled[0]}/schedule.ics"
    response = client.get(path)
    again = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    client.put(f"/courses/{enrolled[1]}/meetings", json=[MEETING])
    assert client.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 200
