"""The requests of which the statements are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

Call = Callable[[FlaskClient], Any]

ONE_STATEMENT: dict[str, Call] = {
    "GET /students": lambda client: client.get("/students"),
    "GET /students/1": lambda client: client.get("/students/1"),
    "GET /courses": lambda client: client.get("/courses"),
    "GET /courses/1": lambda client: client.get("/courses/1"),
    "GET /courses/1/students": lambda client: client.get("/courses/1/students"),
    "GET /courses/1/students?status=waitlisted": lambda client: client.get("/courses/1/students?status=waitlisted"),
    "GET /courses/1/students?as_of": lambda client: client.get("/courses/1/students?as_of=2026-09-01T08:00:00Z"),
    "GET /courses/1/history": lambda client: client.get("/courses/1/history"),
    "GET /students/1/history": lambda client: client.get("/students/1/history"),
    "GET /students/1/courses": lambda client: client.get("/students/1/courses"),
    "POST /students/1/enroll": lambda client: client.post("/students/1/enroll", json={"course_id": 2}),
    "GET /readyz": lambda client: client.get("/readyz"),
}
"""Requests that send one statement: student 1 is enrolled in course 1, and course 2 has a free seat."""

OTHER_COUNTS: dict[str, tuple[int, Call]] = {
    "GET /healthz": (0, lambda client: client.get("/healthz")),
    "GET /openapi.json": (0, lambda client: client.get("/openapi.json")),
    "enrolling that changes nothing: and why": (
        2,
        lambda client: client.post("/students/1/enroll", json={"course_id": 1}),
    ),
    "enrolling that is refused: and why": (2, lambda client: client.post("/students/2/enroll", json={"course_id": 1})),
    "enrolling that waitlists: and promotion, and the position": (
        3,
        lambda client: client.post("/students/2/enroll", json={"course_id": 3, "waitlist": True}),
    ),
    "unenrolling without waiting students": (1, lambda client: client.delete("/students/1/unenroll?course_id=1")),
}
"""Requests that send none or several, and how many."""

IN_TRANSACTION: dict[str, tuple[int, Call]] = {
    "POST /students": (1, lambda client: client.post("/students", json={"name": "N", "email": "n@example.edu"})),
    "POST /courses": (1, lambda client: client.post("/courses", json={"code": "X", "title": "X"})),
    "PATCH /students/1": (2, lambda client: client.patch("/students/1", json={"name": "N"})),
    "DELETE /students/2": (2, lambda client: client.delete("/students/2")),
    "PATCH /courses/1": (2, lambda client: client.patch("/courses/1", json={"title": "N"})),
    "DELETE /courses/2": (2, lambda client: client.delete("/courses/2")),
    # Student, enrollments, locks, enrollments now, unenroll, enroll; after the commit: waiting students.
    "PUT /students/1/enroll": (7, lambda client: client.put("/students/1/enroll", json={"course_ids": [2]})),
}
"""Requests with a transaction of several statements, and how many, without its beginning and end."""
