"""The dates of a term: registration windows, and the end of its waitlists and of dropping courses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ....models import ENROLLED
from ..situation import Action, Course, Situation
from .base import Facts, Rule, RuleGuide


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
    guide = RuleGuide(
        section="terms-and-windows",
        resolution="wait until `opens_at`, or open a window",
        data="terms, windows, members",
        facts={
            "term": "its code",
            "opens_at": "of the student's next window, or null",
            "closes_at": "of the next window, else of the last one, else null",
        },
    )
    applies_to = frozenset[Action]({"enroll", "waitlist"})

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the term and the student's next window: null, and the end of the last one, if there is no next."""
        term = course.term
        assert term is not None
        windows = [
            window for window in term.windows if window.group_id is None or window.group_id in situation.group_ids
        ]
        if any(window.opens_at <= situation.now < window.closes_at for window in windows):
            return
        coming = min(
            (window for window in windows if window.opens_at > situation.now),
            key=lambda window: window.opens_at,
            default=None,
        )
        past = max((window.closes_at for window in windows), default=None)
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
    guide = RuleGuide(
        section="waitlists",
        resolution="move `promote_until` of the term",
        data="terms",
        facts={"closed_at": "since when"},
    )
    applies_to = frozenset[Action]({"waitlist", "promote"})
    is_waivable = False

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield when the waitlists were closed."""
        assert course.term is not None
        if situation.now >= course.term.waitlists_close_at:
            yield {"closed_at": course.term.waitlists_close_at}


class DropClosedRule(Rule):
    """Students drop courses until the drop deadline of the term, and may then withdraw until the withdrawal deadline.

    A student who withdraws keeps a trace in the record, the status `withdrawn`. A waitlist can be left at any time.
    """

    code, title = "drop_closed", "Drop closed"
    meaning = "The deadlines for dropping courses of the term and for withdrawing from them have passed."
    remedy = "Ask the registrar."
    example: ClassVar[Facts] = {"closed_at": "2026-09-15T22:00:00Z", "withdraw_until": "2026-11-15T23:00:00Z"}
    guide = RuleGuide(
        section="leaving-courses",
        resolution="move `drop_until` or `withdraw_until` of the term",
        data="terms",
        facts={"closed_at": "the end of dropping", "withdraw_until": "the end of withdrawing, or null"},
    )
    applies_to = frozenset[Action]({"unenroll"})

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the end of dropping and that of withdrawing, if both are over."""
        term = course.term
        assert term is not None
        if (
            course.student_status == ENROLLED
            and situation.now >= term.drops_close_at
            and not is_withdrawal(course, situation)
        ):
            yield {"closed_at": term.drops_close_at, "withdraw_until": term.withdraw_until}


def is_withdrawal(course: Course, situation: Situation) -> bool:
    """Return whether a student who unenrolls withdraws: dropping is over, and withdrawing is not."""
    term = course.term
    if term is None or course.student_status != ENROLLED or situation.now < term.drops_close_at:
        return False
    return term.withdraw_until is not None and situation.now < term.withdraw_until
