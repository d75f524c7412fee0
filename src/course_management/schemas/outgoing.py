"""What goes out. These document the answers; every answer of the test suite is validated against them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from ..errors import (
    CodeTaken,
    CourseFull,
    CourseNotFound,
    EmailTaken,
    EnrollmentRefused,
    Explained,
    Problem,
    UnknownCourse,
    ValidationFailed,
    catalogue,
)
from ..models import ENROLLED, STATUSES, WAITLISTED

MOMENT = "2026-09-01T08:00:00.123456Z"
EXAMPLE_IDS = {"student_id": 7, "course_id": 1}


class Whole(fields.Integer):
    """A whole number, always there."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=True, **kwargs)


class Word(fields.String):
    """A text, always there; `allowed` lists the only ones it can be."""

    def __init__(self, *allowed: str, **kwargs: Any) -> None:
        super().__init__(required=True, validate=validate.OneOf(allowed) if allowed else None, **kwargs)


class Moment(fields.DateTime):
    """A time in UTC, RFC 3339 with Z."""

    def __init__(self) -> None:
        super().__init__(required=True)


class WholeList(fields.List[int]):
    """A list of ids, always there."""

    def __init__(self) -> None:
        super().__init__(fields.Integer(), required=True)


class Student(Schema):
    """A student."""

    id = Whole()
    name = Word()
    email = Word()
    created_at = Moment()


class Course(Schema):
    """A course and its counters. Null means no limit."""

    id = Whole()
    code = Word()
    title = Word()
    capacity = Whole(allow_none=True)
    waitlist_capacity = Whole(allow_none=True)
    seats_taken = Whole()
    seats_available = Whole(allow_none=True)
    waiting = Whole()
    created_at = Moment()


class PromotionResult(Schema):
    """How many students this request promoted. `pending`: more will be promoted in the background."""

    promoted = Whole()
    pending = fields.Boolean(required=True)


class ChangedCourse(Course):
    """A course after a change; `promotion` is there if students were waiting for it."""

    promotion = fields.Nested(PromotionResult)


class RosterEntry(Schema):
    """One student of a course's roster or queue. The name is null where the student was deleted since (`as_of`)."""

    student_id = Whole()
    name = Word(allow_none=True)
    status = Word(ENROLLED, WAITLISTED)
    status_since = Moment()
    position = Whole(allow_none=True)


class Event(Schema):
    """A line of the ledger. `from` is null the first time."""

    at = Moment()
    from_ = Word(*STATUSES, data_key="from", allow_none=True)
    to = Word(*STATUSES)
    actor = Word()
    request_id = Word(allow_none=True)


class StudentEvent(Event):
    """A line of a student's history."""

    course_id = Whole()


class CourseEvent(Event):
    """A line of a course's history."""

    student_id = Whole()


class Page(Schema):
    """One page of a list; `next` is the cursor of the following one, null at the end."""

    next = Word(allow_none=True)


class Students(Page):
    """A page of students."""

    items = fields.List(fields.Nested(Student), required=True)


class Courses(Page):
    """A page of courses."""

    items = fields.List(fields.Nested(Course), required=True)


class Roster(Page):
    """A page of a roster."""

    items = fields.List(fields.Nested(RosterEntry), required=True)


class StudentHistory(Page):
    """A page of a student's history, newest first."""

    items = fields.List(fields.Nested(StudentEvent), required=True)


class CourseHistory(Page):
    """A page of a course's history, newest first."""

    items = fields.List(fields.Nested(CourseEvent), required=True)


class EnrollOutcome(Schema):
    """What became of one course; `position` is there for those who wait."""

    course_id = Whole()
    outcome = Word("enrolled", "waitlisted", "already_enrolled", "already_waitlisted")
    position = fields.Integer()


class EnrollAnswer(Schema):
    """What became of each course, in the order asked."""

    student_id = Whole()
    results = fields.List(fields.Nested(EnrollOutcome), required=True)


