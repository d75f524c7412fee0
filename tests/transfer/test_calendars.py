"""Calendars are read back, and keep the rules of RFC 5545."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # a part of what icalendar needs
from icalendar import Calendar

from course_management.transfer.calendars import calendar

BERLIN = ZoneInfo("Europe/Berlin")


def meeting(**values: Any) -> Any:
    given = {
        "course_id": 7,
        "code": "CS101",
        "title": "Programming",
        "component": "LEC",
        "created_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "updated_at": datetime(2026, 5, 1, 8, 30, 1, 999, tzinfo=UTC),
        "weekday": 1,
        "starts_minute": "09:00",
        "ends_minute": "09:50",
        "starts_on": date(2026, 9, 1),
        "ends_on": date(2026, 12, 18),
        "place": "Hall 4",
    }
    return SimpleNamespace(**given | values)


def events_of(data: bytes) -> list[Any]:
    return Calendar.from_ical(data).walk("VEVENT")


def starts_of(event: Any) -> list[datetime]:
    """Return all starts, each by its rule, in UTC."""
    if "RRULE" not in event:
        return [event.start]
    rule = rrulestr(event["RRULE"].to_ical().decode(), dtstart=event.start)
    return [each.astimezone(UTC) for each in rule]


def test_a_meeting_is_at_the_same_time_of_the_clock_before_and_after_daylight_saving_time_ends() -> None:
    (event,) = events_of(calendar("Ada", [meeting()], BERLIN))
    found = starts_of(event)
    local = [each.astimezone(BERLIN) for each in found]
    assert {(each.hour, each.minute, each.isoweekday()) for each in local} == {(9, 0, 1)}
    assert (local[0].date(), local[-1].date(), len(local)) == (date(2026, 9, 7), date(2026, 12, 14), 15)
    assert {each.hour for each in found} == {7, 8}
    assert event.end - event.start == timedelta(minutes=50)


def test_the_time_zone_is_in_the_calendar_with_its_changes() -> None:
    data = calendar("Ada", [meeting()], BERLIN)
    zone: Any = Calendar.from_ical(data).walk("VTIMEZONE")[0]
    assert zone["TZID"] == "Europe/Berlin"
    rebuilt = zone.to_tz()
    for day, hours in ((date(2026, 10, 19), 2), (date(2026, 10, 26), 1)):
        moment = datetime(day.year, day.month, day.day, 9, tzinfo=rebuilt)
        assert moment.utcoffset() == timedelta(hours=hours)
    assert b"VTIMEZONE" not in calendar("Ada", [meeting()], ZoneInfo("UTC"))


def test_the_last_day_is_the_last_one_even_if_it_is_the_day_of_the_meeting() -> None:
    (event,) = events_of(calendar("Ada", [meeting(ends_on=date(2026, 9, 14), starts_minute="00:00")], BERLIN))
    assert len(starts_of(event)) == 2
    (once,) = events_of(calendar("Ada", [meeting(ends_on=date(2026, 9, 13))], BERLIN))
    assert "RRULE" not in once
    assert events_of(calendar("Ada", [meeting(ends_on=date(2026, 9, 6))], BERLIN)) == []


def test_a_meeting_can_end_at_midnight() -> None:
    (event,) = events_of(calendar("Ada", [meeting(starts_minute="23:00", ends_minute="24:00")], BERLIN))
    assert event.end.isoformat() == "2026-09-08T00:00:00+02:00"


def test_the_same_rows_are_the_same_bytes_and_the_same_ids() -> None:
    meetings = [meeting(), meeting(weekday=3), meeting(place="Hall 5")]
    data = calendar("Ada", meetings, BERLIN)
    assert data == calendar("Ada", reversed(meetings), BERLIN)
    ids = [event["UID"] for event in events_of(data)]
    assert len({*ids}) == 3
    moved = events_of(calendar("Ada", [meeting(place="Hall 9", ends_minute="10:00", title="Other")], BERLIN))
    assert moved[0]["UID"] in ids
    assert {event["DTSTAMP"].dt for event in events_of(data)} == {datetime(2026, 5, 1, 8, 30, 1, tzinfo=UTC)}
    (elsewhere,) = events_of(calendar("Ada", [meeting(created_at=datetime(2026, 1, 2, tzinfo=UTC))], BERLIN))
    assert elsewhere["UID"] not in ids


def test_lines_are_folded_at_75_octets_end_with_crlf_and_texts_are_escaped() -> None:
    title = "Größe, Maß; \\ und Übung " * 8
    data = calendar("Ada\r\nBEGIN:VEVENT", [meeting(title=title.strip(), place="A,B;C\\D")], BERLIN)
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 75
    (event,) = events_of(data)
    assert (event["SUMMARY"], event["LOCATION"]) == (f"CS101 {title.strip()}", "A,B;C\\D")
    assert b"LOCATION:A\\,B\\;C\\\\D" in data
