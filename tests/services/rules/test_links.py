"""Linked courses, over plain situations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from course_management.services.enrollment.situation import Action

from .situations import COURSE, OTHER, STUDENT, facts_by_code, held

LECTURE = replace(COURSE, linked_alternatives=[frozenset({11, 12}), frozenset({20})])


def test_a_course_is_taken_with_one_of_each_group_of_its_links() -> None:
    with_lab = replace(STUDENT, enrollments=[held(11)])

    assert facts_by_code(LECTURE) == {"linked_course_missing": {"groups": [[11, 12], [20]]}}
    assert facts_by_code(LECTURE, with_lab) == {"linked_course_missing": {"groups": [[20]]}}
    assert facts_by_code(LECTURE, with_lab, replace(OTHER, id=20)) == {}


@pytest.mark.parametrize("planned", ["enroll", "promote", "waitlist"])
def test_a_place_on_the_waitlist_of_the_lab_is_enough_for_the_lecture(planned: Action) -> None:
    situation = replace(STUDENT, enrollments=[held(11, "waitlisted"), held(20)])

    assert facts_by_code(replace(LECTURE, action=planned), situation) == {}
    waiting = replace(OTHER, id=11, action="waitlist")
    assert facts_by_code(replace(LECTURE, action=planned), STUDENT, waiting) == {
        "linked_course_missing": {"groups": [[20]]}
    }


def leaving(number: int) -> object:
    return replace(OTHER, id=number, student_status="enrolled", action="unenroll")


def test_a_course_that_another_one_needs_cannot_be_left_alone() -> None:
    lab, other_lab = leaving(11), leaving(12)
    lecture = held(5, linked_alternatives=LECTURE.linked_alternatives)
    situation = replace(STUDENT, enrollments=[lecture, held(11), held(20)])

    assert facts_by_code(lab, situation) == {"needed_by_course": {"course_ids": [5]}}  # type: ignore[arg-type]
    assert facts_by_code(lab, situation, leaving(5)) == {}  # type: ignore[arg-type]
    assert facts_by_code(lab, situation, replace(OTHER, id=12)) == {}  # type: ignore[arg-type]
    both = replace(situation, enrollments=[*situation.enrollments, held(12)])
    assert facts_by_code(lab, both) == {}  # type: ignore[arg-type]
    assert facts_by_code(lab, both, other_lab) == {"needed_by_course": {"course_ids": [5]}}  # type: ignore[arg-type]
