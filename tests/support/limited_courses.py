"""Rules that depend on the other courses of a student: what the comparison of the schedule revision protects.

They have the codes of other rules, so that the documentation of codes needs no page for a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from sqlalchemy import select

from course_management.models import ENROLLED, courses, enrollments
from course_management.services.enrollment.parameters import student_id
from course_management.services.enrollment.rules.base import Facts
from course_management.services.enrollment.rules.courses import RestrictedRule
from course_management.services.enrollment.situation import Action, Course, Situation

LIMITED = "R"
"""The codes of the courses that count begin with it."""


class AtMost(RestrictedRule):
    """A student is enrolled in at most so many of the courses that count. The rule does not bind the waitlist."""

    applies_to = frozenset[Action]({"enroll", "promote"})
    questions: ClassVar[Any] = {
        "limited": select(courses.c.id).where(courses.c.code.startswith(LIMITED), courses.c.term_id.is_not(None)),
        "enrolled_in": select(enrollments.c.course_id)
        .join(courses, courses.c.id == enrollments.c.course_id)
        .where(
            enrollments.c.student_id == student_id,
            enrollments.c.status == ENROLLED,
            courses.c.code.startswith(LIMITED),
            courses.c.term_id.is_not(None),
        ),
    }

    def __init__(self, most: int) -> None:
        self.most = most

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield if the student is enrolled in `most` other courses."""
        others = {number for (number,) in situation.answers["enrolled_in"]} - {course.id}
        if [course.id] in situation.answers["limited"] and len(others) >= self.most:
            yield {"kind": "limit", "admits": [], "excludes": sorted(map(str, others))}
