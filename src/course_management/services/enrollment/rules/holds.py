"""Holds: blocks that the registrar places on a student."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..situation import Course, Situation
from .base import JOINING, Facts, Rule, RuleGuide


class HoldRule(Rule):
    """A student with a hold cannot register until the office that placed it releases it.

    A hold blocks registering (enrolling, joining a waitlist, being promoted from it), unenrolling, or both. The student
    sees its kind and whom to contact; the note is for the staff. A hold is released, never waived.
    """

    code, title = "hold", "Hold"
    meaning = "A hold blocks this for the student."
    remedy = "Contact the office that is named in `contact`; it can release the hold."
    example: ClassVar[Facts] = {"kinds": ["library"], "contact": "library@example.edu"}
    guide = RuleGuide(
        section="holds",
        resolution="the office in `contact` releases it",
        data="holds",
        facts={"kinds": "of the holds in force", "contact": "where they are released"},
    )
    applies_to = JOINING | {"unenroll"}
    is_waivable = False

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the kinds and contacts of the holds that block the action."""
        blocked = "unenroll" if course.action == "unenroll" else "enroll"
        holds = [hold for hold in situation.holds if hold.blocks in {blocked, "both"}]
        if holds:
            yield {
                "kinds": sorted({hold.kind for hold in holds}),
                "contact": "; ".join(dict.fromkeys(hold.contact for hold in holds)),
            }
