"""Unenroll a student from courses. The seats go to the students on the waitlist."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from ...context import RequestContext
from ...database import AnyRow, autocommit, db, retried, run, transaction
from ...errors import CourseNotFound, UnenrollmentRefused
from ...models import ENROLLED, WAITLISTED
from .decisions import NOT_ENROLLED, decide_leaving, refuse
from .enrolling import Outcome, lock, situation_of
from .loading import Execute
from .memory import memory_of
from .promotion import promote
from .situation import Situation
from .statements import CLEAR_MARKS, UNENROLL, parameters

OUTCOMES = {ENROLLED: "unenrolled", WAITLISTED: "left_waitlist"}


def unenroll(
    student_id: int, course_ids: Sequence[int], *, context: RequestContext, reason: str | None = None
) -> list[Outcome]:
    """Unenroll the student from `course_ids` (distinct). Safe to repeat: a repetition changes nothing.

    The ledger keeps `reason`. Returns `unenrolled`, `left_waitlist` or `not_enrolled` for each course, in the order
    asked. Raises `StudentNotFound`, `CourseNotFound` or `UnenrollmentRefused`; then nothing has changed.
    """
    changed, reconsidered = _apply(student_id, course_ids, reason, context)
    # Also in courses that did not change: this may repeat a call whose promotion failed.
    freed = [course_id for course_id in course_ids if course_id not in changed or changed[course_id].waiting]
    promote([*freed, *reconsidered], context)
    return [
        Outcome(course_id, OUTCOMES[changed[course_id].previous_status] if course_id in changed else "not_enrolled")
        for course_id in course_ids
    ]


@retried(repeatable=True)
def _apply(
    student_id: int, course_ids: Sequence[int], reason: str | None, context: RequestContext
) -> tuple[dict[int, AnyRow], list[int]]:
    """Return the row of each change, by course id, and the courses that may promote the student now.

    Raises the refusals.
    """
    values = parameters(student_id, course_ids, context, reason=reason)
    with_term = memory_of(db.engine).has_term(course_ids)
    if not with_term and (rows := _unenroll(autocommit, values, by_rules=False)):
        return rows, []
    situation, is_enrolled = _decide(autocommit, student_id, course_ids, context)
    if not is_enrolled:
        return {}, []
    passed_over = [each.course_id for each in situation.enrollments if each.is_passed_over]
    if not passed_over and (rows := _unenroll(autocommit, values, by_rules=True)):
        return rows, []
    return _unenroll_under_locks(values, passed_over, context)


def _decide(
    execute: Execute, student_id: int, course_ids: Sequence[int], context: RequestContext
) -> tuple[Situation, bool]:
    """Return the situation, and whether the student is in one of the courses. Raises the refusals."""
    situation = situation_of(execute, student_id, course_ids, context)
    decisions = decide_leaving(situation, course_ids)
    memory_of(db.engine).note(decisions, waitlist=False)
    if any(each.is_unknown for each in decisions):
        raise CourseNotFound(decisions=[each.as_dict() for each in decisions if each.is_unknown])
    refuse(decisions, UnenrollmentRefused)
    return situation, any(each.outcome != NOT_ENROLLED for each in decisions)


def _unenroll(execute: Execute, values: Mapping[str, Any], *, by_rules: bool) -> dict[int, AnyRow]:
    rows = execute(UNENROLL[db.engine.dialect.name], {**values, "by_rules": by_rules})
    return {row.course_id: row for row in rows}


def _unenroll_under_locks(
    values: Mapping[str, Any], passed_over: Sequence[int], context: RequestContext
) -> tuple[dict[int, AnyRow], list[int]]:
    """Unenroll under the locks, and let promotion look again at the student: one of the courses may have stopped it.

    It is also the second attempt: while the statement waited for its courses, other requests may have taken the student
    out of those that it had seen, and into others of them.
    """
    student_id, course_ids = values["student"], values["course_ids"]
    with transaction() as connection:
        execute: Execute = functools.partial(run, connection)
        lock(execute, student_id, [*{*course_ids, *passed_over}])
        _, is_enrolled = _decide(execute, student_id, course_ids, context)
        rows = _unenroll(execute, values, by_rules=True) if is_enrolled else {}
        cleared = execute(CLEAR_MARKS, {"student": student_id, "course_ids": passed_over}) if rows else ()
        return rows, [row.course_id for row in cleared]
