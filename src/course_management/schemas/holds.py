"""Holds, which stop a student, and permissions, which waive a rule for a student in a course."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields

from ..models import BLOCKS
from .fields import Future, Id, Text
from .lists import Choice
from .pagination import page_of
from .response_fields import MOMENT, Moment, ResponseId, Word

LATER = "2027-01-31T23:00:00Z"
HOLD_BODY = {
    "kind": "financial",
    "note": "Invoice 4711 of 2025",
    "contact": "Bursar's office, bursar@example.edu",
    "blocks": "enroll",
    "until": None,
}
PERMISSION_BODY = {
    "course_id": 1,
    "rule": "permission_required",
    "reason": "Took an equivalent course elsewhere",
    "expires_at": LATER,
}


class HoldBody(Schema):
    """A block on a student until it is released, or until `until`."""

    kind = Text(50, required=True, metadata={"description": "Which block, for example financial or advising."})
    note = Text(1000, allow_none=True, load_default=None, metadata={"description": "For staff only."})
    contact = Text(
        200, joiners=True, required=True, metadata={"description": "Where the student can have the hold released."}
    )
    blocks = Choice(BLOCKS, required=True)
    until = Future(allow_none=True, load_default=None, metadata={"description": "Null: until it is released."})


class Hold(Schema):
    """A hold. `note` is left out where the student reads it."""

    example: ClassVar[dict[str, Any]] = {
        "id": 1,
        **HOLD_BODY,
        "placed_at": MOMENT,
        "placed_by": "registrar:3",
        "released_at": None,
        "released_by": None,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }

    id = ResponseId()
    kind = Word()
    note = fields.String(allow_none=True)
    contact = Word()
    blocks = Word(*BLOCKS, type_name="Blocks")
    until = Moment(allow_none=True)
    placed_at = Moment()
    placed_by = Word()
    released_at = Moment(allow_none=True)
    released_by = Word(allow_none=True)
    created_at = Moment()
    updated_at = Moment()


class PermissionBody(Schema):
    """A rule that is waived for a student in a course."""

    course_id = Id(required=True)
    rule = Text(50, required=True, metadata={"description": "The code of the reason that it waives."})
    reason = Text(500, joiners=True, required=True, metadata={"description": "Why; kept in the ledger."})
    expires_at = Future(allow_none=True, load_default=None, metadata={"description": "Null: until it is revoked."})


class Permission(Schema):
    """A permission."""

    example: ClassVar[dict[str, Any]] = {
        "id": 1,
        **PERMISSION_BODY,
        "granted_at": MOMENT,
        "granted_by": "instructor:4",
        "revoked_at": None,
        "revoked_by": None,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }

    id = ResponseId()
    course_id = ResponseId()
    rule = Word()
    reason = Word()
    expires_at = Moment(allow_none=True)
    granted_at = Moment()
    granted_by = Word()
    revoked_at = Moment(allow_none=True)
    revoked_by = Word(allow_none=True)
    created_at = Moment()
    updated_at = Moment()


Holds = page_of("Holds", Hold)
Permissions = page_of("Permissions", Permission)
