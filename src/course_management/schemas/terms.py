"""Terms and groups, and the lists that are replaced as a whole: windows, groups of a student, parts of a course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from .fields import Credits, Day, ExternalId, Id, Instant, StrictBoolean, Text
from .lists import Distinct
from .resources import ResourceSchema
from .response_fields import MOMENT, Moment, ResponseId

MAX_WINDOWS, MAX_GROUPS, MAX_RESTRICTIONS, MAX_INSTRUCTORS = 200, 200, 200, 200


def _until(example: str, text: str) -> Instant:
    return Instant(allow_none=True, load_default=None, metadata={"example": example, "description": text})


class TermSchema(ResourceSchema):
    """A period in which courses run. Dates are those of the school, in its time zone (the setting TIME_ZONE)."""

    code = Text(50, required=True, metadata={"example": "2026-fall", "filter": True})
    title = Text(200, joiners=True, required=True, metadata={"example": "Fall 2026"})
    starts_on = Day(required=True, metadata={"example": "2026-09-01"})
    ends_on = Day(required=True, metadata={"example": "2026-12-18", "description": "The last day of the term."})
    credit_limit = Credits(
        allow_none=True,
        load_default=None,
        metadata={
            "example": 18,
            "description": "The most credits of a student in the term, with at most two decimals. Null: no limit.",
        },
    )
    drop_until = _until("2026-09-15T22:00:00Z", "The end of dropping courses. Null: the end of the term.")
    withdraw_until = _until("2026-11-15T23:00:00Z", "The end of withdrawing. Null: no withdrawal after `drop_until`.")
    promote_until = _until("2026-09-08T22:00:00Z", "The end of the waitlists. Null: the end of the term.")
    external_id = ExternalId()


class GroupSchema(ResourceSchema):
    """What students have in common, such as a program. `code` is unique within its `kind`."""

    kind = Text(
        50,
        required=True,
        metadata={
            "example": "program",
            "filter": True,
            "description": "For example program, level, standing, campus or placement.",
        },
    )
    code = Text(50, required=True, metadata={"example": "CS-BSC", "filter": True})
    title = Text(200, joiners=True, required=True, metadata={"example": "Computer Science, Bachelor"})


class WindowBody(Schema):
    """A time in which students register for the courses of a term."""

    group_id = Id(
        allow_none=True, load_default=None, metadata={"description": "Students of this group. Null: all students."}
    )
    opens_at = Instant(required=True)
    closes_at = Instant(required=True, metadata={"description": "The first moment at which it is closed."})

    @validates_schema
    def _opens_before_it_closes(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["opens_at"] >= data["closes_at"]:
            raise ValidationError("Must be later than opens_at.", "closes_at")


class Window(Schema):
    """A registration window. Windows may overlap: a student can register while any window of the student is open."""

    group_id = ResponseId(allow_none=True)
    opens_at = Moment()
    closes_at = Moment()


class RestrictionBody(Schema):
    """A group whose students a course admits or excludes."""

    group_id = Id(required=True)
    admits = StrictBoolean(load_default=True, metadata={"description": "False: the students are excluded."})


class Restriction(Schema):
    """Of each kind with admitting groups, a student must be in one; and in no group that is excluded."""

    group_id = ResponseId()
    admits = fields.Boolean(required=True)


WINDOWS_BODY = Distinct(
    fields.Nested(WindowBody),
    0,
    MAX_WINDOWS,
    one="a window",
    many="windows",
    key=lambda window: tuple(sorted(window.items(), key=lambda pair: pair[0])),
)
RESTRICTIONS_BODY = Distinct(
    fields.Nested(RestrictionBody),
    0,
    MAX_RESTRICTIONS,
    one="a group",
    many="restrictions",
    key=lambda restriction: restriction["group_id"],
)
GROUP_IDS = Distinct(Id(), 0, MAX_GROUPS)
PERSON_IDS = Distinct(Id(), 0, MAX_INSTRUCTORS)
WINDOWS_EXAMPLE = [
    {"group_id": 1, "opens_at": "2026-08-03T06:00:00Z", "closes_at": "2026-09-08T22:00:00Z"},
    {"group_id": None, "opens_at": MOMENT, "closes_at": "2026-09-08T22:00:00Z"},
]
RESTRICTIONS_EXAMPLE = [{"group_id": 1, "admits": True}, {"group_id": 2, "admits": False}]
