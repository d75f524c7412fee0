"""Replace all enrollments of a student, or those of one term, in one transaction."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from ...context import RequestContext
from ...database import AnyRow, Raced, autocommit, db, retry, run, transaction
from ...database.types import Id
from ...errors import StudentNotFound, TermNotFound, ValidationFailed
from ...models import ENROLLED, WAITLISTED, enrollments
from ...models.terms import terms
from .. import Precondition
from .decided_seats import TAKE_DECIDED, decided_parameters
from .decisions import REFUSED, Decision, decide, decide_leaving, refuse
from .enrolling import promote_ahead, situation_of
from .loading import Execute
from .promotion import promote
from .statements import CLEAR_MARKS, ENROLL, HELD_ENROLLMENTS, LOCK_COURSES, LOCK_STUDENT, UNENROLL, parameters

_EVER = select(enrollments.c.course_id).where(enrollments.c.student_id == bindparam("student", type_=Id))
_TERM = select(terms.c.id).where(terms.c.id == bindparam("term", type_=Id))


@dataclass(frozen=True, slots=True)
class Replacement:
    """Course ids by outcome, in the order of the request; `unenrolled` and `withdrawn` ascending."""

    enrolled: list[int]
    waitlisted: list[int]
    unenrolled: list[int]
    kept: list[int]
    withdrawn: list[int] = field(default_factory=list)
    """Empty until there are withdrawals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceOptions:
    """How to replace the courses of a student."""

    term_id: int | None = None
    """Only the courses of this term are replaced; those of other terms, and without a term, stay."""
    reason: str | None = None
    """For the ledger."""
    precondition: Precondition | None = None
    """Called with rows of `course_id, status, revision, credits`: all courses of the student, also those of other
    terms.
    """
    dry_run: bool = False
    """Whether to decide the same way and change nothing."""


class _Request(NamedTuple):
    student_id: int
    course_ids: Sequence[int]
    waitlist: bool
    context: RequestContext
    options: ReplaceOptions
    met: set[int]
    """Courses to lock, although the student may not be in them now, because an earlier attempt had locked too few."""

    def parameters(self, course_ids: Sequence[int], *, waitlist: bool = False) -> dict[str, Any]:
        """Return the parameters of a statement about some of the courses."""
        return parameters(self.student_id, course_ids, self.context, waitlist=waitlist, reason=self.options.reason)


def replace(
    student_id: int,
    course_ids: Sequence[int],
    *,
    waitlist: bool,
    context: RequestContext,
    options: ReplaceOptions | None = None,
) -> Replacement:
    """Replace the courses of the student by exactly `course_ids` (distinct; may be empty), all or nothing.

    Raises what `enroll` raises, `TermNotFound`, and `ValidationFailed` for a course that is not of the term.
    """
    options = options or ReplaceOptions()
    request = _Request(student_id, course_ids, waitlist, context, options, set())

    def work() -> Replacement:
        if options.term_id is not None and not autocommit(_TERM, {"term": options.term_id}):
            raise TermNotFound
        found = None
        while found is None:  # each attempt locks at least one more course than the one before
            found = _replace(request)
        if isinstance(found, Replacement):
            return found
        if not options.dry_run:
            promote_ahead(found, context)
        refuse(found)
        raise Raced  # by now, no course refuses

    done = retry(work, repeatable=options.precondition is None)
    if not options.dry_run:
        promote([*done.unenrolled, *done.waitlisted, *done.kept], context)
    return done


