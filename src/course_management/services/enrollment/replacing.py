"""Making a student hold exactly the courses asked for, in one transaction."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ...context import RequestContext
from ...database import AnyRow, Raced, retry, run, transaction
from ...errors import StudentNotFound
from ...models import ENROLLED, WAITLISTED
from .. import Precondition
from .decisions import Decision, explain, refuse
from .promotion import promote
from .statements import ENROLL, HOLDINGS, LOCK_COURSES, LOCK_STUDENT, UNENROLL, parameters


@dataclass(frozen=True, slots=True)
class Replacement:
    """Course ids by what became of them, each list in the order asked, `unenrolled` by id."""

    enrolled: list[int]
    waitlisted: list[int]
    unenrolled: list[int]
    kept: list[int]


def replace(
    student_id: int,
    course_ids: Sequence[int],
    *,
    waitlist: bool,
    context: RequestContext,
    precondition: Precondition | None = None,
    dry_run: bool = False,
) -> Replacement:
    """Afterwards the student holds exactly `course_ids` (distinct, none allowed). All or nothing.

    `dry_run` decides the same way and changes nothing. `precondition` is called with the rows
    `course_id, status, revision` of what the student holds. Raises what `enroll` raises.
    """

    def work() -> Replacement:
        found = _replace(student_id, course_ids, waitlist, context, precondition, dry_run)
        if isinstance(found, Replacement):
            return found
        unclaimed = [each.course_id for each in found if each.seat_unclaimed]
        # While students still wait beside the seat, the refusal is true: it is reserved for them.
        if unclaimed and not dry_run and not promote(unclaimed, context).pending:
            raise Raced
        refuse(found)
        raise Raced  # all could be had after all

    done = retry(work, repeatable=precondition is None)
    if not dry_run:
        promote([*done.unenrolled, *done.waitlisted], context)
    return done


def _replace(
    student_id: int,
    asked: Sequence[int],
    waitlist: bool,
    context: RequestContext,
    precondition: Precondition | None,
    dry_run: bool,
) -> Replacement | list[Decision]:
    """One try. The decisions, with everything rolled back, when a course cannot be had."""
    with transaction() as connection:
        # Two replacements of one student wait for each other here; else both could apply, each on the old set.
        if not run(connection, LOCK_STUDENT, {"student": student_id}):
            raise StudentNotFound
        held = _lock(connection, student_id, asked)
        if precondition:
            precondition(held)
        before = {row.course_id for row in held}
        leaving = sorted(before.difference(asked))
        joining = [course_id for course_id in asked if course_id not in before]
        if leaving:
            run(connection, UNENROLL[connection.dialect.name], parameters(student_id, leaving, context))
        joined = _enroll(connection, student_id, joining, context, waitlist=waitlist) if joining else {}
        if len(joined) < len(joining):
            decisions = explain(functools.partial(run, connection), student_id, asked, waitlist=waitlist)
            connection.rollback()
            return decisions
        if dry_run:
            connection.rollback()
    return Replacement(
        enrolled=[each for each in asked if joined.get(each) == ENROLLED],
        waitlisted=[each for each in asked if joined.get(each) == WAITLISTED],
        unenrolled=leaving,
        kept=[each for each in asked if each in before],
    )


def _lock(connection: Connection, student_id: int, asked: Sequence[int]) -> Sequence[AnyRow]:
    """Lock the courses of both sets, old and new, in the one order; what the student holds then is settled."""
    seen = run(connection, HOLDINGS, {"student": student_id})
    locking = {*asked, *(row.course_id for row in seen)}
    run(connection, LOCK_COURSES, {"course_ids": sorted(locking)})
    held = run(connection, HOLDINGS, {"student": student_id})
    if not locking.issuperset(row.course_id for row in held):
        raise Raced  # enrolled in one more meanwhile; locking it now would break the order
    return held


def _enroll(
    connection: Connection, student_id: int, joining: Sequence[int], context: RequestContext, *, waitlist: bool
) -> dict[int, str]:
    values = parameters(student_id, joining, context, waitlist=waitlist)
    rows = run(connection, ENROLL[connection.dialect.name], values)
    return {row.course_id: row.status for row in rows}
