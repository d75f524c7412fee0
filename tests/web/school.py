"""A school with one of everything, and a visitor of each kind: what the tests of all pages walk through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from course_management.access import sessions
from course_management.access.policy import COLUMNS
from course_management.access.sessions import Owner
from course_management.services import imports

ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
"""What a browser sends with the forms of our pages."""
VISITORS = tuple(COLUMNS)
"""The kinds of callers of the table in docs/access.md."""


@dataclass(frozen=True)
class School:
    """The ids of what there is, by the names of the values in paths, and the owner of the session of each visitor."""

    ids: Mapping[str, Any]
    owners: Mapping[str, Owner | None]


def visit(app: Flask, owner: Owner | None) -> FlaskClient:
    """Return a browser in which a person or a student has signed in; None: nobody."""
    browser = FlaskClient(app, app.response_class)
    if owner is not None:
        with app.app_context():
            session_id = sessions.begin("link", owner)
        browser.set_cookie("__Host-session", session_id, secure=True)
    return browser


def build(client: FlaskClient, text: Callable[[str], str] = lambda name: name) -> School:
    """Make the school through the API. `text` changes each text that is stored, so that a test finds it again."""

    def post(path: str, body: Any) -> dict[str, Any]:
        response = client.post(path, json=body)
        assert response.status_code < 300, response.text
        return dict(response.get_json())

    def put(path: str, body: Any) -> None:
        response = client.put(path, json=body)
        assert response.status_code < 300, response.text

    group_id = post("/groups", {"kind": text("program"), "code": text("CS"), "title": text("Computer Science")})["id"]
    ada = post("/students", {"name": text("Ada Lovelace"), "email": "ada@example.edu", "external_id": text("A1")})["id"]
    alan = post("/students", {"name": text("Alan Turing")})["id"]
    put(f"/students/{ada}/groups", [group_id])
    dates = {"starts_on": "2026-01-01", "ends_on": "2999-12-31"}
    term_id = post("/terms", {"code": text("2026"), "title": text("Fall 2026"), **dates, "credit_limit": 12})["id"]
    put(f"/terms/{term_id}/windows", [{"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2999-01-01T00:00:00Z"}])
    required = post("/catalog", {"code": text("MATH 1"), "title": text("Analysis"), "credits": 3})["id"]
    catalog_id = post("/catalog", {"code": text("CS 1"), "title": text("Programming"), "credits": 3})["id"]
    put(f"/catalog/{catalog_id}/prerequisites", {"groups": [[{"catalog_id": required}, {"group_id": group_id}]]})

    def course(code: str, starts: str, ends: str, **values: Any) -> int:
        body = {"code": text(code), "title": text("Title"), "term_id": term_id, "credits": 3, **values}
        course_id = int(post("/courses", body)["id"])
        meeting = {"weekday": 1, "starts": starts, "ends": ends, "place": text("Room 1")}
        put(f"/courses/{course_id}/meetings", [{**meeting, "starts_on": "2026-09-01", "ends_on": "2026-12-18"}])
        return course_id

    taught = course("CS1", "09:00", "10:00", catalog_id=catalog_id, capacity=1, waitlist_capacity=5)
    linked = course("LAB1", "10:00", "11:00", component=text("LAB"))
    clashing = course("PH1", "09:30", "10:30", capacity=9)
    other = course("ART1", "12:00", "13:00", permission_required=True)
    put(f"/courses/{taught}/links", {"groups": [[linked]]})
    put(f"/courses/{other}/restrictions", [{"group_id": group_id}])
    put(f"/students/{ada}/completions/{required}/2025", {"grade": text("A"), "passed": True, "credits": 3})

    def person(name: str, **values: Any) -> Owner:
        return Owner(person_id=post("/people", {"name": text(name), **values})["id"])

    instructor, another_instructor = person("Emmy Noether"), person("Lise Meitner")
    put(f"/courses/{taught}/instructors", [instructor.person_id])
    put(f"/courses/{other}/instructors", [another_instructor.person_id])
    post(f"/students/{ada}/enroll", {"course_ids": [taught, linked]})
    post(f"/students/{alan}/permissions", {"course_id": taught, "rule": "prerequisite_missing", "reason": text("Yes")})
    post(
        f"/students/{ada}/permissions", {"course_id": other, "rule": "permission_required", "reason": text("Her plan")}
    )
    of_taught = {"course_id": taught, "rule": "time_conflict", "reason": text("Both")}
    permission = post(f"/students/{ada}/permissions", of_taught)["id"]
    hold = {"kind": text("library"), "contact": text("Desk"), "blocks": "unenroll"}
    hold_id = post(f"/students/{ada}/holds", hold)["id"]
    account = {"issuer": text("Issuer"), "subject": text("emmy")}
    account_id = post(f"/people/{instructor.person_id}/accounts", account)["id"]
    key_id = post("/keys", {"name": "portal", "scopes": ["courses:read"]})["id"]
    with client.application.app_context():
        import_id = _import(text)
    return School(
        ids={
            "student_id": ada,
            "course_id": taught,
            "term_id": term_id,
            "catalog_id": catalog_id,
            "group_id": group_id,
            "hold_id": hold_id,
            "permission_id": permission,
            "person_id": instructor.person_id,
            "account_id": account_id,
            "key_id": key_id,
            "import_id": import_id,
            "term_code": "2025",
            "code": "nothing",
            "path": "nothing",
            "clashing_id": clashing,
        },
        owners={
            "no credentials": None,
            "the student": Owner(student_id=ada),
            "another student": Owner(student_id=alan),
            "the advisor": person("Grace Hopper", roles=["advisor"], advises=[ada]),
            "another advisor": person("Barbara Liskov", roles=["advisor"], advises=[alan]),
            "the instructor": instructor,
            "another instructor": another_instructor,
            "registrar": person("Registrar", roles=["registrar"]),
        },
    )


def _import(text: Callable[[str], str]) -> int:
    """Make an import with a row that is refused, as the command line does."""
    files = [{"name": text("students.csv"), "digest": "0"}]
    import_id = imports.start({"format": "templates", "digest": "0", "files": files, "options": {"mode": "delta"}})
    row: dict[str, Any] = {
        "kind": "students",
        "unit": text("A2"),
        "part": None,
        "file": text("students.csv"),
        "line": 2,
        "content": {},
    }
    verdict: dict[str, Any] = {"outcome": None, "code": None, "detail": None}
    imports.stage([{"import_id": import_id, "number": 1, **row, **verdict}])
    imports.record_outcomes(import_id, [(1, "refuse", "email_taken", text("Taken"))], applied=False)
    imports.set_state(import_id, imports.PLANNED)
    return import_id
