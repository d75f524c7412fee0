"""Prerequisites, repeats and other courses of an entry, over plain situations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from course_management.services.enrollment.situation import (
    Action,
    Completion,
    Course,
    Enrollment,
    Prerequisite,
    Situation,
)

from .situations import COURSE, EARLIER, ENTRY, OTHER, STUDENT, TERM, facts_by_code, held

CALCULUS = Prerequisite(code="MATH101", catalog_id=50)
WITH_C = replace(CALCULUS, minimum_points=200, minimum_grade="C")
PLACEMENT = Prerequisite(code="calculus-ready", group_id=3)


def needing(*groups: list[Prerequisite]) -> Course:
    return replace(COURSE, entry=replace(ENTRY, prerequisites=groups))


def test_without_a_prerequisite_the_facts_name_the_groups_that_are_missing() -> None:
    course = needing([WITH_C, PLACEMENT], [replace(CALCULUS, catalog_id=51, code="CS1", concurrent_allowed=True)])

    assert facts_by_code(course, replace(STUDENT, group_ids=frozenset({3}))) == {
        "prerequisite_missing": {
            "groups": [[{"catalog_id": 51, "code": "CS1", "concurrent_allowed": True}]],
            "sentence": "CS1 (concurrent allowed)",
        }
    }
    assert facts_by_code(course)["prerequisite_missing"]["groups"][0] == [
        {
            "catalog_id": 50,
            "code": "MATH101",
            "minimum_grade": "C",
            "minimum_points": 2,
            "concurrent_allowed": False,
        },
        {"group_id": 3, "code": "calculus-ready"},
    ]


@pytest.mark.parametrize(
    ("required", "points", "is_met"),
    [
        (CALCULUS, None, True),
        (CALCULUS, 0, True),
        (WITH_C, 200, True),
        (WITH_C, 199, False),
        (WITH_C, None, False),
    ],
)
def test_a_completion_counts_with_enough_points(required: Prerequisite, points: int | None, is_met: bool) -> None:
    situation = replace(STUDENT, completions=[Completion(catalog_id=50, points=points)])

    assert (facts_by_code(needing([required]), situation) == {}) is is_met


def test_the_best_of_several_completions_counts() -> None:
    attempts = [Completion(catalog_id=50, points=100), Completion(catalog_id=50, points=300)]

    assert facts_by_code(needing([WITH_C]), replace(STUDENT, completions=attempts)) == {}


@pytest.mark.parametrize(
    ("enrollment", "concurrent", "is_met"),
    [
        (held(9, catalog_id=50, term=EARLIER), False, True),
        (held(9, catalog_id=50), False, False),
        (held(9, catalog_id=50), True, True),
        (held(9, "waitlisted", catalog_id=50, term=EARLIER), True, False),
        (held(9, catalog_id=51, term=EARLIER), True, False),
    ],
)
def test_a_course_of_an_earlier_term_counts_and_one_of_the_same_where_that_is_allowed(
    enrollment: Enrollment, concurrent: bool, is_met: bool
) -> None:
    course = needing([replace(WITH_C, concurrent_allowed=concurrent)])

    assert (facts_by_code(course, replace(STUDENT, enrollments=[enrollment])) == {}) is is_met


def test_a_course_that_is_asked_for_in_the_same_request_counts_as_concurrent() -> None:
    course = needing([replace(CALCULUS, concurrent_allowed=True)])

    assert facts_by_code(course, STUDENT, replace(OTHER, catalog_id=50)) == {}
    assert "prerequisite_missing" in facts_by_code(course, STUDENT, replace(OTHER, catalog_id=50, action="waitlist"))


def test_one_alternative_of_each_group_is_needed() -> None:
    other = replace(CALCULUS, catalog_id=51)
    course = needing([CALCULUS, other], [PLACEMENT])

    for completed, group_ids, missing in (((50,), {3}, 0), ((51,), {3}, 0), ((51,), set(), 1), ((), set(), 2)):
        situation = replace(
            STUDENT,
            group_ids=frozenset(group_ids),
            completions=[Completion(catalog_id=each) for each in completed],
        )
        facts = facts_by_code(course, situation).get("prerequisite_missing", {"groups": []})
        assert len(facts["groups"]) == missing


@pytest.mark.parametrize(
    ("allowed", "times", "refused"), [(None, 3, False), (1, 0, False), (1, 1, True), (3, 2, False)]
)
def test_an_entry_is_completed_as_often_as_the_catalog_allows(allowed: int | None, times: int, refused: bool) -> None:
    course = replace(COURSE, entry=replace(ENTRY, completions_allowed=allowed))
    situation = replace(STUDENT, completions=[Completion(catalog_id=40)] * times)

    assert ("already_completed" in facts_by_code(course, situation)) is refused


def test_the_facts_of_a_repetition_are_how_often_and_how_often_it_is_allowed() -> None:
    course = replace(COURSE, entry=replace(ENTRY, completions_allowed=2))

    assert facts_by_code(course, replace(STUDENT, completions=[Completion(catalog_id=40)] * 2)) == {
        "already_completed": {"completions": 2, "allowed": 2}
    }


def entry_held(*enrollments: Enrollment, course: Course = COURSE) -> dict[str, object]:
    situation: Situation = replace(STUDENT, enrollments=enrollments)
    return facts_by_code(course, situation)


def test_a_student_takes_one_course_of_an_entry_in_a_term() -> None:
    assert entry_held(held(9, catalog_id=40)) == {"other_course_of_entry_held": {"course_ids": [9]}}
    assert entry_held(held(9, catalog_id=40, term=EARLIER)) == {}
    assert entry_held(held(9, catalog_id=40, component="LAB")) == {}
    assert entry_held(held(9, catalog_id=41)) == {}


@pytest.mark.parametrize(("planned", "refused"), [("enroll", True), ("waitlist", True), ("promote", False)])
def test_the_first_of_two_waitlists_of_an_entry_that_moves_decides(planned: Action, refused: bool) -> None:
    waits = held(9, "waitlisted", catalog_id=40)

    assert bool(entry_held(waits, course=replace(COURSE, action=planned))) is refused


def test_the_catalog_may_allow_several_courses_of_an_entry_in_a_term() -> None:
    two = replace(COURSE, entry=replace(ENTRY, courses_per_term=2))
    any_number = replace(COURSE, entry=replace(ENTRY, courses_per_term=None))
    many = [held(number, catalog_id=40) for number in (9, 8)]

    assert entry_held(many[0], course=two) == {}
    assert entry_held(*many, course=two) == {"other_course_of_entry_held": {"course_ids": [8, 9]}}
    assert entry_held(*many, course=any_number) == {}


def test_two_courses_of_an_entry_are_refused_in_one_request() -> None:
    other = replace(COURSE, id=6)

    assert facts_by_code(COURSE, STUDENT, other) == {"other_course_of_entry_held": {"course_ids": [6]}}


def test_a_course_without_an_entry_has_no_rule_of_the_catalog() -> None:
    assert entry_held(held(9, term=TERM), course=replace(COURSE, catalog_id=None, entry=None)) == {}
