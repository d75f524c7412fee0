"""Strict fields of requests.

marshmallow's own fields are lenient: they accept 5.7 and "5" as integers, "yes" as a boolean, and NUL and lone
surrogates as text, which one of the databases refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from ..database.types import MAX_ID, as_number
from .characters import clean
from .email_addresses import canonical_address


class StrictInteger(fields.Integer):
    """A JSON integer. Refuses 1.0, "1" and true."""

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:
        bounds = validate.Range(minimum, maximum, error=f"Must be from {minimum} to {maximum}.")
        super().__init__(strict=True, validate=bounds, **kwargs)
        self.minimum, self.maximum = minimum, maximum

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if type(value) is not int:
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class Id(StrictInteger):
    """An id in a body: 1 to 2^53-1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, MAX_ID, metadata={"x-type": "Id"} | kwargs.pop("metadata", {}), **kwargs)


class QueryInteger(fields.Integer):
    """An integer in a query, in a range: digits without leading zeros, like an id in a path."""

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:
        bounds = validate.Range(minimum, maximum, error=f"Must be from {minimum} to {maximum}.")
        super().__init__(validate=bounds, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not (isinstance(value, str) and re.fullmatch("0|[1-9][0-9]{0,15}", value)):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class StrictBoolean(fields.Boolean):
    """A JSON boolean. Refuses 1, "true" and null."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise self.make_error("invalid")
        return value


class QueryBoolean(fields.Boolean):
    """A boolean in a query: the word true or false."""

    truthy = {"true"}  # noqa: RUF012 - marshmallow's own way to say it
    falsy = {"false"}  # noqa: RUF012


class Instant(fields.AwareDateTime):
    """A time as in RFC 3339, with its zone; loaded in UTC. `fromisoformat` alone also accepts weeks and bare dates."""

    FORM = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            if isinstance(value, str) and self.FORM.fullmatch(value):
                text, step = value.upper(), timedelta()
                if text[17:19] == "60":  # a leap second: the first second of the next minute
                    text, step = f"{text[:17]}59{text[19:]}", timedelta(seconds=1)
                return (datetime.fromisoformat(text) + step).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # the 30th of February, or a zone that leads to a year before 1 or after 9999
        raise ValidationError("Must be a time with its zone, as 2026-09-01T08:00:00Z; a + in a query is written %2B.")


class Future(Instant):
    """A time that has not come yet."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        instant = super()._deserialize(value, attr, data, **kwargs)
        if instant <= datetime.now(UTC):
            raise ValidationError("Must be in the future.")
        return instant


class Day(fields.Date):
    """A date as YYYY-MM-DD. `fromisoformat` alone also accepts weeks and dates without hyphens."""

    FORM = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
    FIRST, LAST = date(1900, 1, 1), date(2999, 12, 31)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        try:
            if self.FORM.fullmatch(value) and self.FIRST <= (day := date.fromisoformat(value)) <= self.LAST:
                return day
        except (TypeError, ValueError):
            pass  # no text, or the 30th of February
        raise ValidationError(f"Must be a date, as 2026-09-01, from {self.FIRST} to {self.LAST}.")


class Credits(fields.Float):
    """A number of credits, or of grade points, with at most two decimals; a `Decimal` here."""

    LARGEST = 999

    def __init__(self, **kwargs: Any) -> None:
        # Not `multipleOf`: validators that divide floats would refuse 2.3.
        metadata = {"minimum": 0, "maximum": self.LARGEST} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if type(value) in {int, float} and 0 <= value <= self.LARGEST:
            amount = Decimal(str(value))
            if amount == round(amount, 2):
                return amount
        raise ValidationError(f"Must be a number from 0 to {self.LARGEST} with at most two decimals.")

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return self.written(value)

    @staticmethod
    def written(value: Decimal | None) -> int | float | None:
        """Return the credits of a row as a response has them."""
        return None if value is None else as_number(value)


class ClockTime(fields.String):
    """A time of the school's clock as `09:00`; `24:00` is the end of the day."""

    FORM = "([01][0-9]|2[0-3]):[0-5][0-9]|24:00"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"pattern": f"^({self.FORM})$"} | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not (isinstance(value, str) and re.fullmatch(self.FORM, value)):
            raise ValidationError("Must be a time from 00:00 to 24:00, as 09:00.")
        return value


def credits_of(hundredths: int | None) -> int | float | None:
    """Return credits that are stored in hundredths as a response has them, as `Credits.written`."""
    if hundredths is None:
        return None
    return hundredths / 100 if hundredths % 100 else hundredths // 100


class Text(fields.String):
    """Visible text, in NFC, trimmed and with single spaces, so that texts that look the same are equal.

    Characters that are not displayed are refused (`characters.clean`). `joiners` lets the zero-width joiners of
    personal names in.
    """

    def __init__(self, maximum: int, *, joiners: bool = False, **kwargs: Any) -> None:
        super().__init__(metadata={"minLength": 1, "maxLength": maximum} | kwargs.pop("metadata", {}), **kwargs)
        self.maximum, self.joiners = maximum, joiners

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if len(value) > 4 * self.maximum:  # before normalizing: NFC shortens a text to a quarter at most
            raise ValidationError(f"Must be at most {self.maximum} characters long.")
        try:
            text = self.normalize(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if len(text) > self.maximum:
            raise ValidationError(f"Must be at most {self.maximum} characters long.")
        return text

    def normalize(self, text: str) -> str:
        """Return the text as it is stored. Raises `ValueError` with a sentence."""
        return clean(text, joiners=self.joiners)


class Email(Text):
    """An e-mail address, stored in its canonical form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(254, metadata={"format": "email"} | kwargs.pop("metadata", {}), **kwargs)

    def normalize(self, text: str) -> str:
        """Return the canonical form of an address. Raises `ValueError` with a sentence."""
        return canonical_address(super().normalize(text))


class ExternalId(Text):
    """The id of a row in the system that it came from."""

    def __init__(self) -> None:
        metadata = {
            "description": "The id in the system that the data came from.",
            "example": "sis-4711",
            "filter": True,
        }
        super().__init__(255, allow_none=True, load_default=None, metadata=metadata)


class Label(Text):
    """A text that may be empty; null is the empty text, too."""

    def __init__(self, maximum: int, *, metadata: Mapping[str, Any]) -> None:
        super().__init__(maximum, allow_none=True, load_default="", metadata={"minLength": 0, **metadata})

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Load the text. Raises `ValidationError`."""
        return "" if value is None else super().deserialize(value, *args, **kwargs)

    def normalize(self, text: str) -> str:
        """Return the text as it is stored. Raises `ValueError` with a sentence."""
        return super().normalize(text) if text.strip() else ""
