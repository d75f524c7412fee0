"""The rules that every system keeps before it is timed: existence, duplicates, capacity, and one form of response."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from tests.support.databases import PATIENCE_S

from .systems import Enrollment

UNKNOWN = 2_000_000_000
STUDENT, OTHER = 9_999, 9_998
CROWD, SEATS = 50, 5


def check(system: Enrollment) -> list[str]:
    """Return the differences between a system and the rules; empty if it may be measured."""
    course, small = system.make_course(10), system.make_course(1)
    body = {"course_ids": [course]}
    enroll, unenroll = f"/students/{STUDENT}/enroll", f"/students/{STUDENT}/unenroll"

    def result(outcome: str) -> dict[str, Any]:
        return {"student_id": STUDENT, "results": [{"course_id": course, "outcome": outcome}]}

    expected: list[tuple[str, str, str, Any, int, Any]] = [
        ("enrolls", "POST", enroll, body, 201, result("enrolled")),
        ("is safe to repeat", "POST", enroll, body, 200, result("already_enrolled")),
        ("knows its students", "POST", f"/students/{UNKNOWN}/enroll", body, 404, None),
        ("knows its courses", "POST", enroll, {"course_ids": [UNKNOWN]}, 404, None),
        ("wants courses", "POST", enroll, {"course_ids": []}, 422, None),
        ("wants ids", "POST", enroll, {"course_ids": ["one"]}, 422, None),
        ("fills a course", "POST", f"/students/{OTHER}/enroll", {"course_ids": [small]}, 201, None),
        ("refuses what is full", "POST", enroll, {"course_ids": [small]}, 409, None),
        ("takes out", "DELETE", unenroll, body, 200, result("unenrolled")),
        ("takes out twice", "DELETE", unenroll, body, 200, result("not_enrolled")),
        ("lists an unknown student", "GET", f"/students/{UNKNOWN}/courses", None, 404, None),
    ]
    found = [
        (name, send(system, method, path, data), status, response)
        for name, method, path, data, status, response in expected
    ]
    wrong = [
        f"{name}: {got}, not {(status, response)}"
        for name, got, status, response in found
        if got[0] != status or (response is not None and got[1] != response)
    ]
    return [*wrong, *_lists(system), *_sells_no_seat_twice(system)]


def _lists(system: Enrollment) -> list[str]:
    status, response = send(system, "GET", f"/students/{OTHER}/courses")
    codes = [each["code"] for each in response["courses"]]
    complete = all({"id", "code", "title", "status", "status_since"} <= each.keys() for each in response["courses"])
    in_order = codes == sorted(codes)
    return [] if status == 200 and codes and complete and in_order else [f"lists by code: {status} {response}"]


def _sells_no_seat_twice(system: Enrollment) -> list[str]:
    course = system.make_course(SEATS)
    with ThreadPoolExecutor(CROWD) as crowd:
        responses = crowd.map(
            lambda student: send(system, "POST", f"/students/{student}/enroll", {"course_ids": [course]})[0],
            range(1, CROWD + 1),
        )
        statuses = sorted(responses)
    right = statuses == [201] * SEATS + [409] * (CROWD - SEATS) and system.sold(course) == SEATS
    return [] if right else [f"sells no seat twice: {statuses}, {system.sold(course)} sold"]


def send(system: Enrollment, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request on a new connection, and return the status and JSON."""
    with closing(connect(system)) as connection:
        return exchange(connection, method, path, body)


def connect(system: Enrollment) -> http.client.HTTPConnection:
    """Return a connection for several requests."""
    return http.client.HTTPConnection("127.0.0.1", system.port, timeout=PATIENCE_S)


def exchange(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request, and return the status and JSON."""
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
    response = connection.getresponse()
    return response.status, json.loads(response.read())
