"""A student cannot enroll: the refusal of a request, and the reasons for each course in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .base import Conflict, Reason
from .courses import CourseNotFound


class UnknownCourse(Reason):
    code, title = CourseNotFound.code, CourseNotFound.title
    meaning, remedy = CourseNotFound.meaning, CourseNotFound.remedy


class CourseFull(Reason):
    """Facts: `capacity` (seats), `waitlist_open` (whether the waitlist has room at present)."""

    code, title = "course_full", "Course full"
    meaning = "All seats are taken or reserved for students on the waitlist."
    remedy = 'Retry with "waitlist": true to join the waitlist if `waitlist_open` is true, or choose another course.'
    example: ClassVar[Mapping[str, Any]] = {"capacity": 30, "waitlist_open": True}


class WaitlistFull(Reason):
    """Facts: `capacity` (seats), `waitlist_capacity` (places on the waitlist)."""

    code, title = "waitlist_full", "Waitlist full"
    meaning = "All seats are taken, and the waitlist is full."
    remedy = "Choose another course, or try again when a student has left."
    example: ClassVar[Mapping[str, Any]] = {"capacity": 30, "waitlist_capacity": 10}


class EnrollmentRefused(Conflict):
    code, title = "enrollment_refused", "Enrollment refused"
    meaning = "You cannot enroll in at least one of the requested courses, so nothing was changed."
    remedy = "`decisions` gives the reasons for each course. Leave those courses out, or wait for a seat."
    example: ClassVar[Mapping[str, Any]] = {
        "decisions": [
            {"course_id": 1, "outcome": "eligible", "reasons": []},
            {"course_id": 2, "outcome": "refused", "reasons": [CourseFull(**CourseFull.example).as_dict()]},
        ]
    }


class UnenrollmentRefused(Conflict):
    code, title = "unenrollment_refused", "Unenrollment refused"
    meaning = "The student cannot be unenrolled from at least one of the requested courses, so nothing was changed."
    remedy = "`decisions` gives the reasons for each course."
    example: ClassVar[Mapping[str, Any]] = {
        "decisions": [
            {"course_id": 1, "outcome": "refused", "reasons": [{"code": "hold", "detail": "A hold blocks this."}]}
        ]
    }