def _replace(request: _Request) -> Replacement | list[Decision] | None:
    """Try once. If a course refuses, roll back and return the decisions. Returns None if `_lock` does."""
    student_id, course_ids, waitlist, context, options, _ = request
    with transaction() as connection:
        execute: Execute = functools.partial(run, connection)
        complete = _lock(execute, request)
        if complete is None:
            return None
        held, locked = complete
        if options.precondition:
            options.precondition(held)
        before = {row.course_id for row in held}
        if options.term_id is not None:
            others = {course_id for course_id, row in locked.items() if row.term_id != options.term_id}
            _refuse_others(course_ids, others)
            before -= others
        removed = sorted(before.difference(course_ids))
        new = [course_id for course_id in course_ids if course_id not in before]
        leaving: list[Decision] = []
        if removed:
            by_rules = _have_rules(removed, locked)
            if by_rules:
                leaving = decide_leaving(situation_of(execute, student_id, removed, context), removed)
            values = request.parameters(removed) | {"by_rules": by_rules}
            execute(UNENROLL[connection.dialect.name], values)
            if by_rules:  # what stopped the student's promotions may have been one of these courses
                execute(CLEAR_MARKS, {"student": student_id, "course_ids": sorted(row.course_id for row in held)})
        # From here on, the transaction sees the student without the removed courses.
        added, decisions = _add(execute, request, new, by_rules=_have_rules(new, locked))
        if decisions or any(each.outcome == REFUSED for each in leaving):
            situation = situation_of(execute, student_id, course_ids, context)
            decisions = [*decide(situation, course_ids, waitlist=waitlist), *leaving]
            connection.rollback()
            return decisions
        if options.dry_run:
            connection.rollback()
    return Replacement(
        enrolled=[each for each in course_ids if added.get(each) == ENROLLED],
        waitlisted=[each for each in course_ids if added.get(each) == WAITLISTED],
        unenrolled=removed,
        kept=[each for each in course_ids if each in before],
    )


def _lock(execute: Execute, request: _Request) -> tuple[Sequence[AnyRow], dict[int, AnyRow]] | None:
    """Lock the old and the new courses, ascending by id, then the student, so that nobody changes the enrollments.

    Returns the enrollments, and the locked courses by id; None if the student was enrolled in another course meanwhile,
    which the next attempt must lock too. Raises `StudentNotFound`.
    """
    student = {"student": request.student_id}
    locking = {*request.course_ids, *(row.course_id for row in execute(HELD_ENROLLMENTS, student)), *request.met}
    locked = execute(LOCK_COURSES, {"course_ids": sorted(locking)})
    # Replacements of one student wait for each other here. Otherwise two could both apply to the old courses.
    if not execute(LOCK_STUDENT, student):
        raise StudentNotFound
    held = execute(HELD_ENROLLMENTS, student)
    if not locking.issuperset(row.course_id for row in held):
        # Locking that course now would break the order. While other requests of the student go on, the next one is
        # mostly one that the student has left before.
        request.met.update(row.course_id for row in execute(_EVER, student))
        return None
    return held, {row.id: row for row in locked}


def _have_rules(course_ids: Sequence[int], locked: Mapping[int, AnyRow]) -> bool:
    """Return whether rules decide about one of the courses, as `Course.has_rules`."""
    found = [locked[course_id] for course_id in course_ids if course_id in locked]
    return any(course.term_id is not None or course.closed_at is not None for course in found)


def _refuse_others(course_ids: Sequence[int], others: set[int]) -> None:
    """Raise `ValidationFailed` if one of the courses is among `others`, which are not of the term."""
    errors = [
        {"pointer": f"/course_ids/{index}", "detail": "Must be a course of the term `term_id`."}
        for index, course_id in enumerate(course_ids)
        if course_id in others
    ]
    if errors:
        raise ValidationFailed(errors=errors[: ValidationFailed.max_errors])


def _add(
    execute: Execute, request: _Request, course_ids: Sequence[int], *, by_rules: bool
) -> tuple[dict[int, str], list[Decision]]:
    """Enroll the student in the new courses. Return the status of each, or decisions if one of them refuses."""
    if not course_ids:
        return {}, []
    student_id, context, waitlist, backend = (
        request.student_id,
        request.context,
        request.waitlist,
        db.engine.dialect.name,
    )
    if by_rules:
        situation = situation_of(execute, student_id, course_ids, context)
        decisions = decide(situation, course_ids, waitlist=waitlist)
        if any(each.outcome == REFUSED for each in decisions):
            return {}, decisions
        values = decided_parameters(situation, decisions, context, reason=request.options.reason)
        rows = execute(TAKE_DECIDED[backend], values)
    else:
        rows = execute(ENROLL[backend], request.parameters(course_ids, waitlist=waitlist))
    if len(rows) < len(course_ids):
        situation = situation_of(execute, student_id, course_ids, context)
        return {}, decide(situation, course_ids, waitlist=waitlist)
    return {row.course_id: row.status for row in rows}, []
