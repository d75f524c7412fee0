"""Errors: problem details (RFC 9457) and their extension members."""

from __future__ import annotations

from marshmallow import Schema, fields

from ..errors import Problem, Reason, all_codes
from .response_fields import ResponseId, Whole, Word

OWNER = {"description": "With `account_taken`: whose account it is.", "format": "int64"}


class ValidationErrorDetails(Schema):
    """An invalid value: `pointer` is a JSON pointer into the body, or the name of a parameter after a slash."""

    pointer = Word()
    detail = Word()


class ReasonDetails(Schema):
    """Why a student cannot enroll in a course. Each code has its page, /problems/<code-with-dashes>, and facts."""

    code = Word(*(cls.code for cls in Reason.__subclasses__()))
    detail = Word()
    capacity = fields.Integer(allow_none=True)
    waitlist_capacity = fields.Integer(allow_none=True)
    waitlist_open = fields.Boolean()
    closed_at = fields.DateTime()


class DecisionDetails(Schema):
    """Whether the student can enroll in one course, and all reasons against it."""

    course_id = ResponseId()
    outcome = Word("refused", "eligible", "already_enrolled", "already_waitlisted")
    reasons = fields.List(fields.Nested(ReasonDetails), required=True)


class ProblemDetails(Schema):
    """An error, RFC 9457. `code` is stable; `type` is a page that explains it."""

    type = Word()
    title = Word()
    status = Whole()
    detail = Word()
    instance = Word()
    code = Word(*(code for code, cls in all_codes().items() if issubclass(cls, Problem)))
    request_id = Word()
    errors = fields.List(fields.Nested(ValidationErrorDetails))
    decisions = fields.List(fields.Nested(DecisionDetails))
    existing_id = fields.Integer(
        metadata={
            "description": "With codes that end in `_taken`: the id that has the value, for callers that may read it.",
            "format": "int64",
        }
    )
    person_id = fields.Integer(metadata=OWNER)
    student_id = fields.Integer(metadata=OWNER)
