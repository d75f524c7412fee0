"""What comes in: bodies and queries."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from ..database.types import MAX_ID
from ..models import ENROLLED, WAITLISTED
from .fields import (
    MAX_COURSES,
    CourseIds,
    Email,
    Id,
    Instant,
    QueryBoolean,
    QueryInteger,
    StrictBoolean,
    StrictInteger,
    Text,
)

MAX_LIMIT = 2**31 - 1
"""The largest capacity; what PostgreSQL's integer holds."""


class StudentIn(Schema):
    """A student to create."""

    name = Text(200, joiners=True, required=True)
    email = Email(required=True)


class StudentChange(StudentIn):
    """What may be changed about a student; what is left out stays."""

    name = Text(200, joiners=True)
    email = Email()


class CourseIn(Schema):
    """A course to create. Null means no limit."""

    code = Text(50, required=True)
    title = Text(200, joiners=True, required=True)
    capacity = StrictInteger(0, MAX_LIMIT, allow_none=True, load_default=None)
    waitlist_capacity = StrictInteger(0, MAX_LIMIT, allow_none=True, load_default=0)


class CourseChange(Schema):
    """What may be changed about a course; what is left out stays."""

    code = Text(50)
    title = Text(200, joiners=True)
    capacity = StrictInteger(0, MAX_LIMIT, allow_none=True)
    waitlist_capacity = StrictInteger(0, MAX_LIMIT, allow_none=True)


class OneOrMoreCourses(Schema):
    """`course_ids`, or `course_id` for a single one; loaded as `course_ids` either way."""

    course_ids = CourseIds(1)
    course_id = Id()

    @post_load
    def as_list(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """One way to say it inside; it was said either way, not both."""
        if ("course_id" in data) == ("course_ids" in data):
            raise ValidationError("Give either course_ids or course_id.")
        if "course_id" in data:
            data["course_ids"] = [data.pop("course_id")]
        return data


class EnrollIn(OneOrMoreCourses):
    """Courses to enroll in; with `waitlist`, a place in the queue will do where a course is full."""

    waitlist = StrictBoolean(load_default=False)


class ReplaceIn(Schema):
    """The courses the student shall hold, exactly."""

    course_ids = CourseIds(
        0,
        maximum=None,
        required=True,
        metadata={"description": f"At most {MAX_COURSES}, or as many as the student has now if those are more."},
    )
    waitlist = StrictBoolean(load_default=False)


class ReplaceQuery(Schema):
    """How to replace."""

    dry_run = QueryBoolean(load_default=False)


class PageQuery(Schema):
    """Which page of a list."""

    limit = QueryInteger(1, 200, load_default=50)
    after = fields.String(validate=validate.Length(min=1, max=200))


class StudentsQuery(PageQuery):
    """Which students."""

    email = Email()


class CoursesQuery(PageQuery):
    """Which courses."""

    code = Text(50)


class RosterQuery(PageQuery):
    """Which part of a roster."""

    status = fields.String(load_default=ENROLLED, validate=validate.OneOf([ENROLLED, WAITLISTED]))
    as_of = Instant()


class HeldQuery(Schema):
    """Which of a student's courses."""

    status = fields.String(load_default=ENROLLED, validate=validate.OneOf([ENROLLED, WAITLISTED, "any"]))


class UnenrollQuery(Schema):
    """Courses to leave, for clients whose proxies drop the body of a DELETE: `?course_id=1&course_id=2`."""

    course_ids = CourseIds(1, QueryInteger(1, MAX_ID), data_key="course_id", required=True)
