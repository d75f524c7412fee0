"""Errors: problem details (RFC 9457) and their extension members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from marshmallow import Schema, fields

from ..errors import CodeTaken, CourseFull, ErrorCode, Problem, UnknownCourse, WaitlistFull, all_codes
from ..services.enrollment import rules
from ..services.enrollment.rules import installed  # noqa: F401 - which adds rules
from .response_fields import ResponseId, Whole, Word

OWNER = {"description": "With `account_taken`: whose account it is.", "format": "int64"}


class ValidationErrorDetails(Schema):
    """An invalid value: `pointer` is a JSON pointer into the body, or the name of a parameter after a slash."""

    pointer = Word()
    detail = Word()


_REASONS: tuple[type[ErrorCode], ...] = (UnknownCourse, CourseFull, WaitlistFull, *map(type, rules.RULES))
REASONS = {reason.code: reason for reason in _REASONS}
"""What may stand against a course, by its code."""


def _fact(name: str, examples: Sequence[Any]) -> fields.Field[Any]:
    """Return the field of a fact by examples of it; rules may mean different things by one name. It may be null."""
    if all(isinstance(example, list) for example in examples):
        return fields.List(_fact(name, [item for example in examples for item in example]))
    if all(isinstance(example, dict) for example in examples):
        members = {key: _fact(key, [example[key] for example in examples]) for key in examples[0]}
        described = Schema.from_dict(members, name=f"{name.title()}Fact")
        described.__doc__ = f"An item of `{name}`."
        return fields.Nested(described)
    if name.endswith(("_id", "_ids")):
        return fields.Integer(allow_none=True, metadata={"format": "int64"})
    if name.endswith(("_at", "_until")):
        return fields.DateTime(allow_none=True)
    types = {type(example) for example in examples}
    kind = Schema.TYPE_MAPPING[types.pop()] if len(types) == 1 else fields.Raw
    return kind(allow_none=True)


_EXAMPLES: dict[str, list[Any]] = {}
for _reason in REASONS.values():
    for _name, _value in _reason.example.items():
        _EXAMPLES.setdefault(_name, []).append(_value)
FACTS = {name: _fact(name, examples) for name, examples in _EXAMPLES.items()}


class ReasonDetails(Schema.from_dict(FACTS)):  # type: ignore[misc]
    """Why a student cannot enroll in a course. Each code has its page, /problems/<code-with-dashes>, and facts."""

    code = Word(*REASONS)
    detail = Word()


class DecisionDetails(Schema):
    """Whether the student can enroll in one course, and all reasons against it."""

    course_id = ResponseId()
    outcome = Word("refused", "eligible", "already_enrolled", "already_waitlisted", "not_enrolled")
    reasons = fields.List(fields.Nested(ReasonDetails), required=True)


class ProblemDetails(Schema):
    """An error, RFC 9457. `code` is stable; `type` is a page that explains it."""

    example: ClassVar[dict[str, Any]] = {
        "type": f"/problems/{CodeTaken.slug()}",
        "title": CodeTaken.title,
        "status": CodeTaken.status,
        "detail": CodeTaken.meaning,
        "instance": "/courses",
        "code": CodeTaken.code,
        "request_id": "5f0c5b1e",
        "existing_id": 7,
    }

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
