"""The rule over plain situations; a database is not needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from language_courses import OneLanguagePerTerm

from course_management.rules import Course, Enrollment, Situation, Term

FALL = Term(id=1, code="2026-fall", starts_on=date(2026, 9, 1), ends_at=datetime(2026, 12, 19, tzinfo=UTC))
SPANISH = Course(id=5, term=FALL)
FRENCH = Enrollment(id=7, term=FALL, status="enrolled")
STUDENT = Situation(
    now=datetime(2026, 8, 20, tzinfo=UTC),
    student_id=1,
    enrollments=[FRENCH],
    courses={5: SPANISH},
    answers={"languages_of_request": [[5]], "languages_of_student": [[7]]},
)


def facts(situation: Situation) -> list[dict[str, object]]:
    return [reason.facts for reason in OneLanguagePerTerm().reasons(SPANISH, situation)]


def test_a_second_language_course_of_the_term_is_refused() -> None:
    assert facts(STUDENT) == [{"course_ids": [7]}]


def test_one_of_another_term_is_not_counted() -> None:
    assert facts(replace(STUDENT, enrollments=[replace(FRENCH, term=replace(FALL, id=2))])) == []


def test_a_course_that_is_not_of_a_language_is_not_counted() -> None:
    assert facts(replace(STUDENT, answers={**STUDENT.answers, "languages_of_student": []})) == []
    assert facts(replace(STUDENT, answers={**STUDENT.answers, "languages_of_request": []})) == []


def test_a_permission_waives_the_rule() -> None:
    assert facts(replace(STUDENT, permissions=frozenset({(5, OneLanguagePerTerm.code)}))) == []
