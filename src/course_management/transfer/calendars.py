"""iCalendar (RFC 5545): the meetings of courses as weekly events, by the clock of the school.

The text depends on the rows alone, so that a calendar that has not changed has the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from ..database import AnyRow

if TYPE_CHECKING:
    from icalendar import Event

PRODUCT = "-//course-management//schedule//EN"
MEDIA_TYPE = "text/calendar"
_MIDNIGHT = "24:00"


def calendar(name: str, meetings: Iterable[AnyRow], zone: ZoneInfo) -> bytes:
    """Return a calendar with an event for each meeting that has a day, repeated weekly until its last day.

    `meetings` are rows of `repositories.timetables`, in any order. Times are those of `zone`, so that a meeting at
    09:00 stays at 09:00 when daylight saving time begins or ends.
    """
    from icalendar import Calendar, vText  # noqa: PLC0415 - 3 MB of each worker, only where calendars are asked for

    result = Calendar()
    result.add("prodid", PRODUCT)
    result.add("version", "2.0")
    result.add("calscale", "GREGORIAN")
    result.add("name", vText(name))  # RFC 7986
    result.add("x-wr-calname", vText(name))  # what came before it, for programs that do not know that one
    same = Counter[str]()
    days: list[date] = []
    for meeting in sorted(meetings, key=_order):
        first = _on_weekday(meeting.starts_on, meeting.weekday)
        if first > meeting.ends_on:
            continue
        last = first + (meeting.ends_on - first) // timedelta(weeks=1) * timedelta(weeks=1)
        key = _key(meeting)
        same[key] += 1
        result.add_component(_event(meeting, first, last, f"{key}/{same[key]}", zone))
        days += first, last
    if days:
        result.add_missing_timezones(min(days) - timedelta(weeks=1), max(days) + timedelta(weeks=53))
    return bytes(result.to_ical())


def _event(meeting: AnyRow, first: date, last: date, key: str, zone: ZoneInfo) -> Event:
    from icalendar import Event, vRecur  # noqa: PLC0415 - as above

    event = Event()
    starts = time.fromisoformat(meeting.starts_minute)
    event.add("uid", str(uuid5(NAMESPACE_URL, key)))
    event.add("dtstamp", meeting.updated_at.replace(microsecond=0))
    event.add("dtstart", datetime.combine(first, starts, zone))
    event.add("dtend", _end(first, meeting.ends_minute, zone))
    if last > first:
        until = datetime.combine(last, starts, zone).astimezone(ZoneInfo("UTC"))
        event.add("rrule", vRecur(FREQ="WEEKLY", UNTIL=until))
    event.add("summary", f"{meeting.code} {meeting.title}")
    if meeting.component:
        event.add("categories", [meeting.component])
    if meeting.place:
        event.add("location", meeting.place)
    return event


def _end(day: date, ends: str, zone: ZoneInfo) -> datetime:
    if ends == _MIDNIGHT:
        return datetime.combine(day + timedelta(days=1), time(), zone)
    return datetime.combine(day, time.fromisoformat(ends), zone)


def _on_weekday(day: date, weekday: int) -> date:
    """Return the first day from `day` on with this weekday (1 is Monday)."""
    return day + timedelta(days=(weekday - day.isoweekday()) % 7)


def _key(meeting: AnyRow) -> str:
    """Return what stays the same when the place, the end or the title of a meeting changes.

    Ids repeat in other schools, so the moment in which the course was created is part of it.
    """
    created = meeting.created_at.isoformat()
    return f"courses/{meeting.course_id}/{created}/{meeting.weekday}/{meeting.starts_on}/{meeting.starts_minute}"


def _order(meeting: AnyRow) -> tuple[object, ...]:
    starts = (meeting.starts_on, meeting.weekday, meeting.starts_minute)
    return meeting.code, meeting.course_id, *starts, meeting.ends_on, meeting.ends_minute, meeting.place or ""
