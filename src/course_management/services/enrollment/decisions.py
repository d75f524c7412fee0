"""Decide whether a student can enroll in each course, with all reasons against it.

A decision is about a plan: the seat or the place on the waitlist that the course has for the student at that moment.
The counters say which of them there is; the rules (`rules/`) judge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import CourseFull, CourseNotFound, EnrollmentRefused, Problem, Reason, UnknownCourse, WaitlistFull
from ...models import ENROLLED, WAITLISTED
from .rules import WAIVABLE, reasons
from .situation import Course, Situation

ALREADY = {ENROLLED: "already_enrolled", WAITLISTED: "already_waitlisted"}
REFUSED, ELIGIBLE, NOT_ENROLLED = "refused", "eligible", "not_enrolled"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one course.

    `outcome` is `refused`, `eligible`, `already_enrolled`, `already_waitlisted` or, about unenrolling, `not_enrolled`.
    `planned` is the status that an eligible student gets. `seat_reserved`: a seat is free, and reserved for students
    on the waitlist.
    """

    course_id: int
    outcome: str
    reasons: tuple[Reason, ...] = ()
    position: int | None = None
    planned: str | None = None
    has_term: bool = False
    seat_reserved: bool = False

    @property
    def is_unknown(self) -> bool:
        """Whether the course does not exist."""
        return UnknownCourse in map(type, self.reasons)

    @property
    def waivable(self) -> list[str]:
        """The codes of the rules that refuse the course and that a permission can waive, each once."""
        return list(dict.fromkeys(reason.code for reason in self.reasons if reason.code in WAIVABLE))

    @property
    def is_already(self) -> bool:
        """Whether the student is enrolled or waitlisted already."""
        return self.outcome in ALREADY.values()

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as responses show it."""
        return {
            "course_id": self.course_id,
            "outcome": self.outcome,
            "reasons": [reason.as_dict() for reason in self.reasons],
        }


def waived(situation: Situation) -> Situation:
    """Return the situation in which permissions waive, for each course, every rule that can be waived."""
    every = {(course_id, code) for course_id in situation.courses for code in WAIVABLE}
    return replace(situation, permissions=situation.permissions | every)


def decide(situation: Situation, course_list: Sequence[int], *, waitlist: bool) -> list[Decision]:
    """Decide about enrolling in each course, in the order of `course_list`."""
    return [_decide(number, situation.courses.get(number), situation, waitlist) for number in course_list]


def _decide(number: int, course: Course | None, situation: Situation, waitlist: bool) -> Decision:
    if course is None:
        return Decision(number, REFUSED, (UnknownCourse(),))
    if course.status in ALREADY:
        return Decision(number, ALREADY[course.status], position=course.position, has_term=course.term is not None)
    planned = replace(course, planned="waitlist" if waitlist and not course.is_open else "enroll")
    full = None if course.is_open or (waitlist and course.waitlist_has_room) else _full(course, waitlist)
    against = [*reasons(planned, situation), *filter(None, [full])]
    return Decision(
        number,
        REFUSED if against else ELIGIBLE,
        tuple(against),
        planned=ENROLLED if planned.planned == "enroll" else WAITLISTED,
        has_term=course.term is not None,
        # Where something else refuses as well, promoting the students who wait would not help this one.
        seat_reserved=against == [full] and course.has_free_seat,
    )


def _full(course: Course, waitlist: bool) -> Reason:
    if waitlist and course.waitlist_capacity:
        return WaitlistFull(capacity=course.capacity, waitlist_capacity=course.waitlist_capacity)
    return CourseFull(capacity=course.capacity, waitlist_open=course.waitlist_has_room)


def decide_leaving(situation: Situation, course_list: Sequence[int]) -> list[Decision]:
    """Decide about unenrolling from each course, in the order of `course_list`."""
    return [_decide_leaving(number, situation.courses.get(number), situation) for number in course_list]


def _decide_leaving(number: int, course: Course | None, situation: Situation) -> Decision:
    if course is None:
        return Decision(number, REFUSED, (UnknownCourse(),))
    if course.status not in ALREADY:
        return Decision(number, NOT_ENROLLED)
    against = reasons(replace(course, planned="unenroll"), situation)
    return Decision(number, REFUSED if against else ELIGIBLE, tuple(against), has_term=course.term is not None)


def refuse(decisions: Sequence[Decision], refusal: type[Problem] = EnrollmentRefused) -> None:
    """Raise `refusal`, or `CourseNotFound`, with all of these decisions if any of them refuses its course."""
    refused = [each for each in decisions if each.outcome == REFUSED]
    if refused:
        problem = CourseNotFound if any(each.is_unknown for each in refused) else refusal
        raise problem(decisions=[each.as_dict() for each in decisions])
