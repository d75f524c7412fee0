"""What queries and searches take: everything arrives as text, and an empty field is one left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, pre_load
from marshmallow.validate import Range

from ..database.types import MAX_ID
from .pages import Form


class EntryForm(Form):
    """A form that people fill in."""

    @pre_load
    def _without_empty(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value not in ("", [])}


class FormId(fields.Integer):
    """An id that a form chooses or has as a hidden field; None if it is left out and not required."""

    def __init__(self, *, required: bool = False) -> None:
        options: dict[str, Any] = {"required": True} if required else {"load_default": None}
        super().__init__(validate=Range(1, MAX_ID), **options)
