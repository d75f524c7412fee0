"""Credits: how many a student takes in a term, and for how many a course is offered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ....models import ENROLLED
from ..situation import Action, Course, Situation
from .base import Facts, Rule, RuleGuide

COUNTED = frozenset[Action]({"enroll", "promote", "change_credits"})
"""What counts toward the limit: a student on a waitlist takes no credits yet."""


def as_json_number(hundredths: int) -> int | float:
    """Return credits as JSON has them: 3, or 2.5."""
    whole, rest = divmod(hundredths, 100)
    return hundredths / 100 if rest else whole


class CreditLimitRule(Rule):
    """A student takes no more credits in a term than the limit allows: the student's own, or that of the term.

    The limit is raised, never waived. A student who is above it already may come down, and not go further up. It does
    not stop a student from joining a waitlist; it stops the promotion.
    """

    code, title = "credit_limit_exceeded", "Credit limit exceeded"
    meaning = "The student would take more credits in the term than the limit allows."
    remedy = "Choose fewer courses or credits, or ask the registrar to raise the student's limit for the term."
    example: ClassVar[Facts] = {"limit": 17.5, "held": 15.5, "asked": 2.5}
    guide = RuleGuide(
        section="credits",
        resolution="raise the student's limit of the term",
        data="terms, courses, limits",
        facts={
            "limit": "of the student in the term",
            "held": "credits of the courses that the student keeps",
            "asked": "credits of all courses of the request",
        },
    )
    applies_to = COUNTED | {"recheck"}
    is_waivable = False

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the limit, and the credits that the student has and asks for, if their sum is above it."""
        assert course.term is not None
        limit = course.term.credit_limit
        if limit is None or not course.student_credits:
            return
        new = {
            other.id: other.student_credits
            for other in situation.courses.values()
            if other.term is not None and other.term.id == course.term.id and other.action in COUNTED
        }
        held = sum(
            enrollment.student_credits
            for enrollment in situation.enrollments
            if enrollment.status == ENROLLED
            and enrollment.term is not None
            and enrollment.term.id == course.term.id
            and enrollment.id not in new
            and not situation.will_unenroll(enrollment.id)
        )
        asked = sum(new.values())
        present = sum(
            enrollment.student_credits
            for enrollment in situation.enrollments
            if enrollment.status == ENROLLED and enrollment.term is not None and enrollment.term.id == course.term.id
        )
        if held + asked > (limit if course.action == "recheck" else max(limit, present)):
            yield {"limit": as_json_number(limit), "held": as_json_number(held), "asked": as_json_number(asked)}


class CreditsNotOfferedRule(Rule):
    """A course is taken for its credits or, if it has variable credits, for any number from the least to the most.

    A course without a term has none.
    """

    code, title = "credits_not_offered", "Credits not offered"
    meaning = "The course is not offered for this number of credits."
    remedy = "Ask for a number of credits from `least` to `most`."
    example: ClassVar[Facts] = {"least": 1.5, "most": 4.5}
    guide = RuleGuide(
        section="credits",
        resolution="request credits from `least` to `most`",
        data="courses",
        facts={"least": "the fewest credits that the student can choose", "most": "the most"},
    )
    applies_to = frozenset[Action]({"enroll", "waitlist", "change_credits"})
    is_waivable = False
    needs_term = False

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the credits for which the course is offered."""
        if not course.least_credits <= course.student_credits <= course.most_credits:
            yield {"least": as_json_number(course.least_credits), "most": as_json_number(course.most_credits)}
