"""Decide whether a student can enroll in each course, with all reasons against it.

A decision is about an action: to take the seat or the place on the waitlist that the course has at that moment.
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
NO_CREDITS: Mapping[int, int] = {}


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one course.

    `outcome` is `refused`, `eligible`, `already_enrolled`, `already_waitlisted` or, about unenrolling, `not_enrolled`.
    `action` is what was decided about, `new_status` the status that an eligible student gets by it, `credits` what
    the enrollment counts, in hundredths. `seat_reserved`: a seat is free, and reserved for students on the waitlist.
    `notes` are what rules that do not bind would have said.
    """

    course_id: int
    outcome: str
    reasons: tuple[Reason, ...] = ()
    position: int | None = None
    action: Action | None = None
    new_status: str | None = None
    credits: int | None = None
    has_term: bool = False
    seat_reserved: bool = False
    notes: tuple[Reason, ...] = ()

    @property
    def is_unknown(self) -> bool:
        """Whether the course does not exist."""
        return UnknownCourse in map(type, self.reasons)

    @property
    def waivable_codes(self) -> list[str]:
        """The codes of the rules that refuse the course and that a permission can waive, each once."""
        return list(dict.fromkeys(reason.code for reason in self.reasons if reason.code in waivable()))

    def allows(self, *actions: Action) -> bool:
        """Return whether one of these actions can be done."""
        return self.outcome == ELIGIBLE and self.action in actions

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as responses show it."""
        return {
            "course_id": self.course_id,
            "outcome": self.outcome,
            "reasons": [reason.as_dict() for reason in self.reasons],
        }


def with_rules_waived(situation: Situation) -> Situation:
    """Return the situation in which permissions waive, for each course, every rule that can be waived."""
    every = {(course_id, code) for course_id in situation.courses for code in waivable()}
    return replace(situation, permissions=situation.permissions | every)


def decide(
    situation: Situation,
    enrolling: Sequence[int],
    *,
    unenrolling: Sequence[int] = (),
    waitlist: bool = False,
    chosen_credits: Mapping[int, int] = NO_CREDITS,
    changes_credits: bool = False,
) -> list[Decision]:
    """Decide about each course in which to enroll, then about each course to unenroll from.

    `chosen_credits` are those that the student chooses, in hundredths, by course; with `changes_credits` also for
    courses in which the student is enrolled already.
    """
    actions: dict[int, Action | None] = {}
    for course_id, course in situation.courses.items():
        if course_id in unenrolling:
            actions[course_id] = "unenroll" if course.student_status in ALREADY else None
        elif course_id not in enrolling:
            actions[course_id] = None
        elif course.student_status not in ALREADY:
            actions[course_id] = "waitlist" if waitlist and not course.offers_seat else "enroll"
        else:
            has_others = (
                course.student_status == ENROLLED
                and chosen_credits.get(course_id, course.student_credits) != course.student_credits
            )
            actions[course_id] = "change_credits" if changes_credits and has_others else None
    changed = situation.with_actions(actions, chosen_credits)
    return [decide_one(changed, course_id) for course_id in (*enrolling, *unenrolling)]


def decide_one(situation: Situation, course_id: int) -> Decision:
    """Decide about the action of one course."""
    course = situation.courses.get(course_id)
    if course is None:
        return Decision(course_id, REFUSED, (UnknownCourse(),))
    has_term = course.term is not None
    # A student who chooses no credits gets the least with the seat, as they are then.
    is_default = course.action == "waitlist" and course.student_credits == course.least_credits
    if course.action is None:
        outcome = ALREADY.get(course.student_status, NOT_ENROLLED)
        return Decision(course_id, outcome, position=course.student_position, has_term=has_term)
    full = _reason_if_full(course, situation) if course.action in ("enroll", "waitlist") else None
    rule_reasons = reasons(course, situation)
    against = [*(rule_reasons if situation.rules_bind else ()), *filter(None, [full])]
    return Decision(
        course_id,
        REFUSED if against else ELIGIBLE,
        tuple(against),
        action=course.action,
        new_status=_new_status(course, situation),
        credits=None if is_default else course.student_credits or None,
        has_term=has_term,
        # Where something else refuses as well, promoting the students who wait would not help this one.
        seat_reserved=against == [full] and course.has_free_seat,
        notes=() if situation.rules_bind else tuple(rule_reasons),
    )


def _new_status(course: Course, situation: Situation) -> str:
    """Return the status that the student gets by the action."""
    if course.action == "unenroll":
        is_waived = not situation.rules_bind or (course.id, DropClosedRule.code) in situation.permissions
        return WITHDRAWN if is_withdrawal(course, situation) and not is_waived else UNENROLLED
    return WAITLISTED if course.action == "waitlist" else ENROLLED


def _reason_if_full(course: Course, situation: Situation) -> Reason | None:
    """Return the reason if the course has neither a seat nor, where one is wanted, a place on the waitlist."""
    if course.offers_seat or (course.action == "waitlist" and course.waitlist_has_room):
        return None
    if course.action == "waitlist" and course.waitlist_capacity:
        return WaitlistFull(capacity=course.capacity, waitlist_capacity=course.waitlist_capacity)
    is_over = course.term is not None and situation.now >= course.term.waitlists_close_at
    return CourseFull(capacity=course.capacity, waitlist_open=course.waitlist_has_room and not is_over)


def raise_if_refused(decisions: Sequence[Decision], refusal: type[Problem] = EnrollmentRefused) -> None:
    """Raise `refusal`, or `CourseNotFound`, with all of these decisions if any of them refuses its course."""
    refused = [decision for decision in decisions if decision.outcome == REFUSED]
    if refused:
        problem = CourseNotFound if any(decision.is_unknown for decision in refused) else refusal
        raise problem(decisions=[decision.as_dict() for decision in decisions])
