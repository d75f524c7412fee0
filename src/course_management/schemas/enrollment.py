"""The enrollment calls: enroll, replace, unenroll, and the list of a student's courses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from ..database.types import MAX_ID
from ..models import ENROLLED, WAITLISTED
from .fields import Credits, Id, QueryBoolean, QueryInteger, StrictBoolean, Text
from .lists import Distinct
from .problems import DecisionDetails
from .response_fields import IdsField, Moment, ResponseId, Status, Whole, Word

MAX_COURSES = 100
"""Courses in one request."""


class CourseIds(Distinct):
    """Distinct course ids."""

    def __init__(
        self, minimum: int, item: fields.Integer | None = None, *, maximum: int | None = MAX_COURSES, **kwargs: Any
    ) -> None:
        super().__init__(item or Id(), minimum, maximum, **kwargs)


class CoursesBody(Schema):
    """Give either `course_ids`, or `course_id` for a single course."""

    course_ids = CourseIds(1, metadata={"description": "Distinct course ids. Give either these or `course_id`."})
    course_id = Id(metadata={"description": "The id of a single course."})

    @post_load
    def as_list(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Load `course_ids` in either case. Raises `ValidationError` for both and for none."""
        if ("course_id" in data) == ("course_ids" in data):
            raise ValidationError("Give either course_ids or course_id.")
        if "course_id" in data:
            data["course_ids"] = [data.pop("course_id")]
        return data


class CreditsByCourse(fields.Dict):
    """The credits of courses with variable credit: hundredths by the id of the course, which JSON has as text."""

    def __init__(self) -> None:
        text = "For courses with variable credit: the credits, by the id of a course of the request."
        super().__init__(keys=fields.String(), values=Credits(), metadata={"description": text})
        self.course_id, self.credits = QueryInteger(1, MAX_ID), Credits()

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[int, int]:
        if not isinstance(value, Mapping):
            raise self.make_error("invalid")
        if len(value) > MAX_COURSES:
            raise ValidationError(f"Must be at most {MAX_COURSES} courses.")
        credits_by_course: dict[int, int] = {}
        errors: dict[str, Any] = {}
        for key, course_credits in value.items():
            try:
                hundredths = int(self.credits.deserialize(course_credits) * 100)  # type: ignore[operator]
                credits_by_course[self.course_id.deserialize(key)] = hundredths  # type: ignore[index]
            except ValidationError as error:
                errors[key] = error.messages
        if errors:
            raise ValidationError(errors)
        return credits_by_course


def _check_credits(data: dict[str, Any]) -> None:
    others = data.get("credits", {}).keys() - set(data["course_ids"])
    if others:
        raise ValidationError({str(course_id): ["Must be a course of the request."] for course_id in others}, "credits")


class ReasonText(Text):
    """A text that says why; it has the length of a reason in the ledgers."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(500, joiners=True, metadata={"description": description}, **kwargs)


class LedgerReason(ReasonText):
    """Why the enrollment changes."""

    def __init__(self) -> None:
        super().__init__("Why, for the ledger; staff only.")


class Permit(Schema):
    """Permissions for what can be waived."""

    reason = ReasonText("Why, for the permissions.", required=True)


class EnrollBody(CoursesBody):
    """The courses to enroll in; with `waitlist`, the student joins the waitlist of a course that is full."""

    waitlist = StrictBoolean(load_default=False)
    credits = CreditsByCourse()
    instead_of = CourseIds(
        0,
        load_default=list,
        metadata={"description": "Swap: these courses are left only if all of the others can be enrolled in."},
    )
    permit = fields.Nested(
        Permit,
        metadata={"description": "For callers who may grant permissions for all of the courses."},
    )
    reason = LedgerReason()

    @post_load
    def as_list(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Do the same. Raises `ValidationError` for a course that is both wanted and left, and for other credits."""
        data = super().as_list(data)
        _check_credits(data)
        wanted = set(data["course_ids"])
        sentence = ["Must not be in course_ids, too."]
        if both := {index: sentence for index, course_id in enumerate(data["instead_of"]) if course_id in wanted}:
            raise ValidationError(both, "instead_of")
        return data


class UnenrollBody(CoursesBody):
    """The courses to unenroll from."""

    reason = LedgerReason()


