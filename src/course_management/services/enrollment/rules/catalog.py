"""The catalog entry of a course: prerequisites, repeats, and other courses of the same entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ...prerequisite_sentence import sentence
from ..situation import Course, Prerequisite, ScheduledCourse, Situation
from .base import JOINING, Facts, Rule, RuleGuide
from .credits import as_json_number


class PrerequisiteMissingRule(Rule):
    """A student has completed what the catalog requires: of each group, one alternative.

    An entry counts if the student has passed it, with enough points where points are required. It also counts if the
    student takes it in an earlier term, which has not been graded yet, and, where it may be taken concurrently, in the
    same term. A group of students (a placement) counts if the student is in it.
    """

    code, title = "prerequisite_missing", "Prerequisite missing"
    meaning = "The student does not have the prerequisites of the course."
    remedy = (
        "`groups` lists what is missing, and `sentence` says it in words: one alternative of each group is needed. An "
        "instructor can permit it."
    )
    example: ClassVar[Facts] = {
        "groups": [[{"catalog_id": 3, "code": "CS173", "minimum_grade": "C", "concurrent_allowed": False}]],
        "sentence": "CS173 with C",
    }
    guide = RuleGuide(
        section="catalog-and-prerequisites",
        resolution="record the completion, or the placement as a group",
        data="catalog, prerequisites, completions, members",
        facts={"groups": "the alternatives of each group that is missing", "sentence": "the same as text"},
    )
    applies_to = JOINING | {"recheck"}

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the lists of alternatives of which the student has none."""
        if course.entry is None:
            return
        missing = [
            [_facts(alternative) for alternative in alternatives]
            for alternatives in course.entry.prerequisites
            if not any(_is_met(alternative, course, situation) for alternative in alternatives)
        ]
        if missing:
            yield {"groups": missing, "sentence": sentence(missing)}


def _is_met(required: Prerequisite, course: Course, situation: Situation) -> bool:
    if required.group_id is not None:
        return required.group_id in situation.group_ids
    enough = required.minimum_points
    for completion in situation.completions:
        if completion.catalog_id == required.catalog_id and (enough is None or (completion.points or 0) >= enough):
            return True
    return any(
        other.catalog_id == required.catalog_id and _comes_first(other, course, required)
        for other in situation.other_courses(course)
    )


def _comes_first(other: ScheduledCourse, course: Course, required: Prerequisite) -> bool:
    assert other.term is not None
    assert course.term is not None
    is_earlier = other.term.starts_on < course.term.starts_on
    return is_earlier or (required.concurrent_allowed and other.term.id == course.term.id)


def _facts(required: Prerequisite) -> dict[str, Any]:
    facts: dict[str, Any] = {"code": required.code}
    if required.group_id is not None:
        return {"group_id": required.group_id, **facts}
    facts = {"catalog_id": required.catalog_id, **facts}
    if required.minimum_grade is not None:
        facts["minimum_grade"] = required.minimum_grade
    if required.minimum_points is not None:
        facts["minimum_points"] = as_json_number(required.minimum_points)
    return {**facts, "concurrent_allowed": required.concurrent_allowed}


class AlreadyCompletedRule(Rule):
    """A student completes a catalog entry at most as often as the catalog allows."""

    code, title = "already_completed", "Already completed"
    meaning = "The student has completed the catalog entry as often as it can be completed."
    remedy = "Choose another course. Registrars and advisors can permit a repetition."
    example: ClassVar[Facts] = {"completions": 1, "allowed": 1}
    guide = RuleGuide(
        section="completions",
        resolution="raise `completions_allowed` of the entry",
        data="catalog, completions",
        facts={"completions": "of this student", "allowed": "of the entry"},
    )
    applies_to = JOINING

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield how often the student has completed the entry, and how often it can be."""
        entry = course.entry
        if entry is None or entry.completions_allowed is None:
            return
        completions = sum(completion.catalog_id == entry.id for completion in situation.completions)
        if completions >= entry.completions_allowed:
            yield {"completions": completions, "allowed": entry.completions_allowed}


class OtherCourseOfEntryHeldRule(Rule):
    """A student takes one course of a catalog entry in a term, or as many as the catalog says.

    Courses of different components do not count together: a lecture and its lab are both taken. Courses for which the
    student waits count as well, except for promotion: the first of two waitlists that moves decides.
    """

    code, title = "other_course_of_entry_held", "Other course of the entry"
    meaning = "The student takes another course of the same catalog entry in the term."
    remedy = "Swap the courses: give those in `course_ids` as `instead_of` in the same request."
    example: ClassVar[Facts] = {"course_ids": [7]}
    guide = RuleGuide(
        section="catalog-and-prerequisites",
        resolution="swap the courses, or raise `courses_per_term` of the entry",
        data="catalog, courses",
        facts={"course_ids": "the other courses"},
    )
    applies_to = JOINING

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the other courses, if there are as many as the student may take."""
        allowed = course.entry.courses_per_term if course.entry else None
        if allowed is None:
            return
        others = situation.other_courses(course, with_waitlists=course.action != "promote")
        same = sorted(other.id for other in others if _is_same(other, course))
        if len(same) >= allowed:
            yield {"course_ids": same}


def _is_same(other: ScheduledCourse, course: Course) -> bool:
    is_of_the_term = other.term is not None and course.term is not None and other.term.id == course.term.id
    return is_of_the_term and (other.catalog_id, other.component) == (course.catalog_id, course.component)
