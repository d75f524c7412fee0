"""Moving courses into a term: what a caller of the service may get wrong."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from course_management.errors import CourseNotFound
from course_management.models import courses
from course_management.services import adopting

from ..support.fixture_types import Make


def test_a_course_that_does_not_exist_is_reported(app: Flask, term: Make, course: Make) -> None:
    fall, known = term(), course()

    with app.app_context():
        moved, unknown = adopting.adopt(fall, [known, known + 1])

    assert (moved.course_id, moved.enrollments, moved.refusal) == (known, 0, None)
    assert isinstance(unknown.refusal, CourseNotFound)


def test_a_constraint_that_adopting_does_not_know_is_no_lost_race(
    app: Flask, term: Make, course: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fall, known = term(), course()
    broken: Any = update(courses).values(capacity=-1).returning(courses.c.id)
    monkeypatch.setattr(adopting, "_ADOPT", broken)

    with app.app_context(), pytest.raises(IntegrityError):
        list(adopting.adopt(fall, [known]))
