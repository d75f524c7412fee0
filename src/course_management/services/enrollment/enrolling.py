"""Enroll a student in one or several courses, all or nothing; safe to repeat.

Courses without a term: one statement decides and applies. Courses with a term: the situation is loaded, the rules are
asked, and one statement takes what was decided if it is still true. If it is not, the second attempt does the same
under the locks of the courses and the student, where nothing can change.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ...context import RequestContext
from ...database import Raced, autocommit, db, retried, run, sequences, transaction
from ...errors import StudentNotFound
from ...models import ENROLLED, WAITLISTED
from .decided_seats import TAKE_DECIDED, decided_parameters
from .decisions import ALREADY, REFUSED, Decision, decide, refuse, waived
from .loading import Execute, load, look
from .memory import memory_of
from .promotion import promote
from .situation import Situation
from .statements import ENROLL, LOCK_COURSES, LOCK_STUDENT, parameters

Grant = Callable[[int, str], object]
"""Grants a permission, in the present transaction: for the id of a course, and the code of a rule."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for one course: `enrolled`, `waitlisted`, `already_enrolled` or `already_waitlisted`.

    `position` is the position on the waitlist, from 1; None without one.
    """

    course_id: int
    outcome: str
    position: int | None = None


class EnrollRequest(NamedTuple):
    """A request to enroll one student in `course_ids`, which are distinct. The ledger keeps `reason`."""

    student_id: int
    course_ids: Sequence[int]
    waitlist: bool
    reason: str | None
    context: RequestContext

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the statements."""
        return parameters(self.student_id, self.course_ids, self.context, waitlist=self.waitlist, reason=self.reason)


Applied = dict[int, str] | list[Decision]
"""The status of each change or, if nothing was changed, the decisions."""


def enroll(
    student_id: int,
    course_ids: Sequence[int],
    *,
    waitlist: bool,
    context: RequestContext,
    reason: str | None = None,
) -> list[Outcome]:
    """Enroll the student in all of `course_ids` (distinct), as the rules of their terms allow.

    With `waitlist`, the student joins the waitlist of each course that is full. The ledger keeps `reason`. Returns an
    outcome for each course, in the order of `course_ids`. Raises `StudentNotFound`, `CourseNotFound` or
    `EnrollmentRefused`; then nothing has changed.
    """
    request = EnrollRequest(student_id, course_ids, waitlist, reason, context)
    return outcomes(request, _apply(request))


def outcomes(request: EnrollRequest, changed: Applied) -> list[Outcome]:
    """Return the outcomes of a request that was applied, after promoting where the student joined a waitlist."""
    student_id, course_ids, waitlist, _, context = request
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
        now = {each.course_id: each for each in explain(student_id, course_ids, waitlist=waitlist, context=context)}
    return [_outcome(course_id, changed.get(course_id), now.get(course_id)) for course_id in course_ids]


def explain(
    student_id: int, course_ids: Sequence[int], *, waitlist: bool, context: RequestContext, permit: bool = False
) -> list[Decision]:
    """Decide about enrolling in each course; lock and change nothing. Raises `StudentNotFound`.

    With `permit`, decide as if a permission waived each rule that can be waived.
    """
    situation = situation_of(autocommit, student_id, course_ids, context)
    return decide(waived(situation) if permit else situation, course_ids, waitlist=waitlist)


def situation_of(execute: Execute, student_id: int, course_ids: Sequence[int], context: RequestContext) -> Situation:
    """Return the situation of the student, by the cheapest query that has all that the rules of these courses need."""
    engine = db.engine
    found = None if memory_of(engine).has_term(course_ids) else look(execute, student_id, course_ids)
    return found or load(execute, engine.dialect.name, student_id, course_ids, context.time_zone)


@retried(repeatable=True)
def _apply(request: EnrollRequest) -> Applied:
    """Apply the request, unless nothing has to change. Raises the refusals."""
    student_id, course_ids, waitlist, _, context = request
    memory = memory_of(db.engine)
    explains_first = memory.explains_first(course_ids, waitlist=waitlist)
    changed, clash = ({}, None) if explains_first else _enroll_without_rules(request)
    if changed:
        return changed
    situation = situation_of(autocommit, student_id, course_ids, context)
    decisions = decide(situation, course_ids, waitlist=waitlist)
    memory.note(decisions, waitlist=waitlist)
    promote_ahead(decisions, context)
    refuse(decisions)
    if all(each.is_already for each in decisions):
        return decisions
    if situation.has_rules:
        return _take_without_locks(request, situation, decisions) or _decide_under_locks(request)
    if explains_first:
        changed, clash = _enroll_without_rules(request)
    if not changed:
        raise Raced from clash  # no course refused: the cause is gone, or the statement lost a race
    return changed


