"""What one request costs, counted and not timed: calls of functions, of Python and of C; and one SQL statement.

The calls are a report, not a limit: `make test` ends with the table. A count is the same on a busy machine, so that two
of them can be compared when something has been added to every request. On Python 3.11, enrolling took 1,055 calls and
listing 870 in November 2026.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from .support.fixture_types import Enroll, Make
from .support.keys import create_key

WARM_UP, MEASURED = 5, 5


@pytest.fixture
def requests(
    client: FlaskClient, student: Make, course: Make, term: Make, enroll: Enroll
) -> dict[str, Iterator[EnvironBuilder]]:
    """Enrolls of one student in one course after the other, and the list of a student with five courses."""
    ada, grace, *ids = student(), student(), *(course() for _ in range(WARM_UP + MEASURED))
    enroll(grace, *ids[:5])
    fall = term()
    window = {"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z"}
    client.put(f"/terms/{fall}/windows", json=[window])
    of_term = [course(term_id=fall) for _ in ids]
    enroll(student(), *of_term)  # the service has seen that they have a term
    return {
        "enroll by rules": (
            EnvironBuilder(f"/students/{ada}/enroll", method="POST", json={"course_ids": [course_id]})
            for course_id in of_term
        ),
        "enroll": (
            EnvironBuilder(f"/students/{ada}/enroll", method="POST", json={"course_ids": [course_id]})
            for course_id in ids
        ),
        "list": (EnvironBuilder(f"/students/{grace}/courses") for _ in ids),
    }


@contextmanager
def counting(calls: list[str]) -> Iterator[None]:
    """Note each call that this thread makes."""

    def note(_: FrameType, event: str, __: Any) -> None:
        if event in {"call", "c_call"}:
            calls.append(event)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize(("name", "expected"), [("enroll", 1), ("list", 1), ("enroll by rules", 2)])
@pytest.mark.parametrize("caller", ["local", "service"])
def test_a_request_sends_few_statements_and_its_calls_are_reported(
    app: Flask,
    requests: dict[str, Iterator[EnvironBuilder]],
    statements: list[str],
    name: str,
    expected: int,
    caller: str,
    record_property: Callable[[str, object], None],
) -> None:
    more = {"REMOTE_ADDR": "127.0.0.1"}
    if caller == "service":
        with app.app_context():
            more["HTTP_AUTHORIZATION"] = f"Bearer {create_key('counted', ['admin'])}"
    counts: list[int] = []
    for number, builder in enumerate(requests[name]):
        environ = builder.get_environ() | more
        calls: list[str] = []
        statements.clear()
        with counting(calls):
            _, status, _ = run_wsgi_app(app.wsgi_app, environ)
        assert status[:2] == "20"
        assert len(statements) == expected or number < WARM_UP, statements
        counts.append(len(calls))

    record_property("calls", min(counts[WARM_UP:]))