class ReplaceBody(Schema):
    """The courses that the student is enrolled in or waitlisted for afterwards, exactly."""

    course_ids = CourseIds(
        0,
        maximum=None,
        required=True,
        metadata={"description": f"At most {MAX_COURSES}, or as many as the student has at present if those are more."},
    )
    waitlist = StrictBoolean(load_default=False)
    credits = CreditsByCourse()
    reason = LedgerReason()

    @post_load
    def check_courses(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Raise `ValidationError` for credits of another course."""
        _check_credits(data)
        return data


class TermId(QueryInteger):
    """The id of a term in a query."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(1, MAX_ID, allow_none=False, metadata={"x-type": "Id", "description": description}, **kwargs)


class EnrollQuery(Schema):
    """The option of enrolling."""

    dry_run = QueryBoolean(
        load_default=False,
        metadata={"description": "Whether to decide only."},
    )


class ReplaceQuery(Schema):
    """The options of replacing."""

    dry_run = QueryBoolean(
        load_default=False,
        metadata={"description": "Whether to decide and respond only, and change nothing."},
    )
    term_id = TermId("Only those of this term.")


class UnenrollQuery(Schema):
    """The courses to unenroll from, for clients whose proxies drop the body of a DELETE: `?course_id=1&course_id=2`."""

    course_ids = CourseIds(
        1,
        QueryInteger(1, MAX_ID, metadata={"x-type": "Id"}),
        data_key="course_id",
        metadata={"description": "The courses; repeat the parameter for several.", "examples": [[1, 2]]},
    )


class StudentCoursesQuery(Schema):
    """Which of a student's courses."""

    status = fields.String(
        load_default=ENROLLED,
        validate=validate.OneOf([ENROLLED, WAITLISTED, "any"]),
        metadata={"description": "Only courses with this status."},
    )
    term_id = TermId("Only those of this term.", load_default=None)


class EnrollResult(Schema):
    """The outcome for one course; `position` is there for a waitlisted student."""

    course_id = ResponseId()
    outcome = Word(
        "enrolled",
        "waitlisted",
        "already_enrolled",
        "already_waitlisted",
        "unenrolled",
        "withdrawn",
        "left_waitlist",
        "not_enrolled",
    )
    position = fields.Integer()


class EnrollResponse(Schema):
    """The outcome for each course, in the order of the request and of `instead_of`; or the decisions of a dry run."""

    student_id = ResponseId()
    results = fields.List(fields.Nested(EnrollResult))
    decisions = fields.List(fields.Nested(DecisionDetails))


class UnenrollResult(Schema):
    """The outcome for one course."""

    course_id = ResponseId()
    outcome = Word("unenrolled", "withdrawn", "left_waitlist", "not_enrolled")


class UnenrollResponse(Schema):
    """The outcome for each course, in the order of the request."""

    student_id = ResponseId()
    results = fields.List(fields.Nested(UnenrollResult), required=True)


class ReplaceResponse(Schema):
    """Course ids by outcome; `kept` are courses in which the student was enrolled or waitlisted before."""

    student_id = ResponseId()
    enrolled = IdsField()
    waitlisted = IdsField()
    unenrolled = IdsField()
    withdrawn = IdsField()
    kept = IdsField()


class PassedOver(Schema):
    """When promotion stopped at a waiting student while a seat was free, and the codes of the rules against it."""

    at = Moment()
    codes = fields.List(fields.String(), required=True)

    @staticmethod
    def written(row: Any) -> dict[str, Any] | None:
        """Return what a response has of a row with a mark. A mark that a change by hand left over says nothing."""
        if row.status != WAITLISTED:
            return None
        return {"at": row.passed_over_at, "codes": (row.passed_over_for or "").split()}


class StudentCourse(Schema):
    """A course in which the student is enrolled or waitlisted."""

    id = ResponseId()
    code = Word()
    title = Word()
    status = Status()
    status_since = Moment()
    position = Whole(allow_none=True)
    term_id = ResponseId(allow_none=True)
    credits = Credits(allow_none=True, required=True)
    passed_over = fields.Nested(PassedOver, allow_none=True, required=True)


class StudentCoursesResponse(Schema):
    """The courses in which a student is enrolled or waitlisted, by course code."""

    student_id = ResponseId()
    courses = fields.List(fields.Nested(StudentCourse), required=True)
