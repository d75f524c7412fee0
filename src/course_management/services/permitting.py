"""Enroll a student and grant the permissions that this needs, in one transaction."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from . import permissions
from .enrollment import CourseOutcome, EnrollmentRequest, enroll


def enroll_with_permit(request: EnrollmentRequest, permit: str) -> list[CourseOutcome]:
    """Enroll as `enroll` does, and waive each rule that refuses one of the courses and can be waived.

    For each of these a permission is granted, with `permit` as its reason. Courses in which the student is enrolled or
    waitlisted already need none. Returns and raises what `enroll` does; after a refusal, nothing was granted.
    """

    def grant(connection: Connection, course_id: int, rule: str) -> None:
        with Session(connection) as session, session.begin():  # flushes at its end, and commits nothing
            values = {"course_id": course_id, "rule": rule, "reason": permit}
            permissions.add(session, request.student_id, values, request.context)

    return enroll(request, grant)