class UnenrollOutcome(Schema):
    """What became of one course."""

    course_id = Whole()
    outcome = Word("unenrolled", "left_waitlist", "not_enrolled")


class UnenrollAnswer(Schema):
    """What became of each course, in the order asked."""

    student_id = Whole()
    results = fields.List(fields.Nested(UnenrollOutcome), required=True)


class ReplaceAnswer(Schema):
    """Course ids by what became of them; `kept` includes places in queues."""

    student_id = Whole()
    enrolled = WholeList()
    waitlisted = WholeList()
    unenrolled = WholeList()
    kept = WholeList()


class HeldCourse(Schema):
    """A course as one student holds it."""

    id = Whole()
    code = Word()
    title = Word()
    status = Word(ENROLLED, WAITLISTED)
    status_since = Moment()
    position = Whole(allow_none=True)


class HeldCourses(Schema):
    """What a student holds, by course code."""

    student_id = Whole()
    courses = fields.List(fields.Nested(HeldCourse), required=True)


class Health(Schema):
    """A service that can do its work."""

    status = Word("ok")


class Mistake(Schema):
    """One place that is wrong: a JSON pointer into the body, or the name of a parameter behind a slash."""

    pointer = Word()
    detail = Word()


class Reason(Schema):
    """Why a course cannot be had. Each code has a page, /problems/<code-with-dashes>; facts differ by code."""

    code = Word("course_not_found", "course_full", "waitlist_full")
    detail = Word()
    capacity = fields.Integer(allow_none=True)
    waitlist_capacity = fields.Integer(allow_none=True)
    waitlist_open = fields.Boolean()


class Decision(Schema):
    """What stands in the way of one course, if anything."""

    course_id = Whole()
    outcome = Word("refused", "eligible", "already_enrolled", "already_waitlisted")
    reasons = fields.List(fields.Nested(Reason), required=True)


class ProblemDetails(Schema):
    """An error, RFC 9457. `code` is stable; `type` is a page that explains it."""

    type = Word()
    title = Word()
    status = Whole()
    detail = Word()
    instance = Word()
    code = Word(*(code for code, cls in catalogue().items() if issubclass(cls, Problem)))
    request_id = Word()
    errors = fields.List(fields.Nested(Mistake))
    decisions = fields.List(fields.Nested(Decision))
    existing_id = fields.Integer(
        metadata={"description": "With `email_taken` and `code_taken`: who has it, for callers who may read it."}
    )


def problem_body(problem: type[Problem], detail: str, instance: str, request_id: str) -> dict[str, Any]:
    """The members that every problem has; the facts of an occurrence come beside them."""
    return {
        "type": problem_page(problem),
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": instance,
        "code": problem.code,
        "request_id": request_id,
    }


def problem_page(cls: type[Explained]) -> str:
    """The address of the page that explains a code."""
    return f"/problems/{cls.slug()}"


def problem_example(problem: type[Problem], instance: str) -> dict[str, Any]:
    """A problem as a client gets it at the address `instance`, with the facts that come with its code."""
    facts: dict[str, Any] = {}
    if problem is ValidationFailed:
        facts["errors"] = [{"pointer": "/course_ids/3", "detail": "Must not repeat an id."}]
    elif problem is EnrollmentRefused:
        reason = {"code": CourseFull.code, "detail": CourseFull.meaning, "capacity": 30, "waitlist_open": True}
        facts["decisions"] = [
            {"course_id": 1, "outcome": "eligible", "reasons": []},
            {"course_id": 2, "outcome": "refused", "reasons": [reason]},
        ]
    elif problem is CourseNotFound and instance.endswith("enroll"):
        reason = {"code": UnknownCourse.code, "detail": UnknownCourse.meaning}
        facts["decisions"] = [{"course_id": 2, "outcome": "refused", "reasons": [reason]}]
    elif problem in (EmailTaken, CodeTaken):
        facts["existing_id"] = 7
    return problem_body(problem, problem.meaning, instance, "5f0c5b1e") | facts
