"""What a process remembers of courses is bounded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from course_management.services.enrollment import course_memory
from course_management.services.enrollment.course_memory import CourseMemory
from course_management.services.enrollment.situation import Course, Situation

from .rules.situations import TERM


def test_beyond_a_size_all_courses_of_terms_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course_memory, "SIZE", 2)
    found = CourseMemory()

    for number in range(1, 5):
        course = Course(id=number, term=TERM)
        found.remember_terms(Situation(now=datetime.now(UTC), student_id=1, courses={number: course}))

    assert [number for number in range(1, 5) if found.has_term([number])] == [4]
