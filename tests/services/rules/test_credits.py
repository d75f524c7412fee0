"""Credit limits and variable credits, over plain situations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_management.services.enrollment.situation import Action

from .situations import COURSE, EARLIER, OTHER, STUDENT, TERM, facts_by_code, held

LIMITED = replace(TERM, credit_limit=1200)
THREE = replace(COURSE, term=LIMITED, student_credits=300, least_credits=300, most_credits=300)
DROPPED = replace(OTHER, id=9, term=LIMITED, student_status="enrolled", action="unenroll")
FULL = replace(STUDENT, enrollments=[held(9, student_credits=1000)])


def test_the_limit_is_the_sum_of_what_the_student_has_and_asks_for() -> None:
    assert facts_by_code(THREE, FULL) == {"credit_limit_exceeded": {"limit": 12, "held": 10, "asked": 3}}
    assert facts_by_code(replace(THREE, student_credits=200, least_credits=200), FULL) == {}


def test_a_student_above_the_limit_may_come_down_and_not_go_further_up() -> None:
    above = replace(STUDENT, enrollments=[held(9, student_credits=1500)])
    left = replace(OTHER, id=9, term=LIMITED, student_status="enrolled", action="unenroll", student_credits=1500)
    swapped = replace(THREE, student_credits=1400, least_credits=1400, most_credits=1400)

    assert facts_by_code(swapped, above, left) == {}
    assert facts_by_code(replace(swapped, student_credits=1600, most_credits=1600), above, left) == {
        "credit_limit_exceeded": {"limit": 12, "held": 0, "asked": 16}
    }
    assert facts_by_code(THREE, above) == {"credit_limit_exceeded": {"limit": 12, "held": 15, "asked": 3}}


def test_courses_of_one_request_count_together() -> None:
    other = replace(OTHER, term=LIMITED, student_credits=950, least_credits=950, most_credits=950)

    assert facts_by_code(THREE, STUDENT, other)["credit_limit_exceeded"] == {"limit": 12, "held": 0, "asked": 12.5}
    assert facts_by_code(THREE, STUDENT, replace(other, action="waitlist")) == {}


@pytest.mark.parametrize(
    "enrollment",
    [held(9, term=EARLIER, student_credits=1000), held(9, "waitlisted", student_credits=1000)],
    ids=["another term", "a waitlist"],
)
def test_courses_of_other_terms_and_waitlists_do_not_count(enrollment: object) -> None:
    assert facts_by_code(THREE, replace(STUDENT, enrollments=[enrollment])) == {}  # type: ignore[list-item]


def test_a_course_that_is_left_does_not_count() -> None:
    left = replace(OTHER, id=9, term=LIMITED, student_status="enrolled", action="unenroll", student_credits=1000)

    assert facts_by_code(THREE, FULL, left) == {}


def test_a_course_without_credits_is_not_refused_by_a_limit_that_is_exceeded_already() -> None:
    over = replace(STUDENT, enrollments=[held(9, student_credits=1500)])

    assert facts_by_code(replace(THREE, student_credits=0, least_credits=0), over) == {}


@pytest.mark.parametrize(("planned", "expected"), [("enroll", True), ("promote", True), ("waitlist", False)])
def test_the_limit_does_not_stop_a_student_from_joining_a_waitlist(planned: Action, expected: bool) -> None:
    assert ("credit_limit_exceeded" in facts_by_code(replace(THREE, action=planned), FULL)) is expected


def test_other_credits_for_a_course_count_in_the_place_of_its_present_ones() -> None:
    other = replace(
        THREE, id=9, student_status="enrolled", action="change_credits", student_credits=1300, most_credits=1300
    )

    assert facts_by_code(other, FULL) == {"credit_limit_exceeded": {"limit": 12, "held": 0, "asked": 13}}
    assert facts_by_code(replace(other, student_credits=1200), FULL) == {}


@pytest.mark.parametrize(("asked", "refused"), [(99, True), (100, False), (250, False), (400, False), (401, True)])
@pytest.mark.parametrize("planned", ["enroll", "waitlist", "change_credits"])
def test_a_course_is_offered_for_its_least_to_its_most_credits(asked: int, refused: bool, planned: Action) -> None:
    course = replace(COURSE, student_credits=asked, least_credits=100, most_credits=400, action=planned)

    expected = {"credits_not_offered": {"least": 1, "most": 4}} if refused else {}
    assert facts_by_code(course) == expected


@given(st.lists(st.integers(0, 600), max_size=4), st.lists(st.integers(1, 600), min_size=1, max_size=4))
def test_a_request_is_refused_exactly_when_the_sum_is_above_the_limit(enrolled: list[int], asked: list[int]) -> None:
    courses = [
        replace(OTHER, id=100 + index, term=LIMITED, student_credits=each, least_credits=each, most_credits=each)
        for index, each in enumerate(asked)
    ]
    situation = replace(
        STUDENT, enrollments=[held(200 + index, student_credits=each) for index, each in enumerate(enrolled)]
    )

    refused = [bool(facts_by_code(course, situation, *courses)) for course in courses]

    assert refused == [sum(enrolled) + sum(asked) > 1200] * len(asked)
