"""What the tests of bad inputs share.

What is refused changes nothing, so one database serves a whole page: `refused` compares every row of every table.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from course_management import create_app
from course_management.database import db

from .contract import ContractClient
from .databases import Databases

Refused = Callable[..., Any]

MALFORMED, INVALID, TOO_LARGE = (400, "malformed_json"), (422, "validation_failed"), (413, "payload_too_large")
NOWHERE, TOO_LONG, WRONG_TYPE = (404, "not_found"), (414, "uri_too_long"), (415, "unsupported_media_type")

ENROLL, UNENROLL = "/students/1/enroll", "/students/1/unenroll"
ENROLLMENT = [("POST", ENROLL), ("PUT", ENROLL), ("DELETE", UNENROLL)]
HAPPY: dict[tuple[str, str], dict[str, Any]] = {
    **{call: {"course_ids": [2]} for call in ENROLLMENT},
    ("POST", "/students"): {"name": "Eve", "email": "eve@example.edu"},
    ("POST", "/courses"): {"code": "NEW", "title": "New"},
    ("PATCH", "/students/1"): {},
    ("PATCH", "/courses/1"): {},
    ("POST", "/terms"): {"code": "S27", "title": "Spring", "starts_on": "2027-01-11", "ends_on": "2027-05-07"},
    ("PATCH", "/terms/1"): {},
    ("POST", "/groups"): {"kind": "level", "code": "UG", "title": "Undergraduate"},
    ("PATCH", "/groups/1"): {},
    ("POST", "/students/1/holds"): {"kind": "library", "contact": "Room 1", "blocks": "both"},
    ("POST", "/students/1/permissions"): {"course_id": 2, "rule": "restricted", "reason": "Asked for"},
    ("POST", "/catalog"): {"code": "CS 9", "title": "Compilers", "credits": 3},
    ("PATCH", "/catalog/1"): {},
    ("PUT", "/catalog/1/prerequisites"): {"groups": [[{"catalog_id": 2}]]},
    ("PUT", "/courses/1/links"): {"groups": []},
    ("PUT", "/students/1/completions/1/F25"): {"grade": "A", "passed": True, "credits": 3},
    ("PUT", "/students/1/terms/1"): {"credit_limit": 21},
}
LISTS = [
    *("/students", "/courses", "/courses/1/students", "/students/1/history", "/courses/1/history"),
    *("/terms", "/groups", "/students/1/holds", "/students/1/permissions"),
    *("/catalog", "/students/1/completions"),
]
MIB = 1024 * 1024

with_enrollment = pytest.mark.parametrize(("method", "path"), ENROLLMENT)
with_bodies = pytest.mark.parametrize(("method", "path"), HAPPY)


@pytest.fixture(scope="module")
def app(databases: Databases) -> Iterator[Flask]:
    """Return an app with two students in course 1, which has two seats; the other rows have no enrollments."""
    url = databases.migrated()
    app = create_app({"DATABASE_URL": url.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
    app.test_client_class = ContractClient
    client = app.test_client()
    for code in ("CS101", "CS102", "Caf\xe9"):
        client.post("/courses", json={"code": code, "title": "Programming", "capacity": 2})
    for address in ("ada@example.edu", "bob@example.edu", "kate@example.edu", "eve@caf\xe9.example"):
        client.post("/students", json={"name": "Somebody", "email": address})
    for student_id in (1, 2):
        client.post(f"/students/{student_id}/enroll", json={"course_ids": [1, 2]})
        client.delete(f"/students/{student_id}/unenroll?course_id=2")
    for number in (1, 2):
        dates = {"starts_on": "2026-09-01", "ends_on": "2026-12-18"}
        client.post("/terms", json={"code": f"T{number}", "title": "Term", **dates})
        client.post("/catalog", json={"code": f"CS {number}", "title": "Programming", "credits": 3})
        client.put(
            f"/students/1/completions/{number}/S25", json={"grade": "B", "points": 3, "passed": True, "credits": 3}
        )
        client.post("/groups", json={"kind": "program", "code": f"P{number}", "title": "Program"})
        client.post("/students/1/holds", json={"kind": "library", "contact": "Room 1", "blocks": "both"})
        client.post("/students/1/permissions", json={"course_id": number, "rule": "course_closed", "reason": "Late"})
    yield app
    with app.app_context():
        db.engine.dispose()
    databases.drop(url)


@pytest.fixture
def refused(client: FlaskClient, engine: Engine) -> Refused:
    """Return a function that sends a request and checks its refusal: status, code, pointers, no effect, no echo."""

    def rows() -> list[list[Any]]:
        tables = (
            *("students", "courses", "student_courses", "enrollment_events"),
            *("terms", "groups", "holds", "permissions", "rule_events"),
            *("catalog_entries", "prerequisites", "completions", "student_terms", "course_meetings", "course_links"),
        )
        # With the driver's cursor: a test compares these tables up to 150 times.
        with contextlib.closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            return [cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]

    def send(expected: tuple[int, str], method: str, path: str, *pointers: str, **request: Any) -> Any:
        before = rows()
        response = client.open(path, method=method, **request)
        problem = response.get_json()
        assert (response.status_code, problem["code"]) == expected, response.text
        assert [each["pointer"] for each in problem.get("errors", ())] == list(pointers)
        del problem["instance"]  # the path may be told again, the values may not
        told = json.dumps(problem, ensure_ascii=False)
        assert [each for each in _values([request, parse_qs(urlsplit(path).query)]) if each in told] == []
        assert rows() == before
        return response

    return send


def _values(found: Any) -> Iterator[str]:
    # What a request says, as a response could repeat it; shorter ones are in any response by chance.
    if isinstance(found, Mapping | list):
        for each in found.values() if isinstance(found, Mapping) else found:
            yield from _values(each)
    elif len(str(found)) > 5 and found != "application/json":
        yield str(found)


def raw(body: str | bytes, **request: Any) -> dict[str, Any]:
    """Return the arguments of a request whose body is sent unchanged."""
    return {"data": body, "content_type": "application/json", **request}


def chunked(body: bytes) -> dict[str, Any]:
    """Return the arguments of a chunked request as servers pass it on: no length, an input that marks its end."""
    return {
        "input_stream": BytesIO(body),
        "content_type": "application/json",
        "headers": {"Transfer-Encoding": "chunked"},
        "environ_overrides": {"wsgi.input_terminated": True},
    }
