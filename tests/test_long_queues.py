"""A course with 10,000 waiting whose limit is removed: many short transactions, each request for a bounded time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.services import Context, enrollment
from course_management.services.enrollment.promotion import BATCH

WAITING = 10_000
NUMBERS = f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {WAITING})"


@pytest.fixture
def long_queue(course: Callable[..., int], sql: Any) -> int:
    """A course without a seat, and 10,000 who wait for one, the last student first."""
    full = course(capacity=0, waitlist_capacity=None)
    sql(
        "INSERT INTO students (name, email, created_at)"
        f" {NUMBERS} SELECT 'Ada', n || '@example.edu', CURRENT_TIMESTAMP FROM n"
    )
    sql(
        "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
        f" SELECT id, :course, 'waitlisted', {WAITING} - id FROM students WHERE id <= {WAITING}",
        course=full,
    )
    return full


def test_a_limit_that_is_removed_seats_10000_in_order_and_in_small_transactions(
    app: Flask, client: FlaskClient, long_queue: int, sql: Any
) -> None:
    answer = client.patch(f"/courses/{long_queue}", json={"capacity": None})

    assert answer.status_code == 200
    assert answer.get_json()["seats_taken"] >= BATCH
    with app.app_context():
        assert enrollment.promote_all(Context())[1] == 0
    lines = sql("SELECT * FROM enrollment_events ORDER BY id")
    batches = Counter(line.at for line in lines if line.actor == "promotion")
    assert sum(batches.values()) == WAITING
    assert max(batches.values()) == BATCH


def test_nobody_overtakes_a_long_queue_while_it_is_being_seated(
    client: FlaskClient, long_queue: int, student: Callable[..., int], enroll: Any, sql: Any
) -> None:
    client.patch(f"/courses/{long_queue}", json={"capacity": 250})

    late = student(email="late@example.edu")
    assert enroll(late, long_queue).status_code == 409
    answer = enroll(late, long_queue, waitlist=True)

    assert answer.get_json()["results"][0]["position"] == WAITING - 250 + 1
    seated = sql("SELECT student_id FROM student_courses WHERE status = 'enrolled' ORDER BY student_id")
    assert [row.student_id for row in seated] == list(range(WAITING - 249, WAITING + 1))
