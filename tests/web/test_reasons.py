"""Reasons in words: every fact that the API gives is said on the pages, too."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Flask

from course_management.errors import CourseFull, ErrorCode, WaitlistFull
from course_management.services.enrollment.rules import RULES
from course_management.web.reasons import FACTS, explained
from course_management.web.registrar.resolving import resolution

WITHOUT_PAGE = {"drop_closed", "needed_by_course", "permission_required", "registration_closed"}
"""Resolved by a permission, by dropping another course, or by waiting."""
REASONS: tuple[type[ErrorCode], ...] = (CourseFull, WaitlistFull, *map(type, RULES))


@pytest.mark.every_case
@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason.example], ids=lambda reason: reason.code)
def test_the_facts_of_each_reason_have_sentences(reason: type[ErrorCode]) -> None:
    assert reason.code in FACTS, "add it to web/reasons.py"


def test_the_staff_finds_the_page_where_each_reason_is_resolved_or_there_is_none(app: Flask) -> None:
    course = SimpleNamespace(id=1, code="CS1", term_id=1, term="fall")
    with app.test_request_context():
        without = {rule.code for rule in RULES if resolution(rule.code, 1, course) is None}

    assert without == WITHOUT_PAGE, "add it to web/registrar/resolving.py, or here"


def test_the_facts_of_a_rule_of_the_school_are_shown_by_their_names(app: Flask) -> None:
    with app.test_request_context():
        (fact,) = explained({"code": "ours", "detail": "No.", "pages_read": 3, "books": []}, {}).facts

    assert fact == "pages read: 3"
