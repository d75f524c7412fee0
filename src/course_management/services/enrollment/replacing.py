"""Replace all enrollments of a student, or those of one term, in one transaction."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, select

from ...database import AnyRow, Raced, autocommit, db, retry, run, transaction
from ...database.types import Id
from ...errors import TermNotFound, ValidationFailed
from ...models import ENROLLED, WAITLISTED, WITHDRAWN, enrollments
from ...models.terms import terms
from .. import Precondition
from .decisions import REFUSED, Decision, raise_if_refused
from .exchanging import CREDITS_CHANGED, exchange, lock, unenroll_outcomes
from .loading import Execute, situation_of
from .promotion import promote, promote_waiting_first
from .request import EnrollmentRequest
from .results import EnrollmentResult
from .statements import ENROLL_BY_SEATS, HELD_ENROLLMENTS, UNENROLL_BY_SEATS

_ALL_COURSES = select(enrollments.c.course_id).where(enrollments.c.student_id == bindparam("student", type_=Id))
_TERM = select(terms.c.id).where(terms.c.id == bindparam("term", type_=Id))


@dataclass(frozen=True, slots=True)
class Replacement:
    """Course ids by outcome, in the order of the request; `unenrolled` and `withdrawn` ascending."""

    enrolled: list[int]
    waitlisted: list[int]
    unenrolled: list[int]
    kept: list[int]
    withdrawn: list[int]
    credits_changed: list[int]
    """Those of the kept courses that count other credits now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceOptions:
    """How to replace the courses of a student."""

    term_id: int | None = None
    """Only the courses of this term are replaced; those of other terms, and without a term, stay."""
    precondition: Precondition | None = None
    """Called with rows of `course_id, status, revision, credits`: all courses of the student, also those of other
    terms.
    """
    dry_run: bool = False
    """Whether to decide the same way and change nothing."""


class _Attempt(NamedTuple):
    """The result of one attempt: what was replaced or, if a course refuses and nothing was, the decisions."""

    replacement: Replacement | None
    decisions: Sequence[Decision] = ()


def replace(request: EnrollmentRequest, options: ReplaceOptions | None = None) -> Replacement:
    """Replace the courses of the student by exactly `course_ids` (may be empty), all or nothing.

    Other credits for a course that is kept change them. Raises what `enroll` raises, `TermNotFound`, and
    `ValidationFailed` for a course that is not of the term.
    """
    options = options or ReplaceOptions()
    extra_locks: set[int] = set()

    def work() -> Replacement:
        if options.term_id is not None and not autocommit(_TERM, {"term": options.term_id}):
            raise TermNotFound
        attempt = None
        while attempt is None:  # each attempt locks at least one more course than the one before
            attempt = _replace(request, options, extra_locks)
        if attempt.replacement:
            return attempt.replacement
        if not options.dry_run:
            promote_waiting_first(attempt.decisions, request.context)
        raise_if_refused(attempt.decisions)
        raise Raced  # by now, no course refuses

    replacement = retry(work, repeatable=options.precondition is None)
    if not options.dry_run:
        promote(
            [*replacement.unenrolled, *replacement.withdrawn, *replacement.waitlisted, *replacement.kept],
            request.context,
        )
    return replacement


