"""A course with 10,000 waiting whose limit is removed: many short transactions, each request for a bounded time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.context import RequestContext
from course_management.services import enrollment
from course_management.services.enrollment import promotion
from course_management.services.enrollment.promotion import BATCH

from ..support.fixture_types import Enroll, Sql

WAITING = 10_000
NUMBERS = f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {WAITING})"


@pytest.fixture
def long_queue(course: Callable[..., int], sql: Sql) -> int:
    """Create a course without a seat and with 10,000 waitlisted students, the last student first."""
    full = course(capacity=0, waitlist_capacity=None)
    sql(
        "INSERT INTO students (name, email, created_at)"
        f" {NUMBERS} SELECT 'Ada', n || '@example.edu', CURRENT_TIMESTAMP FROM n"
    )
    sql(
        "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
        f" SELECT id, :course, 'waitlisted', {WAITING} + 1 - id FROM students WHERE id <= {WAITING}",
        course=full,
    )
    return full


def test_a_limit_that_is_removed_seats_10000_in_order_and_in_small_transactions(
    app: Flask, client: FlaskClient, long_queue: int, sql: Sql
) -> None:
    assert client.patch(f"/courses/{long_queue}", json={"capacity": None}).status_code == 200

    with app.app_context():
        assert enrollment.promote_all(RequestContext())[1] == 0
    lines = sql("SELECT * FROM enrollment_events ORDER BY id")
    batches = Counter(line.at for line in lines if line.actor == "promotion")
    assert sum(batches.values()) == WAITING
    assert max(batches.values()) == BATCH
    order = [line.student_id for line in lines if line.actor == "promotion"]
    for first in range(0, WAITING, BATCH):
        assert {*order[first : first + BATCH]} == {*range(WAITING - first - BATCH + 1, WAITING - first + 1)}


def test_a_request_promotes_for_a_bounded_time_and_no_newcomer_overtakes_the_rest(
    client: FlaskClient,
    long_queue: int,
    student: Callable[..., int],
    enroll: Enroll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(promotion, "TIME_LIMIT_S", 0)  # time for one transaction
    late = student(email="late@example.edu")

    changed = client.patch(f"/courses/{long_queue}", json={"capacity": None}).get_json()
    refused = enroll(late, long_queue)
    queued = enroll(late, long_queue, waitlist=True).get_json()

    assert (changed["seats_taken"], changed["waiting"]) == (BATCH, WAITING - BATCH)
    # Each of these requests did a part of what was left, and found the others still before the newcomer.
    assert refused.status_code == 409
    assert queued["results"][0]["outcome"] == "waitlisted"
    assert queued["results"][0]["position"] > WAITING // 2


def test_positions_are_counted_right_from_either_end_of_a_waitlist_with_gaps(
    client: FlaskClient, student: Callable[..., int], course: Callable[..., int], enroll: Enroll
) -> None:
    full = course(capacity=0, waitlist_capacity=None)
    students = [student() for _ in range(20)]
    for each in students:
        enroll(each, full, waitlist=True)
    for place in (19, 18, 12, 9, 8, 3, 0):
        client.delete(f"/students/{students.pop(place)}/unenroll?course_id={full}")

    lists = [client.get(f"/students/{each}/courses?status=waitlisted").get_json()["courses"] for each in students]
    assert [held["position"] for (held,) in lists] == [*range(1, 14)]
    again = [enroll(each, full, waitlist=True).get_json()["results"] for each in students]
    assert [result["position"] for (result,) in again] == [*range(1, 14)]
