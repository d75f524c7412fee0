"""The week as a picture: where each meeting stands, and which meetings clash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..database import AnyRow
from .moments import weekday
from .texts import _

WIDTH, LEFT, TOP, HOUR = 760, 44, 26, 46
"""Of the picture, in its own units: it is scaled to the width of the page."""


@dataclass(frozen=True, slots=True)
class Box:
    """A meeting in the picture. Meetings at the same time share the width of their day."""

    course_id: int
    code: str
    status: str
    weekday: int
    starts: str
    ends: str
    place: str | None
    clashes: tuple[str, ...]
    """The codes of the courses that meet at the same time."""
    x: float
    y: float
    width: float
    height: float

    @property
    def text(self) -> str:
        """The meeting in words, for those who do not see the picture."""
        return _(
            "%(code)s, %(weekday)s, %(starts)s to %(ends)s",
            code=self.code,
            weekday=weekday(self.weekday),
            starts=self.starts,
            ends=self.ends,
        )


@dataclass(frozen=True, slots=True)
class Week:
    """The picture: its size, its days and hours with their places, and its meetings in the order of the week."""

    width: int
    height: int
    days: Sequence[tuple[str, float]]
    hours: Sequence[tuple[str, float]]
    boxes: Sequence[Box]


def drawn(meetings: Sequence[tuple[AnyRow, AnyRow]]) -> Week | None:
    """Return the week of these courses (`id, code, status`) and their meetings; None without a meeting."""
    if not meetings:
        return None
    in_order = sorted(meetings, key=lambda pair: (pair[1].weekday, pair[1].starts_minute, pair[0].code))
    days = range(1, max(5, *(each.weekday for _course, each in meetings)) + 1)
    first = min(_minutes(each.starts_minute) for _course, each in meetings) // 60
    last = -(-max(_minutes(each.ends_minute) for _course, each in meetings) // 60)
    day_width = (WIDTH - LEFT) / len(days)
    boxes = []
    for day in days:
        of_day = [pair for pair in in_order if pair[1].weekday == day]
        for course, meeting in of_day:
            same = [pair for pair in of_day if _overlap(meeting, pair[1])]
            starts, ends = _minutes(meeting.starts_minute), _minutes(meeting.ends_minute)
            boxes.append(
                Box(
                    course_id=course.id,
                    code=course.code,
                    status=course.status,
                    weekday=day,
                    starts=meeting.starts_minute,
                    ends=meeting.ends_minute,
                    place=meeting.place,
                    clashes=tuple(sorted({other.code for other, _meeting in same if other.id != course.id})),
                    x=LEFT + (day - 1) * day_width + same.index((course, meeting)) * day_width / len(same) + 2,
                    y=TOP + (starts - 60 * first) * HOUR / 60,
                    width=day_width / len(same) - 4,
                    height=max(14, (ends - starts) * HOUR / 60 - 2),
                )
            )
    return Week(
        WIDTH,
        TOP + (last - first) * HOUR + 6,
        [(weekday(day, short=True), LEFT + (day - 1) * day_width) for day in days],
        [(f"{hour:02}:00", TOP + (hour - first) * HOUR) for hour in range(first, last + 1)],
        boxes,
    )


def _minutes(clock: str) -> int:
    return 60 * int(clock[:2]) + int(clock[3:])


def _overlap(one: AnyRow, other: AnyRow) -> bool:
    return (
        _minutes(one.starts_minute) < _minutes(other.ends_minute)
        and _minutes(other.starts_minute) < _minutes(one.ends_minute)
        and bool(one.starts_on <= other.ends_on and other.starts_on <= one.ends_on)
    )
