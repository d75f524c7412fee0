"""Linked courses: a student who takes one must take others with it, such as a lecture with one of its labs."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import ClassVar

from ..situation import Action, Course, ScheduledCourse, Situation
from .base import JOINING, Facts, Rule, RuleGuide


class LinkedCourseMissingRule(Rule):
    """A student who takes a course must be in one of each set of its linked courses, or ask for both together.

    A place on the waitlist of the linked course is enough, or a student who waits for both would get neither.
    """

    code, title = "linked_course_missing", "Linked course missing"
    meaning = "The course must be taken together with another one."
    remedy = "Enroll in one course of each group in `groups` in the same request."
    example: ClassVar[Facts] = {"groups": [[12, 13, 14]]}
    guide = RuleGuide(
        section="linked-courses",
        resolution="request the linked course in the same call",
        data="links",
        facts={"groups": "ids of courses; the student needs one of each group"},
    )
    applies_to = JOINING | {"recheck"}

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the sets of alternatives of which the student takes no course."""
        others = {other.id for other in situation.other_courses(course, with_waitlists=True)}
        if missing := _missing(course, others):
            yield {"groups": [sorted(alternatives) for alternatives in missing]}


class NeededByCourseRule(Rule):
    """A student cannot drop a course that another course of the student must be taken with, unless both are dropped.

    A permission for the other course to be taken without its linked courses counts here, too.
    """

    code, title = "needed_by_course", "Needed by another course"
    meaning = "Another course of the student must be taken together with this one."
    remedy = (
        "Unenroll from those in `course_ids` in the same request, or swap this one for another linked course. A "
        "permission of `linked_course_missing` for each of them lets the student take it alone."
    )
    example: ClassVar[Facts] = {"course_ids": [11]}
    guide = RuleGuide(
        section="linked-courses",
        resolution="leave both in one request, swap, or permit `linked_course_missing` for the other course",
        data="links",
        facts={"course_ids": "the courses that need it"},
    )
    applies_to = frozenset[Action]({"unenroll"})
    is_waivable = False

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the courses that would lack a linked course."""
        others = situation.other_courses(course, with_waitlists=True)
        kept = {other.id for other in others}
        needing = [
            other.id
            for other in others
            if any(course.id in alternatives for alternatives in _missing(other, kept))
            and (other.id, LinkedCourseMissingRule.code) not in situation.permissions
        ]
        if needing:
            yield {"course_ids": sorted(needing)}


def _missing(course: ScheduledCourse, course_ids: Set[int]) -> list[frozenset[int]]:
    """Return the sets of alternatives of a course of which no course is among these."""
    return [alternatives for alternatives in course.linked_alternatives if alternatives.isdisjoint(course_ids)]
