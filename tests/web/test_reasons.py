"""Reasons in words: every fact that the API gives is said on the pages, too."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Flask

from course_management.errors import ErrorCode, Reason, all_codes
from course_management.services.enrollment.rules import RULES
from course_management.web.reason_texts import REASON_TEXTS, staff_page, text_of
from course_management.web.reasons import reason_in_words

REASONS: dict[str, type[ErrorCode]] = {
    **{code: error for code, error in all_codes().items() if issubclass(error, Reason)},
    **{rule.code: type(rule) for rule in RULES},
}
TABLE = "REASON_TEXTS in src/course_management/web/reason_texts.py"


def test_each_reason_has_an_entry() -> None:
    for code in REASONS:
        assert code in REASON_TEXTS, f"Add an entry for {code} to {TABLE}."
    for code in REASON_TEXTS:
        assert code in REASONS, f"No rule has the code {code}: remove its entry from {TABLE}."


@pytest.mark.every_case
@pytest.mark.parametrize("code", [code for code, reason in REASONS.items() if reason.example])
def test_the_facts_of_each_reason_have_sentences(app: Flask, code: str) -> None:
    with app.test_request_context():
        facts = reason_in_words({"code": code, "detail": "No.", **REASONS[code].example}, {}).facts

    assert [fact for fact in facts if fact], f"Let `facts` of {code} say its facts, in {TABLE}."


@pytest.mark.every_case
@pytest.mark.parametrize("code", [code for code, reason in REASONS.items() if "the student" in reason.meaning.lower()])
def test_a_reason_that_names_the_student_has_a_sentence_for_the_student(code: str) -> None:
    assert text_of(code).to_student, f"Add `to_student` to the entry of {code} in {TABLE}."


def test_the_staff_finds_the_page_where_a_reason_is_resolved(app: Flask) -> None:
    course = SimpleNamespace(id=1, code="CS1", term_id=2, term="fall")
    with app.test_request_context():
        pages = {code: staff_page(code, 3, course) for code in ("hold", "course_closed", "waitlist_closed", "ours")}

    assert pages == {
        "hold": ("/registrar/students/3/holds", "Holds"),
        "course_closed": ("/registrar/courses/1", "CS1"),
        "waitlist_closed": ("/registrar/terms/2", "fall"),
        "ours": None,
    }


def test_the_facts_of_a_rule_of_the_school_are_shown_by_their_names(app: Flask) -> None:
    with app.test_request_context():
        (fact,) = reason_in_words({"code": "ours", "detail": "No.", "pages_read": 3, "books": []}, {}).facts

    assert fact == "pages read: 3"
