"""The values of cells: a text as the field of a schema takes it, or an error that says what to do.

What a spreadsheet has damaged is refused, because its first form is lost. Each field then checks the value itself.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from ..database.types import as_number
from ..schemas.fields import ClockTime, Credits, Day, Instant, StrictBoolean, StrictInteger
from ..schemas.lists import SetField

Warn = Callable[[str, str], object]
"""Called with a code and a sentence."""
TRUE, FALSE = {"true", "yes", "1", "t", "y"}, {"false", "no", "0", "f", "n"}
_SCIENTIFIC = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
_SPREADSHEET_ERROR = re.compile(r"#(REF!|N/A|NAME\?|VALUE!|DIV/0!|NUM!|NULL!)|#+")
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ](?P<clock>(?P<hour>\d{1,2}):(?P<minute>\d\d)(:(?P<second>\d\d)(\.\d+)?)?)\s?(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::00)?\s*([AP]M)?", re.IGNORECASE | re.ASCII)


class BadValue(Exception):
    """A cell cannot be used. `code` and the sentence are for the report."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def parse(field: fields.Field[Any], text: str, zone: tzinfo, warn: Warn, *, is_id: bool = False) -> Any:
    """Return the value of a text that is not empty. Raises `BadValue`.

    `is_id`: the text is an id of another system, which a spreadsheet may have taken for a number. `zone` is the time
    zone of the school, in which a date with a time is a day.
    """
    if "\ufffd" in text:
        detail = "The value has a replacement character (U+FFFD): a program lost a letter here. Export the file again."
        raise BadValue("replacement_character", detail)
    if _SPREADSHEET_ERROR.fullmatch(text):
        detail = f"{text} is an error of a spreadsheet, not a value. Export the file again, without a spreadsheet."
        raise BadValue("spreadsheet_error", detail)
    if is_id and _SCIENTIFIC.fullmatch(text):
        detail = (
            f"{text} is what a spreadsheet makes of a long number, and its digits are lost. Export the file again, "
            "and do not save it with a spreadsheet."
        )
        raise BadValue("spreadsheet_id", detail)
    try:
        return field.deserialize(_prepared(field, text, zone, warn))
    except ValidationError as error:
        raise BadValue("validation_failed", f"{_short(text)}: {_first(error.messages)}") from None


def written(value: Any) -> str:
    """Return the text from which `parse` makes this value again; None is the empty text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return str(as_number(value))
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _prepared(field: fields.Field[Any], text: str, zone: tzinfo, warn: Warn) -> Any:
    """Return the text as the JSON value that the field takes."""
    match field:
        case StrictInteger():
            prepared: Any = int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else text
        case Credits():
            prepared = float(text) if re.fullmatch(r"\d{1,9}(\.\d+)?", text, re.ASCII) else text
        case StrictBoolean():
            prepared = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}.get(text.casefold())
            if prepared is None:
                raise BadValue("validation_failed", f"{_short(text)}: Must be true or false.")
        case Day():
            prepared = _day(text, zone, warn)
        case Instant():
            prepared = text.replace(" ", "T", 1)
        case ClockTime():
            prepared = _clock(text)
        case SetField():
            prepared = [code for code in re.split(r"[;,\s]+", text) if code]
        case _:
            prepared = text
    return prepared


def _day(text: str, zone: tzinfo, warn: Warn) -> str:
    match = _DATE.fullmatch(text)
    if match is None:
        raise BadValue(*_not_a_date(text))
    year, month, day = match.group(1, 2, 3)
    day_text = f"{year}-{int(month):02}-{int(day):02}"
    if len(month) + len(day) < 4:  # noqa: PLR2004 - two digits each
        warn("unusual_date", f"{text} was read as {day_text}. Write dates as YYYY-MM-DD.")
    if match["zone"]:
        clock = f"{int(match['hour']):02}:{match['minute']}:{match['second'] or '00'}"
        offset = match["zone"].upper().replace("Z", "+00:00")
        try:
            return datetime.fromisoformat(f"{day_text}T{clock}{offset}").astimezone(zone).date().isoformat()
        except (ValueError, OverflowError):
            raise BadValue("validation_failed", f"{text} is not a date of the calendar.") from None
    return day_text


def _not_a_date(text: str) -> tuple[str, str]:
    if match := re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d\d|\d{4})(\s.*)?", text):
        if reading := _only_reading(int(match[1]), int(match[2]), int(match[3])):
            return "ambiguous_date", f"{text}: Write dates as YYYY-MM-DD, this one as {reading}."
        return "ambiguous_date", f"{text} may be day or month first. Write dates as YYYY-MM-DD."
    if re.fullmatch(r"\d{5}(\.\d+)?", text):
        return "spreadsheet_date", f"{text} is a date as spreadsheets store it. Write dates as YYYY-MM-DD."
    return "validation_failed", f"{_short(text)}: Must be a date, as 2026-09-01."


def _only_reading(first: int, second: int, year: int) -> str | None:
    """Return the date of a day and a month in unknown order, if only one order makes one; the year has four digits."""
    dates = set()
    for month, day in ((first, second), (second, first)):
        with contextlib.suppress(ValueError):
            dates.add(date(year, month, day).isoformat())
    return dates.pop() if len(dates) == 1 and year >= 1000 else None  # noqa: PLR2004 - four digits


def _clock(text: str) -> str:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return text
    hour, half = int(match[1]), (match[3] or "").upper()
    if half and 1 <= hour <= 12:  # noqa: PLR2004 - the hours of a half day
        hour = hour % 12 + (12 if half == "PM" else 0)
    elif half:
        return text
    return f"{hour:02}:{match[2]}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")  # noqa: PLR2004 - for one line of a report


def _first(messages: Any) -> str:
    """Return one sentence of marshmallow's messages, which may be nested."""
    while not isinstance(messages, str):
        messages = next(iter(messages.values() if isinstance(messages, dict) else messages))
    return messages
