"""Enroll a student and grant the permissions that this needs, in one transaction."""

from __future__ import annotations

import functools

from ..database import retried, run, writing
from . import permissions
from .enrollment import CourseOutcome, EnrollmentRequest
from .enrollment.enrolling import promote_and_report, raise_if_refused
from .enrollment.exchanging import ExchangeResult, exchange_under_locks


def enroll_with_permit(request: EnrollmentRequest, permit: str) -> list[CourseOutcome]:
    """Enroll as `enroll` does, and waive each rule that refuses one of the courses and can be waived.

    For each of these a permission is granted, with `permit` as its reason. Courses in which the student is enrolled or
    waitlisted already need none. Returns and raises what `enroll` does; after a refusal, nothing was granted.
    """
    return promote_and_report(request, _apply_with_permit(request, permit))


@retried(repeatable=True)
def _apply_with_permit(request: EnrollmentRequest, permit: str) -> ExchangeResult:
    with writing() as session:

        def grant(course_id: int, rule: str) -> None:
            values = {"course_id": course_id, "rule": rule, "reason": permit}
            permissions.add(session, request.student_id, values, request.context)

        result = exchange_under_locks(functools.partial(run, session.connection()), request, grant)
    return raise_if_refused(result, request.context)
