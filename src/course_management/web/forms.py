"""Fields of forms, beside those of the API: everything arrives as text, and an empty field is one left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from marshmallow import ValidationError, fields, pre_load
from marshmallow.validate import Range

from ..database.types import MAX_ID
from ..schemas.fields import Credits
from .moments import zone
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


class FormCredits(Credits):
    """Credits or points as people type them."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            amount = Decimal(str(value).strip().replace(",", "."))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not (amount.is_finite() and 0 <= amount <= self.LARGEST and amount == round(amount, 2)):
            raise ValidationError(f"Must be a number from 0 to {self.LARGEST} with at most two decimals.")
        return amount


class LocalMoment(fields.Field[datetime]):
    """A time that has not come yet, as `<input type="datetime-local">` sends it: in the school's time zone."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            local = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValidationError("Must be a date and a time.") from None
        if local.tzinfo is not None:
            raise ValidationError("Must be a date and a time.")
        moment = local.replace(tzinfo=zone()).astimezone(UTC)
        if moment <= datetime.now(UTC):
            raise ValidationError("Must be in the future.")
        return moment
