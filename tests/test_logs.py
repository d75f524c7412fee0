"""Logs: one line per request, one per enrollment action, and nothing personal in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Lines]:
    """Return a client of an app that logs, and a function that returns the new log lines."""
    output = StringIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", output)
        client = make_app(log_level="debug", log_format="json").test_client()
    client.get("/healthz")  # the client reads the OpenAPI document once

    def read() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in output.getvalue().splitlines()]
        output.seek(0)
        output.truncate()
        return [line for line in found if line["event"] != "database.wave"]

    read()
    return client, read


@pytest.fixture
def school(lines: tuple[Any, Lines]) -> Any:
    client, read = lines
    for name in ("Ada Lovelace", "Alan Turing"):
        client.post("/students", json={"name": name, "email": f"{name.split()[0]}@canary.example"})
    for number, capacity in enumerate((1, 1, None), 1):
        client.post("/courses", json={"code": f"C{number}", "title": "T", "capacity": capacity, "waitlist_capacity": 1})
    read()
    return client


def actions(lines: list[dict[str, Any]]) -> list[tuple[str, list[int], list[str]]]:
    return [
        (line["event"], line["course_ids"], line["codes"]) for line in lines if line["event"].startswith("enrollment.")
    ]


def test_a_dry_run_is_logged_as_such_with_what_stands_against_it(school: Any, lines: tuple[Any, Lines]) -> None:
    school.post("/students/1/enroll", json={"course_ids": [1]})
    lines[1]()

    for wanted in ([1, 3], [3]):
        school.post("/students/2/enroll?dry_run=true", json={"course_ids": wanted})

    assert actions(lines[1]()) == [
        ("enrollment.dry_run", [1, 3], ["course_full"]),
        ("enrollment.dry_run", [3], ["eligible"]),
    ]


def test_a_request_is_one_line(lines: tuple[Any, Lines]) -> None:
    client, read = lines

    client.get("/students/7?secret=1", headers={"X-Request-ID": "abc"})

    (line,) = read()
    assert (line["event"], line["method"], line["route"], line["student_id"], line["status"], line["request_id"]) == (
        "request",
        "GET",
        "/students/<id:student_id>",
        7,
        422,
        "abc",
    )
    assert line["duration_ms"] >= 0


def test_each_enrollment_action_is_one_line(school: Any, lines: tuple[Any, Lines]) -> None:
    _, read = lines
    school.post("/students/1/enroll", json={"course_ids": [1, 2]})
    school.post("/students/1/enroll", json={"course_ids": [1, 2]})
    school.post("/students/2/enroll", json={"course_ids": [1]})
    school.post("/students/2/enroll", json={"course_ids": [1, 3], "waitlist": True})
    school.delete("/students/1/unenroll", json={"course_ids": [1, 3]})
    school.put("/students/1/enroll", json={"course_ids": [3]})
    school.put("/students/1/enroll", json={"course_ids": [3]})
    school.put("/students/1/enroll?dry_run=true", json={"course_ids": []})
    school.post("/students/1/enroll", json={"course_ids": [99]})

    assert actions(read()) == [
        ("enrollment.enrolled", [1, 2], ["enrolled"]),
        ("enrollment.unchanged", [1, 2], ["already_enrolled"]),
        ("enrollment.refused", [1], ["course_full", "enrollment_refused"]),
        ("enrollment.waitlisted", [1], ["waitlisted"]),
        ("enrollment.enrolled", [3], ["enrolled"]),
        ("enrollment.promoted", [1], []),
        ("enrollment.unenrolled", [1], ["unenrolled"]),
        ("enrollment.unchanged", [3], ["not_enrolled"]),
        ("enrollment.enrolled", [3], ["enrolled"]),
        ("enrollment.unenrolled", [2], ["unenrolled"]),
        ("enrollment.unchanged", [3], ["kept"]),
        ("enrollment.refused", [99], ["course_not_found"]),
    ]


def test_an_action_carries_the_request_and_how_long_it_took(school: Any, lines: tuple[Any, Lines]) -> None:
    _, read = lines

    school.post("/students/1/enroll", json={"course_id": 1}, headers={"X-Request-ID": "day-one"})

    action, request = read()
    assert (action["student_id"], action["request_id"], request["request_id"]) == (1, "day-one", "day-one")
    assert action["duration_ms"] <= request["duration_ms"]


def test_what_failed_is_logged_as_failed_and_where(
    school: Any, lines: tuple[Any, Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, read = lines
    monkeypatch.setattr("course_management.services.enrollment.enroll", _fail)

    response = school.post("/students/1/enroll", json={"course_id": 1})

    assert (response.status_code, response.get_json()["code"]) == (500, "internal_error")
    text = json.dumps(found := read())
    assert [line["event"] for line in found] == ["enrollment.failed", "internal_error", "request"]
    assert "_fail" in str(found[1]["frames"])
    assert "canary" not in text + response.text


def test_an_outage_has_its_kind_in_each_line_and_its_reason_in_the_first(
    school: Any, lines: tuple[Any, Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, read = lines
    monkeypatch.setattr("course_management.services.enrollment.enroll", _cannot_connect)
    monkeypatch.setattr("course_management.http.problems._reason_due", 0.0)

    for _ in range(2):
        assert school.post("/students/1/enroll", json={"course_id": 1}).status_code == 503

    found = read()
    failed = [line["codes"] for line in found if line["event"] == "enrollment.failed"]
    outages = [line for line in found if line["event"] == "database.unavailable"]
    assert failed == [["ConnectionError"]] * 2
    assert [line["kind"] for line in outages] == ["ConnectionError"] * 2
    assert "The database cannot be reached (connection refused)" in outages[0]["reason"]
    assert "reason" not in outages[1]


def _cannot_connect(*_: Any, **__: Any) -> None:
    raise OperationalError(None, None, ConnectionError("connection refused"))


def _fail(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("canary: the text of an exception may hold anything")


def test_names_and_addresses_are_never_logged(school: Any, lines: tuple[Any, Lines]) -> None:
    _, read = lines
    school.post("/students", json={"name": "Canary", "email": "canary@canary.example"})
    school.post("/students", json={"name": "Canary", "email": "canary@canary.example"})
    school.post("/students", json={"name": 1, "email": "canary"})
    school.patch("/students/1", json={"name": "Canary"})
    school.get("/students?after=canary")
    school.get("/canary")
    school.get("/students/1/courses", headers={"If-None-Match": '"canary"'})

    assert "canary" not in json.dumps(read()).lower()


def test_in_a_terminal_the_log_is_pretty(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    output = StringIO()
    monkeypatch.setattr("sys.stdout", output)

    make_app(log_level="info", log_format="pretty").test_client().get("/healthz")

    assert "request" in output.getvalue()
    assert not output.getvalue().startswith("{")
