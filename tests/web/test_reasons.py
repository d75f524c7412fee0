"""Reasons in words: every fact that the API gives is said on the pages, too."""

from __future__ import annotations

import pytest
from flask import Flask

from course_management.errors import CourseFull, ErrorCode, WaitlistFull
from course_management.services.enrollment.rules import RULES
from course_management.web.reasons import FACTS, explained

REASONS: tuple[type[ErrorCode], ...] = (CourseFull, WaitlistFull, *map(type, RULES))


@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason.example], ids=lambda reason: reason.code)
def test_the_facts_of_each_reason_have_sentences(reason: type[ErrorCode]) -> None:
    assert reason.code in FACTS


def test_the_facts_of_a_rule_of_the_school_are_shown_by_their_names(app: Flask) -> None:
    with app.test_request_context():
        (fact,) = explained({"code": "ours", "detail": "No.", "pages_read": 3, "books": []}, {}).facts

    assert fact == "pages read: 3"
