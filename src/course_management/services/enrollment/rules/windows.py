"""Registration windows of a term, and the end of its waitlists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..situation import Action, Course, Situation
from .base import Facts, Rule


class RegistrationClosedRule(Rule):
    """Students register while a window of the term is open for all students or for a group of theirs.

    A term without windows is closed to everybody. Unenrolling needs no window, nor does a promotion from the waitlist.
    """

    code, title = "registration_closed", "Registration closed"
    meaning = "No registration window of the term is open for the student."
    remedy = (
        "Register between `opens_at` and `closes_at`, the student's next window. If there is none, ask the registrar."
    )
    example: ClassVar[Facts] = {
        "term": "2026FA",
        "opens_at": "2026-08-17T13:00:00Z",
        "closes_at": "2026-09-05T05:00:00Z",
    }
    applies_to = frozenset[Action]({"enroll", "waitlist"})

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the term and the student's next window: null, and the end of the last one, if there is no next."""
        term = course.term
        assert term is not None
        windows = [each for each in term.windows if each.group_id is None or each.group_id in situation.group_ids]
        if any(each.opens_at <= situation.now < each.closes_at for each in windows):
            return
        coming = min(
            (each for each in windows if each.opens_at > situation.now), key=lambda each: each.opens_at, default=None
        )
        past = max((each.closes_at for each in windows), default=None)
        yield {
            "term": term.code,
            "opens_at": coming.opens_at if coming else None,
            "closes_at": coming.closes_at if coming else past,
        }


class WaitlistClosedRule(Rule):
    """Nobody joins a waitlist, or is promoted from it, after the end of the term's waitlists."""

    code, title = "waitlist_closed", "Waitlist closed"
    meaning = "The waitlists of the term are closed."
    remedy = "Choose a course with free seats, or ask the registrar."
    example: ClassVar[Facts] = {"closed_at": "2026-09-12T05:00:00Z"}
    applies_to = frozenset[Action]({"waitlist", "promote"})
    is_waivable = False

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield when the waitlists were closed."""
        assert course.term is not None
        if situation.now >= course.term.promote_until:
            yield {"closed_at": course.term.promote_until}
