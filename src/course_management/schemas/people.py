"""People, and the accounts with which people and students sign in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from ..models import ROLES
from .fields import Email, ExternalId, Id, Text
from .lists import Choice, SetField
from .pagination import page_of
from .resources import ResourceSchema
from .response_fields import MOMENT, Moment, ResponseId, Word

ACCOUNT_BODY = {"issuer": "https://login.example.edu", "subject": "grace@example.edu"}
MAX_ADVISEES = 2_000
MAX_LENGTH = 255
"""Characters of an issuer and of a subject."""


def _part_of_a_name(example: str) -> Text:
    return Text(200, joiners=True, allow_none=True, load_default=None, metadata={"example": example})


class PersonSchema(ResourceSchema):
    """A member of the staff, who may be a student as well (`student_id`). Students themselves need no person."""

    searched = "words of the name and the e-mail address"

    name = Text(200, joiners=True, required=True, metadata={"example": "Grace Hopper"})
    given_name = _part_of_a_name("Grace")
    family_name = _part_of_a_name("Hopper")
    email = Email(
        allow_none=True,
        load_default=None,
        metadata={
            "example": "grace@example.edu",
            "filter": True,
            "description": "Upper and lower case count as the same; several people may have the same address.",
        },
    )
    external_id = ExternalId()
    student_id = Id(
        allow_none=True,
        load_default=None,
        metadata={"example": 2, "description": "The student that this person is, if it is one."},
    )
    roles = SetField(
        Choice(ROLES),
        len(ROLES),
        one="a role",
        many="roles",
        metadata={"example": ["advisor"], "description": "What the person may do for every student and course."},
    )
    advises = SetField(
        Id(),
        MAX_ADVISEES,
        metadata={
            "example": [1],
            "description": "The ids of the students whom the person advises; without the role advisor, of no effect.",
        },
    )


class Opaque(fields.String):
    """A text of another system, compared exactly: printable, and neither trimmed nor normalized."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"minLength": 1, "maxLength": MAX_LENGTH} | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not (0 < len(text) <= MAX_LENGTH and text.isprintable()):
            raise ValidationError(f"Must be 1 to {MAX_LENGTH} printable characters.")
        return text


class AccountBody(Schema):
    """The issuer of tokens, and the subject that it knows the person or student as: `iss` and `sub` of the tokens."""

    issuer = Opaque(required=True, metadata={"description": "Exactly as in the tokens."})
    subject = Opaque(required=True, metadata={"description": "Exactly as in the tokens."})


class AccountResponse(Schema):
    """An account with which a person or student signs in. It is never changed."""

    example: ClassVar[dict[str, Any]] = {"id": 1, **ACCOUNT_BODY, "created_at": MOMENT, "updated_at": MOMENT}

    id = ResponseId()
    issuer = Word()
    subject = Word()
    created_at = Moment()
    updated_at = Moment()


Accounts = page_of("Accounts", AccountResponse)
