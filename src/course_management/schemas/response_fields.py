"""Fields of responses. Each is always there, and may gain values in a later release.

They describe responses for the OpenAPI document; nothing is validated by them in production.
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from ..models import STATUSES

MOMENT = "2026-09-01T08:00:00.123456Z"


class Whole(fields.Integer):
    """A whole number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=True, **kwargs)


class ResponseId(Whole):
    """An id."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"format": "int64"}, **kwargs)


class IdsField(fields.List[int]):
    """A list of ids."""

    def __init__(self) -> None:
        super().__init__(fields.Integer(metadata={"format": "int64"}), required=True)


class Word(fields.String):
    """A text; `known` lists the values that it has at present."""

    def __init__(self, *known: str, type_name: str | None = None, meaning: str = "", **kwargs: Any) -> None:
        metadata: dict[str, Any] = {}
        if known:
            metadata["description"] = f"{meaning} One of: {', '.join(known)}.".lstrip()
        if type_name:
            metadata["x-type"] = type_name
        super().__init__(required=True, metadata=metadata, **kwargs)


class Status(Word):
    """The status of an enrollment: a named type in the OpenAPI document."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(*STATUSES, type_name="Status", meaning="The status of an enrollment.", **kwargs)


class Moment(fields.DateTime):
    """A time in UTC, RFC 3339 with Z."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=True, **kwargs)