def _replace(request: EnrollmentRequest, options: ReplaceOptions, extra_locks: set[int]) -> _Attempt | None:
    """Try once. If a course refuses, roll back and return the decisions. Returns None if `_lock` does.

    `extra_locks` are courses to lock as well, although the student may not be in them now: an earlier attempt locked
    too few.
    """
    course_ids = request.course_ids
    with transaction() as connection:
        execute: Execute = functools.partial(run, connection)
        locked_rows = _lock(execute, request, extra_locks)
        if locked_rows is None:
            return None
        held_rows, locked_courses = locked_rows
        if options.precondition:
            options.precondition(held_rows)
        held_ids = {row.course_id for row in held_rows}
        if options.term_id is not None:
            other_ids = {course_id for course_id, row in locked_courses.items() if row.term_id != options.term_id}
            _refuse_others(course_ids, other_ids)
            held_ids -= other_ids
        removed_ids = sorted(held_ids.difference(course_ids))
        new_ids = [course_id for course_id in course_ids if course_id not in held_ids]
        if request.chosen_credits or _have_rules([*removed_ids, *new_ids], locked_courses):
            waitlisted_ids = [row.course_id for row in held_rows if row.status == WAITLISTED]
            result = exchange(
                execute, dataclasses.replace(request, instead_of=removed_ids, changes_credits=True), waitlisted_ids
            )
        else:
            result = _exchange_without_rules(execute, request, new_ids, removed_ids)
        outcomes = result.outcome_by_course
        if not outcomes and any(decision.action or decision.outcome == REFUSED for decision in result.decisions):
            connection.rollback()
            return _Attempt(None, result.decisions)
        if options.dry_run:
            connection.rollback()
    replacement = Replacement(
        enrolled=[course_id for course_id in new_ids if outcomes.get(course_id) == ENROLLED],
        waitlisted=[course_id for course_id in new_ids if outcomes.get(course_id) == WAITLISTED],
        unenrolled=[course_id for course_id in removed_ids if outcomes.get(course_id) != WITHDRAWN],
        withdrawn=[course_id for course_id in removed_ids if outcomes.get(course_id) == WITHDRAWN],
        kept=[course_id for course_id in course_ids if course_id in held_ids],
        credits_changed=[course_id for course_id in course_ids if outcomes.get(course_id) == CREDITS_CHANGED],
    )
    return _Attempt(replacement)


def _lock(
    execute: Execute, request: EnrollmentRequest, extra_locks: set[int]
) -> tuple[Sequence[AnyRow], dict[int, AnyRow]] | None:
    """Lock the old and the new courses, ascending by id, then the student, so that nobody changes the enrollments.

    Returns the enrollments, and the locked courses by id; None if the student was enrolled in another course meanwhile,
    which the next attempt must lock too. Raises `StudentNotFound`.
    """
    student = {"student": request.student_id}
    locking = {*request.course_ids, *(row.course_id for row in execute(HELD_ENROLLMENTS, student)), *extra_locks}
    # Replacements of one student wait for each other here. Otherwise two could both apply to the old courses.
    locked = lock(execute, request.student_id, locking)
    held = execute(HELD_ENROLLMENTS, student)
    if not locking.issuperset(row.course_id for row in held):
        # Locking that course now would break the order. While other requests of the student go on, the next one is
        # mostly one from which the student has unenrolled before.
        extra_locks.update(row.course_id for row in execute(_ALL_COURSES, student))
        return None
    return held, {row.id: row for row in locked}


def _have_rules(course_ids: Sequence[int], locked: Mapping[int, AnyRow]) -> bool:
    """Return whether rules decide about one of the courses, as `Course.has_rules`."""
    existing = [locked[course_id] for course_id in course_ids if course_id in locked]
    return any(course.term_id is not None or course.closed_at is not None for course in existing)


def _refuse_others(course_ids: Sequence[int], other_ids: set[int]) -> None:
    """Raise `ValidationFailed` if one of the courses is among `other_ids`, which are not of the term."""
    errors = [
        {"pointer": f"/course_ids/{index}", "detail": "Must be a course of the term `term_id`."}
        for index, course_id in enumerate(course_ids)
        if course_id in other_ids
    ]
    if errors:
        raise ValidationFailed(errors=errors[: ValidationFailed.max_errors])


def _exchange_without_rules(
    execute: Execute, request: EnrollmentRequest, new_ids: Sequence[int], removed_ids: Sequence[int]
) -> EnrollmentResult:
    """Unenroll and enroll by the statements that look at seats only. Return the outcomes, or decisions that refuse."""
    backend = db.engine.dialect.name
    outcomes: dict[int, str] = {}
    if removed_ids:
        outcomes = unenroll_outcomes(execute(UNENROLL_BY_SEATS[backend], request.parameters(removed_ids)), [])
    if new_ids:
        rows = execute(ENROLL_BY_SEATS[backend], request.parameters(new_ids))
        if len(rows) < len(new_ids):
            # The transaction sees the student without the removed courses.
            situation = situation_of(execute, request.student_id, request.course_ids, request.context)
            return EnrollmentResult(decisions=request.decide(situation))
        outcomes |= {row.course_id: row.status for row in rows}
    return EnrollmentResult(outcome_by_course=outcomes)
