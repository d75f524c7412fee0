"""Replace all enrollments of a student, in one transaction."""

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
from .statements import ENROLL, HELD_ENROLLMENTS, LOCK_COURSES, LOCK_STUDENT, UNENROLL, parameters


@dataclass(frozen=True, slots=True)
class Replacement:
    """Course ids by outcome, in the order of the request; `unenrolled` ascending."""

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
    """Replace the courses of the student by exactly `course_ids` (distinct; may be empty), all or nothing.

    `dry_run` decides the same way and changes nothing. `precondition` is called with rows of `course_id, status,
    revision`: the courses in which the student is enrolled or waitlisted. Raises what `enroll` raises.
    """

    def work() -> Replacement:
        found = _replace(student_id, course_ids, waitlist, context, precondition, dry_run)
        if isinstance(found, Replacement):
            return found
        unclaimed = [each.course_id for each in found if each.seat_reserved]
        # While students still wait beside the seat, the refusal is true: it is reserved for them.
        if unclaimed and not dry_run and not promote(unclaimed, context).pending:
            raise Raced
        refuse(found)
        raise Raced  # by now, no course refuses

    done = retry(work, repeatable=precondition is None)
    if not dry_run:
        promote([*done.unenrolled, *done.waitlisted], context)
    return done


def _replace(
    student_id: int,
    course_ids: Sequence[int],
    waitlist: bool,
    context: RequestContext,
    precondition: Precondition | None,
    dry_run: bool,
) -> Replacement | list[Decision]:
    """Try once. If a course refuses, roll back and return the decisions."""
    with transaction() as connection:
        held = _lock(connection, student_id, course_ids)
        if precondition:
            precondition(held)
        before = {row.course_id for row in held}
        removed = sorted(before.difference(course_ids))
        new = [course_id for course_id in course_ids if course_id not in before]
        if removed:
            run(connection, UNENROLL[connection.dialect.name], parameters(student_id, removed, context))
        added = _enroll(connection, student_id, new, context, waitlist=waitlist) if new else {}
        if len(added) < len(new):
            decisions = explain(functools.partial(run, connection), student_id, course_ids, waitlist=waitlist)
            connection.rollback()
            return decisions
        if dry_run:
            connection.rollback()
    return Replacement(
        enrolled=[each for each in course_ids if added.get(each) == ENROLLED],
        waitlisted=[each for each in course_ids if added.get(each) == WAITLISTED],
        unenrolled=removed,
        kept=[each for each in course_ids if each in before],
    )


def _lock(connection: Connection, student_id: int, course_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Lock the old and the new courses, ascending by id, then the student. Return the enrollments, which are final.

    Replacements of one student wait for each other here. Otherwise two could both apply to the old courses.
    """
    seen = run(connection, HELD_ENROLLMENTS, {"student": student_id})
    locking = {*course_ids, *(row.course_id for row in seen)}
    run(connection, LOCK_COURSES, {"course_ids": sorted(locking)})
    if not run(connection, LOCK_STUDENT, {"student": student_id}):
        raise StudentNotFound
    held = run(connection, HELD_ENROLLMENTS, {"student": student_id})
    if not locking.issuperset(row.course_id for row in held):
        raise Raced  # the student was enrolled in another course meanwhile; locking it now would break the order
    return held


def _enroll(
    connection: Connection, student_id: int, course_ids: Sequence[int], context: RequestContext, *, waitlist: bool
) -> dict[int, str]:
    values = parameters(student_id, course_ids, context, waitlist=waitlist)
    rows = run(connection, ENROLL[connection.dialect.name], values)
    return {row.course_id: row.status for row in rows}
