"""Cells become values; what a spreadsheet has damaged is refused."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from marshmallow import fields

from course_management.schemas.courses import CourseSchema
from course_management.schemas.fields import ClockTime, Credits, Day, Instant, StrictBoolean, StrictInteger, Text
from course_management.schemas.people import PersonSchema
from course_management.transfer.values import BadValue, parse

NEW_YORK = ZoneInfo("America/New_York")


def value(field: fields.Field[Any], text: str, *, is_id: bool = False) -> str:
    """Return the value as a text, with the codes of the warnings."""
    warnings: list[str] = []
    found = parse(field, text, NEW_YORK, lambda code, _: warnings.append(code), is_id=is_id)
    return " ".join([str(found), *warnings])


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        (Day(), "2022-02-01", "2022-02-01"),
        (Day(), "2021-12-01 00:00:00", "2021-12-01"),
        (Day(), "2022-2-01 00:00:00", "2022-02-01 unusual_date"),
        (Day(), "2022-01-31T04:59:59Z", "2022-01-30"),
        (Day(), "2022-01-31T00:00:00+01:00", "2022-01-30"),
        (Instant(), "2026-09-01 08:00:00Z", "2026-09-01 08:00:00+00:00"),
        (ClockTime(), "9:00", "09:00"),
        (ClockTime(), "09:30:00", "09:30"),
        (ClockTime(), "12:15 AM", "00:15"),
        (ClockTime(), "01:50 pm", "13:50"),
        (Credits(), "3.5", "3.5"),
        (StrictInteger(0, 100), "030", "30"),
        (StrictBoolean(), "Yes", "True"),
        (StrictBoolean(), "0", "False"),
        (PersonSchema.fields_of()["roles"], "advisor; registrar", "['advisor', 'registrar']"),
        (Text(50), "1.5E+3", "1.5E+3"),
        (CourseSchema.fields_of()["title"], "  Zoë ", "Zoë"),
    ],
)
def test_a_text_is_read_as_its_field_takes_it(field: fields.Field[Any], text: str, expected: str) -> None:
    assert value(field, text) == expected


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        (Text(255), "1.23457E+11", "spreadsheet_id"),
        (Text(255), "1,23457E+11", "spreadsheet_id"),
        (Text(255), "1E15", "spreadsheet_id"),
        (Text(255), "#REF!", "spreadsheet_error"),
        (Text(255), "########", "spreadsheet_error"),
        (Text(255), "M\ufffdller", "replacement_character"),
        (Text(255), "a\u200bb", "validation_failed"),
        (Day(), "01/02/2022", "ambiguous_date"),
        (Day(), "31/12/2022", "ambiguous_date"),
        (Day(), "1.2.22", "ambiguous_date"),
        (Day(), "44593", "spreadsheet_date"),
        (Day(), "2022-02-30", "validation_failed"),
        (Day(), "2022-02-30T00:00:00Z", "validation_failed"),
        (Day(), "soon", "validation_failed"),
        (Instant(), "2026-09-01", "validation_failed"),
        (ClockTime(), "13:00 PM", "validation_failed"),
        (ClockTime(), "ARRANGED", "validation_failed"),
        (Credits(), "3,5", "validation_failed"),
        (Credits(), "1 TO 4", "validation_failed"),
        (StrictInteger(0, 100), "30.0", "validation_failed"),
        (StrictInteger(0, 100), "-1", "validation_failed"),
        (StrictBoolean(), "maybe", "validation_failed"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(field: fields.Field[Any], text: str, code: str) -> None:
    with pytest.raises(BadValue) as refused:
        value(field, text, is_id=True)
    assert refused.value.code == code
    assert refused.value.detail[-1] == "."
