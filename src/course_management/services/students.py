"""Students as a resource."""

from __future__ import annotations

from ..errors import EmailTaken, ExternalIdTaken, StudentHasEnrollments, StudentNotFound
from ..models import Student
from .resources import Resource

STUDENTS = Resource(
    model=Student,
    not_found=StudentNotFound,
    taken={"email": EmailTaken, "external_id": ExternalIdTaken},
    in_use={"student_courses_held_rows_stay": StudentHasEnrollments},
)
