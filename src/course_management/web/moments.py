"""Times as people read them: in the school's time zone, which is named."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import Flask, current_app
from markupsafe import Markup

from .texts import N_, Reader, _, reader

WEEKDAYS = (
    N_("Monday"),
    N_("Tuesday"),
    N_("Wednesday"),
    N_("Thursday"),
    N_("Friday"),
    N_("Saturday"),
    N_("Sunday"),
)
SHORT_WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
MONTHS = (
    N_("Jan"),
    N_("Feb"),
    N_("Mar"),
    N_("Apr"),
    N_("May"),
    N_("Jun"),
    N_("Jul"),
    N_("Aug"),
    N_("Sep"),
    N_("Oct"),
    N_("Nov"),
    N_("Dec"),
)


def init_app(app: Flask) -> None:
    """Give templates the filters `moment`, `day`, `weekday`, `weekly` and `duration`, and the name of the time zone."""
    app.jinja_env.filters.update(moment=moment, day=day, weekday=weekday, weekly=weekly, duration=duration)
    app.jinja_env.globals["zone_name"] = zone_name


def zone() -> ZoneInfo:
    """Return the school's time zone."""
    found: ZoneInfo = current_app.extensions["time_zone"]
    return found


def zone_name() -> str:
    """Return the name of the school's time zone, such as Europe/Berlin."""
    return zone().key


def moment(at: datetime | None) -> Markup | str:
    """Return a time as HTML: in words, and in UTC for machines."""
    return "" if at is None else _moment(reader(), zone(), at)


@lru_cache(maxsize=4096)  # 12 µs, and the rows of a list have a time each
def _moment(_reader: Reader, _zone: ZoneInfo, at: datetime) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", in_words(at))


def in_words(at: datetime | str) -> str:
    """Return a time with its zone, such as `Mon 17 Aug 2026, 08:00 CDT`. A text is a time as JSON has it."""
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    own = at.astimezone(zone())
    return _(
        "%(weekday)s %(day)s %(month)s %(year)s, %(time)s %(zone)s",
        weekday=_(SHORT_WEEKDAYS[own.weekday()]),
        day=own.day,
        month=_(MONTHS[own.month - 1]),
        year=own.year,
        time=f"{own:%H:%M}",
        zone=f"{own:%Z}",
    )


def day(on: date | str) -> str:
    """Return a day, such as `17 Aug 2026`."""
    if isinstance(on, str):
        on = date.fromisoformat(on)
    return _("%(day)s %(month)s %(year)s", day=on.day, month=_(MONTHS[on.month - 1]), year=on.year)


def weekday(number: int, *, short: bool = False) -> str:
    """Return the name of a weekday; 1 is Monday."""
    return _((SHORT_WEEKDAYS if short else WEEKDAYS)[number - 1])


class Weekly(NamedTuple):
    """Meetings at the same time on several days: their days in words, the time, and the place."""

    days: str
    starts: str
    ends: str
    place: str | None


def weekly(meetings: Iterable[Any]) -> list[Weekly]:
    """Return the meetings of a course, those at the same time and place in one line, such as `Mon, Wed, Fri 09:00`."""
    days: dict[tuple[str, str, str | None], list[str]] = {}
    for each in meetings:
        key = each.starts_minute, each.ends_minute, each.place
        days.setdefault(key, []).append(weekday(each.weekday, short=True))
    return [Weekly(", ".join(dict.fromkeys(names)), *key) for key, names in days.items()]


def duration(seconds: float) -> str:
    """Return a time span in words, rounded down to days and hours, hours and minutes, or minutes."""
    minutes = int(seconds) // 60
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return _("%(days)s days and %(hours)s hours", days=days, hours=hours)
    if hours:
        return _("%(hours)s hours and %(minutes)s minutes", hours=hours, minutes=minutes % 60)
    return _("%(minutes)s minutes", minutes=minutes)
