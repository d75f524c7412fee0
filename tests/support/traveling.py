"""A statement for the tests of waves."""

from __future__ import annotations

from sqlalchemy import Integer, bindparam, update

from course_management.database import travels
from course_management.database.types import among
from course_management.models import courses
from course_management.services.enrollment.parameters import course_ids

SET_CAPACITY = travels(
    update(courses)
    .where(among(courses.c.id, course_ids))
    .values(capacity=bindparam("seats", type_=Integer), updated_at=courses.c.updated_at)
    .returning(courses.c.id),
    "course_ids",
)
"""A write that travels, and that a constraint refuses for a number below zero."""
