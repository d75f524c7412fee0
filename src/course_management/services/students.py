"""Students as a resource."""

from __future__ import annotations

from ..errors import EmailTaken, ExternalIdTaken, StudentHasCompletions, StudentHasEnrollments, StudentNotFound
from ..models import Student
from .resources import Resource

STUDENT_RESOURCE = Resource(
    model=Student,
    not_found=StudentNotFound,
    refusal_if_taken={"email": EmailTaken, "external_id": ExternalIdTaken},
    in_use={
        "student_courses_held_rows_stay": StudentHasEnrollments,
        "fk_completions_student_id": StudentHasCompletions,
    },
)
