"""Courses, their rosters and histories."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from ..models import ENROLLED, WAITLISTED
from .enrollment import PassedOver
from .fields import Credits, ExternalId, Id, Instant, Label, StrictBoolean, StrictInteger, Text
from .ledger import EXAMPLE, LedgerLine
from .pagination import PageQuery, page_of
from .resources import ResourceSchema
from .response_fields import MOMENT, Moment, ResponseId, Status, Whole, Word

MAX_LIMIT = 2**31 - 1
"""The largest capacity; the largest integer of PostgreSQL."""


def _seats_available(course: Any) -> int | None:
    return None if course.capacity is None else course.capacity - course.seats_taken


class CourseSchema(ResourceSchema):
    """A course and its counters. A capacity of null means no limit."""

    searched = "words of the code and the title"

    code = Text(50, required=True, metadata={"example": "CS101", "filter": True})
    title = Text(200, joiners=True, required=True, metadata={"example": "Programming"})
    capacity = StrictInteger(0, MAX_LIMIT, allow_none=True, load_default=None, metadata={"example": 30})
    waitlist_capacity = StrictInteger(0, MAX_LIMIT, allow_none=True, load_default=0, metadata={"example": 10})
    term_id = Id(
        allow_none=True,
        load_default=None,
        metadata={
            "example": 1,
            "filter": True,
            "description": "The term of the course. Null: the rules of registration do not apply, except `closed`. "
            "A course can be moved into a term, and then never leaves or changes it.",
        },
    )
    component = Label(
        20, metadata={"example": "LEC", "description": "Which part of its subject: LEC, LAB, DIS, or empty."}
    )
    catalog_id = Id(
        allow_none=True,
        load_default=None,
        metadata={"example": 1, "filter": True, "description": "The catalog entry that the course offers."},
    )
    credits = Credits(
        allow_none=True,
        load_default=None,
        metadata={
            "example": 3,
            "description": "What the course counts, only in a course of a term. Null: 0. Students who are enrolled "
            "already keep theirs.",
        },
    )
    credits_max = Credits(
        allow_none=True,
        load_default=None,
        metadata={"example": 4, "description": "The most credits, where a student chooses. Null: always `credits`."},
    )
    permission_required = StrictBoolean(
        load_default=False,
        metadata={"example": False, "description": "Whether a student needs a permission; only in a course of a term."},
    )
    closed = StrictBoolean(
        load_default=False,
        metadata={
            "example": False,
            "since": "closed_at",
            "description": "Whether the course takes no more students; those who are enrolled stay.",
        },
    )
    external_id = ExternalId()
    seats_taken = fields.Integer(dump_only=True, metadata={"example": 12})
    seats_available = fields.Function(
        _seats_available, dump_only=True, metadata={"type": ["integer", "null"], "example": 18}
    )
    waiting = fields.Integer(dump_only=True, metadata={"example": 0})
    passed_over_count = fields.Integer(
        dump_only=True,
        metadata={"example": 0, "description": "How many of those waiting the rules stopped when a seat was free."},
    )


class PromotionResult(Schema):
    """How many students this request promoted. `pending`: more will be promoted in the background."""

    promoted = Whole()
    pending = fields.Boolean(required=True)


class ChangedCourse(CourseSchema.response()):  # type: ignore[misc]
    """A course after a change; `promotion` is there if students were waiting for it."""

    promotion = fields.Nested(PromotionResult)


class RosterQuery(PageQuery):
    """Which part of a roster."""

    status = fields.String(
        load_default=ENROLLED,
        validate=validate.OneOf([ENROLLED, WAITLISTED]),
        metadata={"description": "The roster or the waitlist."},
    )
    sort = fields.String(
        load_default="id",
        validate=validate.OneOf(["id", "name"]),
        metadata={"description": "By student id (a waitlist: by position), or by name."},
    )
    as_of = Instant(
        metadata={"description": "As it was at this time (RFC 3339), from the ledger.", "examples": [MOMENT]}
    )


class RosterEntry(Schema):
    """One student of a course's roster or waitlist.

    With `as_of`, the name of a deleted student is null, and so is `passed_over`, which the ledger does not have.
    """

    example: ClassVar[dict[str, Any]] = {
        "student_id": 7,
        "name": "Ada Lovelace",
        "status": "enrolled",
        "status_since": MOMENT,
        "position": None,
        "credits": 4,
        "passed_over": None,
    }

    student_id = ResponseId()
    name = Word(allow_none=True)
    status = Status()
    status_since = Moment()
    position = Whole(allow_none=True)
    credits = Credits(allow_none=True, required=True)
    passed_over = fields.Nested(PassedOver, allow_none=True, required=True)


class CourseEvent(LedgerLine):
    """A line of a course's history."""

    example: ClassVar[dict[str, Any]] = EXAMPLE | {"student_id": 7}

    student_id = ResponseId()


Roster = page_of("Roster", RosterEntry)
CourseHistory = page_of("CourseHistory", CourseEvent)
