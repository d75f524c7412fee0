"""Courses as a resource. A raised capacity promotes students from the waitlist."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from ..context import RequestContext
from ..database import reading
from ..errors import (
    CapacityBelowEnrollment,
    CodeTaken,
    CourseHasEnrollments,
    CourseNotFound,
    ExternalIdTaken,
    WaitlistCapacityBelowWaiting,
)
from ..models import Course
from . import Precondition, resources
from .enrollment import Promotion, is_due, promote
from .resources import Resource

COURSES = Resource(
    model=Course,
    not_found=CourseNotFound,
    taken={"code": CodeTaken, "external_id": ExternalIdTaken},
    refusals={
        "uq_courses_term_id_code": CodeTaken,
        "ck_courses_seats_within_capacity": CapacityBelowEnrollment,
        "ck_courses_waiting_within_waitlist": WaitlistCapacityBelowWaiting,
    },
    in_use={"student_courses_held_rows_stay": CourseHasEnrollments},
)


class Changed(NamedTuple):
    """A course as it is after a change; `promotion` is None where no student was waiting."""

    course: Course
    promotion: Promotion | None = None


def change(
    course_id: int, values: Mapping[str, Any], precondition: Precondition | None, context: RequestContext
) -> Changed:
    """Set some values, then promote from the waitlist for a bounded time; background work promotes the rest.

    Raises `CourseNotFound`, `CodeTaken`, `CapacityBelowEnrollment`, `WaitlistCapacityBelowWaiting`.
    """
    course = resources.change(COURSES, course_id, values, precondition, context)
    if not course.waiting:
        return Changed(course)
    promoted, pending = promote([course_id], context)
    if promoted:
        # The change is committed. If reading fails, the counters are those of that moment.
        with suppress(SQLAlchemyError), reading() as session:
            course = session.get(Course, course_id) or course
    return Changed(course, Promotion(promoted, pending and is_due(course)))
