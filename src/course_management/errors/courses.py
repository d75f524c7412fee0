"""Refusals that concern courses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .base import Conflict, Problem


class CourseNotFound(Problem):
    code, status, title = "course_not_found", 404, "Course not found"
    meaning = "There is no course with this id."
    remedy = "Check the id, or create the course with POST /courses. If several were sent, `decisions` names the id."
    example: ClassVar[Mapping[str, Any]] = {
        "decisions": [
            {"course_id": 2, "outcome": "refused", "reasons": [{"code": code, "detail": meaning}]},
        ]
    }


class CourseHasEnrollments(Conflict):
    code, title = "course_has_enrollments", "Course has enrollments"
    meaning = "Students are enrolled or waitlisted in this course, or have withdrawn from it, so it cannot be deleted."
    remedy = "Unenroll every student of the roster and of the waitlist first. After a withdrawal, close the course."


class CapacityBelowEnrollment(Conflict):
    code, title = "capacity_below_enrollment", "Capacity below enrollment"
    meaning = "The capacity would be smaller than the number of seats taken."
    remedy = "Choose a capacity of at least `seats_taken`, or unenroll students first."


class WaitlistCapacityBelowWaiting(Conflict):
    code, title = "waitlist_capacity_below_waiting", "Waitlist capacity below waiting"
    meaning = "The waitlist would be smaller than the number of students waiting."
    remedy = "Choose a waitlist capacity of at least `waiting`."
