"""Replace all enrollments of a student, in one transaction."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from ...context import RequestContext
from ...database import AnyRow, Raced, db, retry, run, transaction
from ...errors import StudentNotFound
from ...models import ENROLLED, WAITLISTED
from .. import Precondition
from .decided_seats import TAKE_DECIDED, decided_parameters
from .decisions import REFUSED, Decision, decide, decide_leaving, refuse
from .enrolling import promote_ahead, situation_of
from .loading import Execute
from .promotion import promote
from .statements import CLEAR_MARKS, ENROLL, HELD_ENROLLMENTS, LOCK_COURSES, LOCK_STUDENT, UNENROLL, parameters


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
        if not dry_run:
            promote_ahead(found, context)
        refuse(found)
        raise Raced  # by now, no course refuses

    done = retry(work, repeatable=precondition is None)
    if not dry_run:
        promote([*done.unenrolled, *done.waitlisted, *done.kept], context)
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
        execute: Execute = functools.partial(run, connection)
        held, with_term = _lock(execute, student_id, course_ids)
        if precondition:
            precondition(held)
        before = {row.course_id for row in held}
        removed = sorted(before.difference(course_ids))
        new = [course_id for course_id in course_ids if course_id not in before]
        by_rules = not with_term.isdisjoint([*removed, *new])
        leaving: list[Decision] = []
        if removed:
            if by_rules:
                leaving = decide_leaving(situation_of(execute, student_id, removed, context), removed)
            values = parameters(student_id, removed, context) | {"by_rules": by_rules}
            execute(UNENROLL[connection.dialect.name], values)
            if by_rules:  # what stopped the student's promotions may have been one of these courses
                execute(CLEAR_MARKS, {"student": student_id, "course_ids": sorted(before)})
        # From here on, the transaction sees the student without the removed courses.
        added, decisions = _add(execute, student_id, new, context, waitlist=waitlist, by_rules=by_rules)
        if decisions or any(each.outcome == REFUSED for each in leaving):
            situation = situation_of(execute, student_id, course_ids, context)
            decisions = [*decide(situation, course_ids, waitlist=waitlist), *leaving]
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


def _lock(execute: Execute, student_id: int, course_ids: Sequence[int]) -> tuple[Sequence[AnyRow], set[int]]:
    """Lock the old and the new courses, ascending by id, then the student, so that nobody changes the enrollments.

    Returns the enrollments, and the ids of the courses with a term. Raises `StudentNotFound`.
    """
    seen = execute(HELD_ENROLLMENTS, {"student": student_id})
    locking = {*course_ids, *(row.course_id for row in seen)}
    locked = execute(LOCK_COURSES, {"course_ids": sorted(locking)})
    # Replacements of one student wait for each other here. Otherwise two could both apply to the old courses.
    if not execute(LOCK_STUDENT, {"student": student_id}):
        raise StudentNotFound
    held = execute(HELD_ENROLLMENTS, {"student": student_id})
    if not locking.issuperset(row.course_id for row in held):
        raise Raced  # the student was enrolled in another course meanwhile; locking it now would break the order
    return held, {row.id for row in locked if row.term_id is not None}


def _add(
    execute: Execute,
    student_id: int,
    course_ids: Sequence[int],
    context: RequestContext,
    *,
    waitlist: bool,
    by_rules: bool,
) -> tuple[dict[int, str], list[Decision]]:
    """Enroll the student in the new courses. Return the status of each, or decisions if one of them refuses."""
    if not course_ids:
        return {}, []
    if by_rules:
        situation = situation_of(execute, student_id, course_ids, context)
        decisions = decide(situation, course_ids, waitlist=waitlist)
        if any(each.outcome == REFUSED for each in decisions):
            return {}, decisions
        rows = execute(TAKE_DECIDED[db.engine.dialect.name], decided_parameters(situation, decisions, context))
    else:
        values = parameters(student_id, course_ids, context, waitlist=waitlist)
        rows = execute(ENROLL[db.engine.dialect.name], values)
    if len(rows) < len(course_ids):
        situation = situation_of(execute, student_id, course_ids, context)
        return {}, decide(situation, course_ids, waitlist=waitlist)
    return {row.course_id: row.status for row in rows}, []