def _enroll_without_rules(request: EnrollRequest) -> tuple[dict[int, str], IntegrityError | None]:
    """Run the statement for courses without a term. Return what it changed, or the constraint that refused it."""
    try:
        rows = autocommit(ENROLL[db.engine.dialect.name], request.parameters())
    except IntegrityError as error:
        if sequences.without_ids(error):
            raise  # the ledger got no id for its line; trying again would not help
        # The student or a course does not exist, or a constraint decided a race: read the present state.
        return {}, error
    return {row.course_id: row.status for row in rows}, None


def _take_without_locks(request: EnrollRequest, situation: Situation, decisions: Sequence[Decision]) -> dict[int, str]:
    try:
        return _take(autocommit, request, situation, decisions)
    except IntegrityError as error:
        if sequences.without_ids(error):
            raise
        return {}  # the student has left a course without a term meanwhile, or something was deleted


def _take(
    execute: Execute, request: EnrollRequest, situation: Situation, decisions: Sequence[Decision]
) -> dict[int, str]:
    """Take what was decided, if it is still true. Return the status of each change; empty if nothing changed."""
    values = decided_parameters(situation, decisions, request.context, reason=request.reason)
    return {row.course_id: row.status for row in execute(TAKE_DECIDED[db.engine.dialect.name], values)}


def _decide_under_locks(request: EnrollRequest) -> Applied:
    """Lock the courses and the student, then load, ask and take: nothing changes in between.

    Not a loop of attempts without locks: sixteen clients of one student needed up to 21 of them.
    """
    with transaction() as connection:
        found = take_under_locks(functools.partial(run, connection), request)
    return settled(found, request.context)


def take_under_locks(execute: Execute, request: EnrollRequest, grant: Grant | None = None) -> Applied:
    """Lock, load, ask and take in the transaction of `execute`. `settled` ends the attempt after the commit.

    With `grant`, rules that can be waived do not refuse: unless something else does, it is called for each of them
    before the seats are taken. Raises `StudentNotFound`, and `Raced` if a course without a term got one.
    """
    student_id, course_ids, waitlist, _, context = request
    lock(execute, student_id, course_ids)
    situation = load(execute, db.engine.dialect.name, student_id, course_ids, context.time_zone)
    decisions = decide(waived(situation) if grant else situation, course_ids, waitlist=waitlist)
    if any(each.outcome == REFUSED for each in decisions) or all(each.is_already for each in decisions):
        return decisions
    if grant:
        for each in decide(situation, course_ids, waitlist=waitlist):
            for code in each.waivable:
                grant(each.course_id, code)
    if taken := _take(execute, request, situation, decisions):
        return taken
    raise Raced


def settled(found: Applied, context: RequestContext) -> Applied:
    """Return what `take_under_locks` has applied, or that nothing has to change. Raises the refusals, or `Raced`."""
    if isinstance(found, dict) or all(each.is_already for each in found):
        return found
    promote_ahead(found, context)
    refuse(found)
    raise Raced


def lock(execute: Execute, student_id: int, course_ids: Sequence[int]) -> None:
    """Lock the courses, ascending by id, then the student. Raises `StudentNotFound`."""
    execute(LOCK_COURSES, {"course_ids": sorted(course_ids)})
    if not execute(LOCK_STUDENT, {"student": student_id}):
        raise StudentNotFound


def promote_ahead(decisions: Sequence[Decision], context: RequestContext) -> None:
    """Give free seats to the students who wait for them. Raises `Raced` if none is left waiting beside a free seat."""
    unclaimed = [each.course_id for each in decisions if each.seat_reserved]
    # While students still wait beside the seat, the refusal is true: it is reserved for them.
    if unclaimed and not promote(unclaimed, context).pending:
        raise Raced


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
