"""Students, and their history."""

from __future__ import annotations

from typing import Any, ClassVar

from .fields import Email, ExternalId, Text
from .ledger import EXAMPLE, LedgerLine
from .pagination import page_of
from .resources import ResourceSchema
from .response_fields import ResponseId


class StudentSchema(ResourceSchema):
    """A student."""

    searched = "words of the name and the e-mail address"

    name = Text(200, joiners=True, required=True, metadata={"example": "Ada Lovelace"})
    email = Email(
        allow_none=True,
        load_default=None,
        metadata={
            "example": "ada@example.edu",
            "filter": True,
            "description": "Upper and lower case count as the same; in a query, + is written %2B.",
        },
    )
    external_id = ExternalId()


class StudentEvent(LedgerLine):
    """A line of a student's history."""

    example: ClassVar[dict[str, Any]] = EXAMPLE | {"course_id": 1}

    course_id = ResponseId()


StudentHistory = page_of("StudentHistory", StudentEvent)
