"""A request to enroll or unenroll one student, and what the statements need of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from ...context import RequestContext
from ...models import ENROLLED, WAITLISTED, WITHDRAWN
from .decisions import Decision, decide
from .situation import Situation


@dataclass(frozen=True, slots=True)
class EnrollmentRequest:
    """A request to enroll one student in `course_ids` and unenroll from `instead_of`; the ids are distinct.

    `chosen_credits` are those that the student chooses, in hundredths, by course; `changes_credits` says that they are
    also meant for courses in which the student is enrolled already. `ledger_reason` is what the staff gives as the
    reason, for the ledger. Unless `rules_bind`, the rules of registration refuse nothing: what they would have said is
    in `Decision.notes`.
    """

    student_id: int
    course_ids: Sequence[int]
    _: KW_ONLY
    context: RequestContext
    waitlist: bool = False
    ledger_reason: str | None = None
    chosen_credits: Mapping[int, int] = field(default_factory=dict)
    changes_credits: bool = False
    instead_of: Sequence[int] = ()
    rules_bind: bool = True

    def decide(self, situation: Situation) -> list[Decision]:
        """Decide about the courses to enroll in, then about those to unenroll from."""
        return decide(
            situation if self.rules_bind else replace(situation, rules_bind=False),
            self.course_ids,
            unenrolling=self.instead_of,
            waitlist=self.waitlist,
            chosen_credits=self.chosen_credits,
            changes_credits=self.changes_credits,
        )

    def parameters(self, course_ids: Sequence[int]) -> dict[str, Any]:
        """Return the parameters of the statements that only look at seats, for some of the courses."""
        return {
            "student": self.student_id,
            "course_ids": course_ids,
            "requested": len(course_ids),
            "waitlist": self.waitlist,
            "withdrawn": [],
            "now": datetime.now(UTC),
            "by_actor": self.context.caller.actor,
            "by_request": self.context.request_id,
            "by_reason": self.ledger_reason,
        }

    def decided_parameters(self, situation: Situation, decisions: Sequence[Decision]) -> dict[str, Any]:
        """Return the parameters of the statements that apply these decisions, which refuse no course."""

        def ids_to_become(status: str) -> list[int]:
            return [decision.course_id for decision in decisions if decision.new_status == status]

        credits_by_id = {
            str(decision.course_id): decision.credits for decision in decisions if decision.credits is not None
        }
        return {
            **self.parameters([decision.course_id for decision in decisions]),
            "seat_course_ids": ids_to_become(ENROLLED),
            "place_course_ids": ids_to_become(WAITLISTED),
            "withdrawn": ids_to_become(WITHDRAWN),
            "without_term": [decision.course_id for decision in decisions if not decision.has_term],
            "credits_by_course": orjson.dumps(credits_by_id).decode(),
            "judged_revision": situation.schedule_revision,
        }
