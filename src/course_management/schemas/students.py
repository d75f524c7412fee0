"""Students, and their history."""

from __future__ import annotations

from .fields import Email, Text
from .ledger import LedgerLine
from .resources import ResourceSchema, page_of
from .response_fields import ResponseId


class StudentSchema(ResourceSchema):
    """A student."""

    name = Text(200, joiners=True, required=True, metadata={"example": "Ada Lovelace"})
    email = Email(
        required=True,
        metadata={
            "example": "ada@example.edu",
            "filter": True,
            "description": "Upper and lower case count as the same; in a query, + is written %2B.",
        },
    )


class StudentEvent(LedgerLine):
    """A line of a student's history."""

    course_id = ResponseId()


StudentHistory = page_of("StudentHistory", StudentEvent)
