"""The meetings of a course, and its links to other courses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from .fields import ClockTime, Day, Id, StrictInteger, Text
from .lists import Distinct
from .response_fields import IdsField, ResponseId, Whole, Word

MAX_MEETINGS, MAX_LINK_GROUPS, MAX_LINKS = 200, 20, 200


class MeetingBody(Schema):
    """A weekly meeting, by the clock of the school."""

    weekday = StrictInteger(1, 7, required=True, metadata={"description": "1 is Monday, 7 is Sunday."})
    starts = ClockTime(required=True)
    ends = ClockTime(required=True, metadata={"description": "On the same day: no meeting goes past midnight."})
    starts_on = Day(required=True)
    ends_on = Day(required=True, metadata={"description": "The last day."})
    place = Text(200, joiners=True, allow_none=True, load_default=None)

    @validates_schema
    def _is_in_order(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["starts"] >= data["ends"]:
            raise ValidationError("Must be later than starts: no meeting goes past midnight.", "ends")
        if data["starts_on"] > data["ends_on"]:
            raise ValidationError("Must not be before starts_on.", "ends_on")


class Meeting(Schema):
    """A weekly meeting, by the clock of the school."""

    weekday = Whole()
    starts = Word()
    ends = Word()
    starts_on = fields.Date(required=True)
    ends_on = fields.Date(required=True)
    place = Word(allow_none=True)


class ChangedMeetings(Schema):
    """The meetings after a change. `now_clashing`: students of the course who now have two courses at the same time."""

    meetings = fields.List(fields.Nested(Meeting), required=True)
    now_clashing = IdsField()


class LinksBody(Schema):
    """Groups of courses: with this course, a student takes one course of each group."""

    groups = Distinct(
        Distinct(Id(), 1, MAX_LINKS),
        0,
        MAX_LINK_GROUPS,
        one="a group",
        many="groups",
        key=frozenset,
        required=True,
    )


class Links(Schema):
    """With this course, a student takes one course of each group."""

    groups = fields.List(fields.List(ResponseId()), required=True)


MEETINGS_BODY = Distinct(
    fields.Nested(MeetingBody),
    0,
    MAX_MEETINGS,
    one="a meeting",
    many="meetings",
    key=lambda meeting: tuple(sorted(meeting.items(), key=lambda pair: pair[0])),
)
MEETINGS_EXAMPLE = [
    {
        "weekday": 1,
        "starts": "09:00",
        "ends": "09:50",
        "starts_on": "2026-09-01",
        "ends_on": "2026-12-18",
        "place": "Hall 4",
    }
]
LINKS_EXAMPLE = {"groups": [[4, 5, 6]]}
