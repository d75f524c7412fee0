"""Rechecking: what happens to students while it goes on."""

from __future__ import annotations

from flask import Flask

from course_management.context import RequestContext
from course_management.services.enrollment.rechecking import recheck

from ..support.fixture_types import Make


def test_a_student_who_was_deleted_meanwhile_has_no_findings(app: Flask, course: Make) -> None:
    number = course()

    with app.app_context():
        assert recheck(1, [number], RequestContext()) == []
