"""Enrollments. They are written by `transfer/enrolling.py`, one call per student."""

from __future__ import annotations

from ...schemas.courses import CourseSchema
from ...schemas.lists import Choice
from ..kind import Kind, Reference

STATUSES = ("enrolled", "waitlisted", "unenrolled", "completed")
"""Of an enrollment in a file. `completed` changes nothing: the term is over. Nor does `waitlisted`, which exports have:
places on waitlists depend on their order, which no file has."""
ENROLLMENT_KIND = Kind(
    "enrollments",
    {
        "student": Reference(),
        "course": Reference(),
        "status": Choice(STATUSES),
        "credits": CourseSchema.fields_of()["credits"],
    },
    ("student", "course"),
    ("student course",),
)
