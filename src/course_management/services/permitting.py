"""Enroll a student, or let one in from a waitlist, and grant the permissions that this needs, in one transaction."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from . import permissions
from .enrollment import CourseOutcome, EnrollmentRequest, enroll
from .enrollment.enrolling import Grant
from .enrollment.letting_in import let_in


def enroll_with_permit(request: EnrollmentRequest, permit_reason: str) -> list[CourseOutcome]:
    """Enroll as `enroll` does, and waive each rule that refuses one of the courses and can be waived.

    For each of these a permission is granted, for `permit_reason`. Courses in which the student is enrolled or
    waitlisted already need none. Returns and raises what `enroll` does; after a refusal, nothing was granted.
    """
    return enroll(request, _grant(request, permit_reason))


def let_in_with_permit(request: EnrollmentRequest, permit_reason: str, *, adds_seat: bool) -> list[CourseOutcome]:
    """Let a student in as `let_in` does, and waive rules as `enroll_with_permit` does."""
    return let_in(request, adds_seat=adds_seat, grant=_grant(request, permit_reason))


def _grant(request: EnrollmentRequest, permit_reason: str) -> Grant:
    def grant(connection: Connection, course_id: int, rule: str) -> None:
        with Session(connection) as session, session.begin():  # flushes at its end, and commits nothing
            values = {"course_id": course_id, "rule": rule, "reason": permit_reason}
            permissions.add(session, request.student_id, values, request.context)

    return grant
