"""API keys of services."""

from __future__ import annotations

from datetime import datetime

from marshmallow import ValidationError, fields, validate

from ..access.keys import NAME
from ..access.policy import SCOPES
from ..database.types import utcnow
from .fields import Instant, Text
from .lists import Choice, SetField
from .resources import ResourceSchema
from .response_fields import MOMENT, Word


def _not_past(moment: datetime | None) -> None:
    if moment is not None and moment <= utcnow():
        raise ValidationError("Must be in the future. To end a key now, delete it.")


class KeySchema(ResourceSchema):
    """The API key of a service. Its secret is shown only once, when the key is created."""

    name = Text(
        50,
        required=True,
        validate=validate.Regexp(
            rf"(?:{NAME.pattern})\Z",
            error="Use letters, digits, dots, dashes and underscores, since it is in the ledger.",
        ),
        metadata={
            "example": "portal",
            "filter": True,
            "fixed": True,
            "description": "The service. At most two active keys may have the same name.",
        },
    )
    scopes = SetField(
        Choice(SCOPES),
        len(SCOPES),
        minimum=1,
        required=True,
        one="a scope",
        many="scopes",
        metadata={
            "example": ["courses:read"],
            "fixed": True,
            "description": "Only those that the caller has; `admin` includes all of them.",
        },
    )
    expires_at = Instant(
        allow_none=True,
        load_default=None,
        validate=_not_past,
        metadata={"example": "2099-12-31T00:00:00Z", "description": "null: it does not expire."},
    )
    prefix = fields.String(
        dump_only=True, metadata={"example": "u2XbzB8J", "description": "The beginning of the key, after `cmk_`."}
    )
    revoked_at = fields.DateTime(dump_only=True, allow_none=True, metadata={"example": None})
    last_used_at = fields.DateTime(
        dump_only=True, allow_none=True, metadata={"example": MOMENT, "description": "Exact to the minute."}
    )


class CreatedKey(KeySchema.response()):  # type: ignore[misc]
    """A new key. `key` is shown only here: send it as `Authorization: Bearer`."""

    key = Word()
