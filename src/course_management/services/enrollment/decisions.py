"""Decide whether a student can enroll in each course, with all reasons against it.

A decision is about a plan: the seat or the place on the waitlist that the course has for the student at that moment.
The counters say which of them there is; the rules (`rules/`) judge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import CourseFull, CourseNotFound, EnrollmentRefused, Problem, Reason, UnknownCourse, WaitlistFull
from ...models import ENROLLED, UNENROLLED, WAITLISTED, WITHDRAWN
from .rules import reasons, waivable
from .rules.windows import DropClosedRule, is_withdrawal
from .situation import Action, Course, Situation

ALREADY: Mapping[str | None, str] = {ENROLLED: "already_enrolled", WAITLISTED: "already_waitlisted"}
REFUSED, ELIGIBLE, NOT_ENROLLED = "refused", "eligible", "not_enrolled"
NONE: Mapping[int, int] = {}


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one course.

    `outcome` is `refused`, `eligible`, `already_enrolled`, `already_waitlisted` or, about unenrolling, `not_enrolled`.
    `action` is what was planned and judged, `planned` the status that an eligible student gets by it, `credits` what
    the enrollment counts, in hundredths. `seat_reserved`: a seat is free, and reserved for students on the waitlist.
    `notes` are what rules that do not bind would have said.
    """

    course_id: int
    outcome: str
    reasons: tuple[Reason, ...] = ()
    position: int | None = None
    action: Action | None = None
    planned: str | None = None
    credits: int | None = None
    has_term: bool = False
    seat_reserved: bool = False
    notes: tuple[Reason, ...] = ()

    @property
    def is_unknown(self) -> bool:
        """Whether the course does not exist."""
        return UnknownCourse in map(type, self.reasons)

    @property
    def waivable(self) -> list[str]:
        """The codes of the rules that refuse the course and that a permission can waive, each once."""
        return list(dict.fromkeys(reason.code for reason in self.reasons if reason.code in waivable()))

    def does(self, *actions: Action) -> bool:
        """Return whether one of these actions can be done."""
        return self.outcome == ELIGIBLE and self.action in actions

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as responses show it."""
        return {
            "course_id": self.course_id,
            "outcome": self.outcome,
            "reasons": [reason.as_dict() for reason in self.reasons],
        }


def waived(situation: Situation) -> Situation:
    """Return the situation in which permissions waive, for each course, every rule that can be waived."""
    every = {(course_id, code) for course_id in situation.courses for code in waivable()}
    return replace(situation, permissions=situation.permissions | every)


def decide(
    situation: Situation,
    enrolling: Sequence[int],
    *,
    leaving: Sequence[int] = (),
    waitlist: bool = False,
    credits_asked: Mapping[int, int] = NONE,
    changes_credits: bool = False,
    binding: bool = True,
) -> list[Decision]:
    """Decide about each course in which to enroll, then about each course to leave.

    `credits_asked` are those that the student chooses, in hundredths, by course; with `changes_credits` also for
    courses in which the student is enrolled already. Unless `binding`, only seats and places on waitlists refuse, and
    no student is withdrawn.
    """
    actions: dict[int, Action | None] = {}
    for number, course in situation.courses.items():
        if number in leaving:
            actions[number] = "unenroll" if course.status in ALREADY else None
        elif number not in enrolling:
            actions[number] = None
        elif course.status not in ALREADY:
            actions[number] = "waitlist" if waitlist and not course.is_open else "enroll"
        else:
            has_others = course.status == ENROLLED and credits_asked.get(number, course.credits) != course.credits
            actions[number] = "change_credits" if changes_credits and has_others else None
    planned = situation.planning(actions, credits_asked)
    return [judge(planned, number, binding=binding) for number in (*enrolling, *leaving)]


def judge(situation: Situation, number: int, *, binding: bool) -> Decision:
    """Decide about what is planned for one course."""
    course = situation.courses.get(number)
    if course is None:
        return Decision(number, REFUSED, (UnknownCourse(),))
    has_term = course.term is not None
    # A student who chooses no credits gets the least with the seat, as they are then.
    is_default = course.planned == "waitlist" and course.credits == course.least_credits
    if course.planned is None:
        outcome = ALREADY.get(course.status, NOT_ENROLLED)
        return Decision(number, outcome, position=course.position, has_term=has_term)
    full = _full(course, situation) if course.planned in ("enroll", "waitlist") else None
    ruled = reasons(course, situation)
    against = [*(ruled if binding else ()), *filter(None, [full])]
    return Decision(
        number,
        REFUSED if against else ELIGIBLE,
        tuple(against),
        action=course.planned,
        planned=_status(course, situation, binding=binding),
        credits=None if is_default else course.credits or None,
        has_term=has_term,
        # Where something else refuses as well, promoting the students who wait would not help this one.
        seat_reserved=against == [full] and course.has_free_seat,
        notes=() if binding else tuple(ruled),
    )


def _status(course: Course, situation: Situation, *, binding: bool) -> str:
    """Return the status that the student gets by what is planned."""
    if course.planned == "unenroll":
        is_waived = not binding or (course.id, DropClosedRule.code) in situation.permissions
        return WITHDRAWN if is_withdrawal(course, situation) and not is_waived else UNENROLLED
    return WAITLISTED if course.planned == "waitlist" else ENROLLED


def _full(course: Course, situation: Situation) -> Reason | None:
    """Return the reason if the course has neither a seat nor, where one is planned, a place on the waitlist."""
    if course.is_open or (course.planned == "waitlist" and course.waitlist_has_room):
        return None
    if course.planned == "waitlist" and course.waitlist_capacity:
        return WaitlistFull(capacity=course.capacity, waitlist_capacity=course.waitlist_capacity)
    is_over = course.term is not None and situation.now >= course.term.waitlists_close_at
    return CourseFull(capacity=course.capacity, waitlist_open=course.waitlist_has_room and not is_over)


def refuse(decisions: Sequence[Decision], refusal: type[Problem] = EnrollmentRefused) -> None:
    """Raise `refusal`, or `CourseNotFound`, with all of these decisions if any of them refuses its course."""
    refused = [each for each in decisions if each.outcome == REFUSED]
    if refused:
        problem = CourseNotFound if any(each.is_unknown for each in refused) else refusal
        raise problem(decisions=[each.as_dict() for each in decisions])
