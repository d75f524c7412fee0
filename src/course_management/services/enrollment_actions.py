"""The enrollment actions of the API and of pages: done, logged and counted; a line for each kind of change.

Each function returns and raises what its service does (`enrollment/`, or `permitting` with a permit).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from .. import metrics
from ..context import RequestContext
from ..database import kind_of
from ..errors import Problem
from . import enrollment
from .enrollment import CourseOutcome, Decision, EnrollmentRequest, Replacement, ReplaceOptions
from .enrollment.letting_in import let_in as let_in_without_permit
from .permitting import enroll_with_permit, let_in_with_permit

log = structlog.get_logger(__name__)

LOG_EVENTS = {
    "enrolled": "enrolled",
    "waitlisted": "waitlisted",
    "unenrolled": "unenrolled",
    "withdrawn": "withdrawn",
    "left_waitlist": "unenrolled",
    "already_enrolled": "unchanged",
    "already_waitlisted": "unchanged",
    "not_enrolled": "unchanged",
}
"""The events of the log, by the outcome for a course."""
UNCHANGED = {outcome for outcome, action in LOG_EVENTS.items() if action == "unchanged"}


def enroll(request: EnrollmentRequest, *, permit_reason: str | None = None) -> list[CourseOutcome]:
    """Enroll the student; with `permit_reason`, grant the permissions that this needs (`permitting.py`)."""
    with _logged(request.student_id, [*request.course_ids, *request.instead_of]):
        outcomes = enrollment.enroll(request) if permit_reason is None else enroll_with_permit(request, permit_reason)
        _log_outcomes(request.student_id, outcomes)
    return outcomes


def let_in(request: EnrollmentRequest, *, adds_seat: bool, permit_reason: str | None = None) -> list[CourseOutcome]:
    """Let the student in from the waitlist of the one course of the request; `permit_reason` as in `enroll`."""
    with _logged(request.student_id, request.course_ids):
        if permit_reason is None:
            outcomes = let_in_without_permit(request, adds_seat=adds_seat)
        else:
            outcomes = let_in_with_permit(request, permit_reason, adds_seat=adds_seat)
        _log_outcomes(request.student_id, outcomes)
    return outcomes


def dry_run(request: EnrollmentRequest, *, permit: bool = False) -> list[Decision]:
    """Decide about each course, and change nothing."""
    with _logged(request.student_id, [*request.course_ids, *request.instead_of]):
        decisions = enrollment.dry_run(request, permit=permit)
        _log_decisions(request.student_id, decisions)
    return decisions


def replace(request: EnrollmentRequest, options: ReplaceOptions) -> Replacement:
    """Replace the courses of the student."""
    with _logged(request.student_id, request.course_ids):
        replacement = enrollment.replace(request, options)
        if not options.dry_run:
            _log_replacement(request.student_id, request.course_ids, replacement)
    return replacement


def unenroll(
    student_id: int, course_ids: Sequence[int], *, context: RequestContext, ledger_reason: str | None = None
) -> list[CourseOutcome]:
    """Unenroll the student from courses."""
    with _logged(student_id, course_ids):
        outcomes = enrollment.unenroll(student_id, course_ids, context=context, ledger_reason=ledger_reason)
        _log_outcomes(student_id, outcomes)
    return outcomes


@contextmanager
def _logged(student_id: int, course_ids: Sequence[int]) -> Iterator[None]:
    """Log the refusal or the failure of the action in the block."""
    try:
        yield
    except Problem as problem:
        reasons = (
            reason["code"] for decision in problem.members.get("decisions", ()) for reason in decision["reasons"]
        )
        _record("refused", student_id, course_ids, [problem.code, *reasons])
        raise
    except Exception as error:
        _record("failed", student_id, course_ids, [kind_of(error)])
        raise


def _log_outcomes(student_id: int, outcomes: Sequence[CourseOutcome]) -> None:
    """Log enrolling or unenrolling: a line for each kind of change."""
    by_action: dict[str, list[CourseOutcome]] = {}
    for outcome in outcomes:
        by_action.setdefault(LOG_EVENTS[outcome.outcome], []).append(outcome)
    for action, group in by_action.items():
        codes = [outcome.outcome for outcome in group]
        _record(action, student_id, [outcome.course_id for outcome in group], codes)


def _log_replacement(student_id: int, requested: Sequence[int], done: Replacement) -> None:
    """Log a replacement: a line for each kind of change."""
    for action in ("enrolled", "waitlisted", "unenrolled", "withdrawn", "credits_changed"):
        if course_ids := getattr(done, action):
            _record(action, student_id, course_ids, [action] * len(course_ids))
    if not (done.enrolled or done.waitlisted or done.unenrolled or done.withdrawn or done.credits_changed):
        _record("unchanged", student_id, requested, ["kept"] * len(requested))


def _log_decisions(student_id: int, decisions: Sequence[Decision]) -> None:
    """Log a dry run: nothing was refused, whatever the decisions."""
    codes = [reason.code for decision in decisions for reason in decision.reasons] or [
        decision.outcome for decision in decisions
    ]
    _record("dry_run", student_id, [decision.course_id for decision in decisions], codes)


def _record(action: str, student_id: int, course_ids: Sequence[int], codes: Sequence[str]) -> None:
    """Count and log an action. `codes` has one for each course or, of a refusal, one for each reason."""
    metrics.outcomes(action, codes)
    log.info(f"enrollment.{action}", student_id=student_id, course_ids=course_ids, codes=sorted(set(codes)))
