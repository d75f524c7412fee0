"""POST /students/{id}/enroll: all or nothing, safe to repeat, explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Make = Callable[..., int]


def test_a_student_gets_a_seat(student: Make, course: Make, enroll: Any, counters: Any) -> None:
    ada, programming = student(), course(capacity=1)

    answer = enroll(ada, programming)

    assert answer.status_code == 201
    assert answer.get_json() == {
        "student_id": ada,
        "results": [{"course_id": programming, "outcome": "enrolled"}],
    }
    assert counters(programming) == (1, 0)
