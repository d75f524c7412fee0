"""How many students another capacity would promote; the page of the limits of a course shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from flask import Flask

from course_management.context import RequestContext
from course_management.errors import CourseNotFound
from course_management.services.enrollment import forecasting
from course_management.services.enrollment.explaining import check_promotions
from course_management.services.enrollment.forecasting import forecast

from ..support.fixture_types import Make


def test_in_a_course_without_a_term_every_free_seat_promotes_until_it_is_closed(
    app: Flask, sql: Any, student: Make, course: Make, enroll: Any
) -> None:
    course_id = course(capacity=1, waitlist_capacity=9)
    enroll(student(), course_id)
    waiting = [student() for _ in range(3)]
    for student_id in waiting:
        enroll(student_id, course_id, waitlist=True)

    with app.app_context():
        open_now = [forecast(course_id, capacity, RequestContext()).promoted for capacity in (1, 3, 9, None)]
        sql("UPDATE courses SET closed_at = '2026-01-01 00:00:00.000000'")
        closed = forecast(course_id, 9, RequestContext())

    assert open_now == [0, 2, 3, 3]
    assert (closed.promoted, closed.stopped) == (0, {student_id: ["course_closed"] for student_id in waiting})


def test_no_more_students_are_asked_than_there_are_seats_for(
    app: Flask, student: Make, course: Make, open_term: Make, enroll: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    course_id = course(term_id=open_term(), capacity=1, waitlist_capacity=9)
    for _ in range(5):
        enroll(student(), course_id, waitlist=True)
    asked: list[int] = []

    def note(course_id: int, student_ids: Sequence[int], context: RequestContext) -> Any:
        asked.extend(student_ids)
        return check_promotions(course_id, student_ids, context)

    monkeypatch.setattr(forecasting, "ASKED_TOGETHER", 1)
    monkeypatch.setattr(forecasting, "check_promotions", note)

    with app.app_context():
        forecast_of_two = forecast(course_id, 3, RequestContext())

    assert forecast_of_two.students == asked
    assert (forecast_of_two.promoted, len(asked)) == (2, 2)


def test_a_course_that_does_not_exist_has_no_forecast(app: Flask) -> None:
    with app.app_context(), pytest.raises(CourseNotFound):
        forecast(999, 10, RequestContext())
