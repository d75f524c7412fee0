"""Enrolling a student in one or several courses, all or nothing, safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from ...database import Raced, autocommit, db, retried
from ...models import ENROLLED, WAITLISTED
from .. import Context
from .decisions import ALREADY, Decision, explain, refuse
from .promotion import promote
from .statements import ENROLL, parameters


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one course: `enrolled`, `waitlisted`, `already_enrolled` or `already_waitlisted`.

    `position` is the place in the queue, from 1, for those who wait.
    """

    course_id: int
    outcome: str
    position: int | None = None


@retried(repeatable=True)
def enroll(student_id: int, course_ids: Sequence[int], *, waitlist: bool, context: Context) -> list[Outcome]:
    """Enroll the student in all of `course_ids` (distinct); one statement when every seat is there.

    With `waitlist`, a place in the queue is taken where a course is full. Returns an outcome for each course, in
    the order asked. Raises `StudentNotFound`, `CourseNotFound` or `EnrollmentRefused`; then nothing has changed.
    """
    try:
        rows = autocommit(
            ENROLL[db.engine.dialect.name], parameters(student_id, course_ids, context, waitlist=waitlist)
        )
        changed = {row.course_id: row.status for row in rows}
    except IntegrityError:
        # A student or course that is not there, or a race that a constraint decided: look what is true.
        changed = {}
    if len(changed) == len(course_ids) and WAITLISTED not in changed.values():
        return [Outcome(course_id, ENROLLED) for course_id in course_ids]
    queued = [course_id for course_id, status in changed.items() if status == WAITLISTED]
    if queued:
        # The seat this student is now waiting for may have been freed since the statement began.
        promote(queued, context)
    decisions = explain(autocommit, student_id, course_ids, waitlist=waitlist)
    if changed:
        return [_outcome(each, changed.get(each.course_id)) for each in decisions]
    unclaimed = [each.course_id for each in decisions if each.seat_unclaimed]
    if unclaimed and promote(unclaimed, context):
        raise Raced  # the seats have their owners now: decide again
    refuse(decisions)
    if any(each.outcome == "eligible" for each in decisions):
        raise Raced  # what stood in the way is gone, or the statement met a race
    return [Outcome(each.course_id, each.outcome, each.position) for each in decisions]


def _outcome(found: Decision, status: str | None) -> Outcome:
    """What to answer about one course of a request that was applied.

    `status` is what the statement made of it, None where it was held already; `found` is how it stands a moment
    later: promoted from the queue since, or left again by another request, which is that request's affair.
    """
    if status is None:
        held = found.outcome if found.outcome in ALREADY.values() else ALREADY[ENROLLED]
        return Outcome(found.course_id, held, found.position)
    if found.outcome == ALREADY[ENROLLED]:
        status = ENROLLED
    return Outcome(found.course_id, status, found.position)
