"""Enrolling a student in one or several courses, all or nothing, safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from flask import current_app
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ...context import RequestContext
from ...database import Raced, autocommit, db, retried, sequences
from ...errors import StudentNotFound
from ...models import ENROLLED, WAITLISTED
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


def enroll(student_id: int, course_ids: Sequence[int], *, waitlist: bool, context: RequestContext) -> list[Outcome]:
    """Enroll the student in all of `course_ids` (distinct); one statement when every seat is there.

    With `waitlist`, a place in the queue is taken where a course is full. Returns an outcome for each course, in
    the order asked. Raises `StudentNotFound`, `CourseNotFound` or `EnrollmentRefused`; then nothing has changed.
    """
    changed = _apply(student_id, course_ids, waitlist, context)
    if isinstance(changed, list):
        return [Outcome(each.course_id, each.outcome, each.position) for each in changed]
    if len(changed) == len(course_ids) and WAITLISTED not in changed.values():
        return [Outcome(course_id, ENROLLED) for course_id in course_ids]
    # The seat this student is now waiting for may have been freed since the statement began.
    promote([course_id for course_id, status in changed.items() if status == WAITLISTED], context)
    now: dict[int, Decision] = {}
    # It is committed, whatever became of the database or the student since; only the positions may stay untold.
    with suppress(SQLAlchemyError, StudentNotFound):
        now = {each.course_id: each for each in explain(autocommit, student_id, course_ids, waitlist=waitlist)}
    return [_outcome(course_id, changed.get(course_id), now.get(course_id)) for course_id in course_ids]


@retried(repeatable=True)
def _apply(
    student_id: int, course_ids: Sequence[int], waitlist: bool, context: RequestContext
) -> dict[int, str] | list[Decision]:
    """Run the statement: what it changed; or, when all was so already, how it stands. Raises the refusals."""
    if _refused_lately().intersects(course_ids, waitlist):
        decisions = _look(student_id, course_ids, waitlist, context)
        if all(each.outcome in ALREADY.values() for each in decisions):
            return decisions
    clash = None
    try:
        rows = autocommit(
            ENROLL[db.engine.dialect.name], parameters(student_id, course_ids, context, waitlist=waitlist)
        )
        if rows:
            return {row.course_id: row.status for row in rows}
    except IntegrityError as error:
        if sequences.without_ids(error):
            raise  # the ledger got no id for its line; trying again would not help
        # A student or course that is not there, or a race that a constraint decided: look what is true.
        clash = error
    decisions = _look(student_id, course_ids, waitlist, context)
    if any(each.outcome == "eligible" for each in decisions):
        raise Raced from clash  # what stood in the way is gone, or the statement met a race
    return decisions


def _look(student_id: int, course_ids: Sequence[int], waitlist: bool, context: RequestContext) -> list[Decision]:
    """How each course stands. Raises the refusals, and `Raced` when a waitlist was promoted that stood in the way."""
    decisions = explain(autocommit, student_id, course_ids, waitlist=waitlist)
    _refused_lately().note(decisions, waitlist)
    unclaimed = [each.course_id for each in decisions if each.seat_unclaimed]
    # While students still wait beside the seat, the refusal is true: it is reserved for them.
    if unclaimed and not promote(unclaimed, context).pending:
        raise Raced
    refuse(decisions)
    return decisions


class RefusedLately:
    """Courses that refused when this process last looked.

    A guess at what comes first, never an answer: while students storm a course that is full, the one query that
    explains a refusal goes before the statement that would change nothing, and is all that is sent.
    """

    SIZE = 10_000

    def __init__(self) -> None:
        self._seen: set[tuple[int, bool]] = set()

    def intersects(self, course_ids: Sequence[int], waitlist: bool) -> bool:
        """Whether any of them is among these, asked with or without `waitlist` as it was then."""
        return any((course_id, waitlist) in self._seen for course_id in course_ids)

    def note(self, decisions: Sequence[Decision], waitlist: bool) -> None:
        """Remember what was seen now, and at most as much as `SIZE`."""
        for each in decisions:
            if each.outcome == "refused" and not each.is_unknown:
                self._seen.add((each.course_id, waitlist))
            else:
                self._seen.discard((each.course_id, waitlist))
        if len(self._seen) > self.SIZE:
            self._seen.clear()


def _refused_lately() -> RefusedLately:
    extensions = current_app.extensions
    if "refused_lately" not in extensions:
        extensions["refused_lately"] = RefusedLately()
    found: RefusedLately = extensions["refused_lately"]
    return found


def _outcome(course_id: int, status: str | None, now: Decision | None) -> Outcome:
    """What to answer about one course of a request that was applied.

    `status` is what the statement made of it, None where it was held already; `now` is how it stands a moment
    later, if that is known: promoted from the queue since, or left again by another request, which is that
    request's affair.
    """
    held = now.outcome if now and now.outcome in ALREADY.values() else None
    if status is None:
        status = held or ALREADY[ENROLLED]
    elif held == ALREADY[ENROLLED]:
        status = ENROLLED
    return Outcome(course_id, status, now.position if now else None)
