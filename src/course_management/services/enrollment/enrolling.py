"""Enroll a student in one or several courses, all or nothing; safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
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
    """The outcome for one course: `enrolled`, `waitlisted`, `already_enrolled` or `already_waitlisted`.

    `position` is the position on the waitlist, from 1; None without one.
    """

    course_id: int
    outcome: str
    position: int | None = None


def enroll(student_id: int, course_ids: Sequence[int], *, waitlist: bool, context: RequestContext) -> list[Outcome]:
    """Enroll the student in all of `course_ids` (distinct): one statement if every course has a seat.

    With `waitlist`, the student joins the waitlist of each course that is full. Returns an outcome for each course, in
    the order of `course_ids`. Raises `StudentNotFound`, `CourseNotFound` or `EnrollmentRefused`; then nothing has
    changed.
    """
    changed = _apply(student_id, course_ids, waitlist, context)
    if isinstance(changed, list):
        return [Outcome(each.course_id, each.outcome, each.position) for each in changed]
    if len(changed) == len(course_ids) and WAITLISTED not in changed.values():
        return [Outcome(course_id, ENROLLED) for course_id in course_ids]
    # A seat may have become free since the statement began, and the student now waits for it.
    promote([course_id for course_id, status in changed.items() if status == WAITLISTED], context)
    now: dict[int, Decision] = {}
    # The enrollment is committed. If the database fails now, or the student was deleted, only the positions are
    # missing.
    with suppress(SQLAlchemyError, StudentNotFound):
        now = {each.course_id: each for each in explain(autocommit, student_id, course_ids, waitlist=waitlist)}
    return [_outcome(course_id, changed.get(course_id), now.get(course_id)) for course_id in course_ids]


@retried(repeatable=True)
def _apply(
    student_id: int, course_ids: Sequence[int], waitlist: bool, context: RequestContext
) -> dict[int, str] | list[Decision]:
    """Run the statement. Return the status of each change, or the decisions if nothing changed. Raises the refusals."""
    engine = db.engine
    refused = _refused_lately.get(engine)
    if refused and refused.intersects(course_ids, waitlist):
        decisions = _explain_or_refuse(student_id, course_ids, waitlist, context)
        if all(each.outcome in ALREADY.values() for each in decisions):
            return decisions
    clash = None
    try:
        rows = autocommit(ENROLL[engine.dialect.name], parameters(student_id, course_ids, context, waitlist=waitlist))
        if rows:
            return {row.course_id: row.status for row in rows}
    except IntegrityError as error:
        if sequences.without_ids(error):
            raise  # the ledger got no id for its line; trying again would not help
        # The student or a course does not exist, or a constraint decided a race: read the present state.
        clash = error
    decisions = _explain_or_refuse(student_id, course_ids, waitlist, context)
    if any(each.outcome == "eligible" for each in decisions):
        raise Raced from clash  # by now no course refuses: the cause is gone, or the statement lost a race
    return decisions


def _explain_or_refuse(
    student_id: int, course_ids: Sequence[int], waitlist: bool, context: RequestContext
) -> list[Decision]:
    """Decide about each course. Raises the refusals, and `Raced` if it promoted the students who were ahead."""
    decisions = explain(autocommit, student_id, course_ids, waitlist=waitlist)
    _refused_lately.setdefault(db.engine, RefusedLately()).note(decisions, waitlist)
    unclaimed = [each.course_id for each in decisions if each.seat_reserved]
    # While students still wait beside the seat, the refusal is true: it is reserved for them.
    if unclaimed and not promote(unclaimed, context).pending:
        raise Raced
    refuse(decisions)
    return decisions


class RefusedLately:
    """Courses that refused when this process last read them.

    It only chooses the order of two statements and never decides: while many students try to enroll in a full course,
    the query that explains the refusal runs first, and the statement that would change nothing is not sent.
    """

    SIZE = 10_000

    def __init__(self) -> None:
        self._seen: set[tuple[int, bool]] = set()

    def intersects(self, course_ids: Sequence[int], waitlist: bool) -> bool:
        """Return whether one of these courses refused lately, with the same `waitlist`."""
        return any((course_id, waitlist) in self._seen for course_id in course_ids)

    def note(self, decisions: Sequence[Decision], waitlist: bool) -> None:
        """Remember which courses refuse now; forget all of them beyond `SIZE`."""
        for each in decisions:
            if each.outcome == "refused" and not each.is_unknown:
                self._seen.add((each.course_id, waitlist))
            else:
                self._seen.discard((each.course_id, waitlist))
        if len(self._seen) > self.SIZE:
            self._seen.clear()


_refused_lately: WeakKeyDictionary[Engine, RefusedLately] = WeakKeyDictionary()
"""By database. Threads that note the first refusals at the same moment may lose one of the guesses, and no more."""


def _outcome(course_id: int, status: str | None, now: Decision | None) -> Outcome:
    """Return the outcome for one course of a request that was applied.

    `status` is the status that the statement wrote, None if the student was enrolled or waitlisted already. `now` is
    the decision a moment later, if it could be read: the student may have been promoted since. If another request has
    unenrolled the student since, the outcome is that of this request.
    """
    held = now.outcome if now and now.outcome in ALREADY.values() else None
    if status is None:
        status = held or ALREADY[ENROLLED]
    elif held == ALREADY[ENROLLED]:
        status = ENROLLED
    return Outcome(course_id, status, now.position if now else None)
