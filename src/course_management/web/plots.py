"""Seats taken and students waiting over time, as a picture in the page.

The picture has lines only: its labels are HTML beside it, which stay readable on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from ..repositories.seat_history import Counts
from .moments import day, in_words, zone
from .texts import N_, _

WIDTH, HEIGHT = 1000, 100
"""Of the picture, in its own units; it is stretched to the place that it has."""
ROWS = 12
"""The most rows of the table beside it."""
PERIODS: dict[str, tuple[str, timedelta | None]] = {
    "all": (N_("Everything"), None),
    "30d": (N_("30 days"), timedelta(days=30)),
    "7d": (N_("7 days"), timedelta(days=7)),
    "24h": (N_("24 hours"), timedelta(hours=24)),
}
"""What a plot can cover, by the word in the address."""


def since(period: str, now: datetime) -> datetime | None:
    """Return the beginning of a period that ends now; None: the first line of the ledger."""
    length = PERIODS[period][1]
    return None if length is None else now - length


@dataclass(frozen=True, slots=True)
class Plot:
    """The picture: the lines of both counts, that of the capacity, and the same in words and as a table."""

    enrolled: str
    waiting: str
    capacity: float | None
    """The place of the line of the capacity; None without one."""
    largest: int
    times: Sequence[Markup | str]
    rows: Sequence[Counts]
    summary: str


def plotted(counts: Sequence[Counts], capacity: int | None = None) -> Plot | None:
    """Return the picture of these counts; None if there are none. `capacity` is the present one."""
    if not counts:
        return None
    highest = max(max(each.enrolled, each.waiting) for each in counts)
    # A limit far above what happened would press the lines to the ground.
    is_capacity_shown = capacity is not None and capacity <= 3 * max(highest, 1)
    largest = _round_up(max(highest, capacity or 0 if is_capacity_shown else 0, 1))
    first, last = counts[0].at, counts[-1].at
    most = max(counts, key=lambda each: each.waiting)
    summary = _(
        "Seats taken: %(before)s at the beginning, %(now)s at the end. Students waiting: %(waiting)s at the end, "
        "at most %(most)s.",
        before=counts[0].enrolled,
        now=counts[-1].enrolled,
        waiting=counts[-1].waiting,
        most=most.waiting,
    )
    return Plot(
        enrolled=_line(counts, [each.enrolled for each in counts], largest),
        waiting=_line(counts, [each.waiting for each in counts], largest),
        capacity=None if not is_capacity_shown or capacity is None else HEIGHT * (1 - capacity / largest),
        largest=largest,
        times=[_label(first + (last - first) * part, last - first) for part in (0, 0.5, 1)],
        rows=[counts[round(index * (len(counts) - 1) / (ROWS - 1))] for index in range(ROWS)]
        if len(counts) > ROWS
        else counts,
        summary=summary,
    )


def _line(counts: Sequence[Counts], values: Sequence[int], largest: int) -> str:
    """Return a line in steps: a count holds until the next one."""
    first, span = counts[0].at, max((counts[-1].at - counts[0].at).total_seconds(), 1)
    path: list[str] = []
    for each, value in zip(counts, values, strict=True):
        x = WIDTH * (each.at - first).total_seconds() / span
        y = HEIGHT * (1 - value / largest)
        path.append(f"H{x:.0f}V{y:.1f}" if path else f"M{x:.0f} {y:.1f}")
    return "".join(path)


def _round_up(value: int) -> int:
    """Return where the scale ends: the next multiple of a fifth of the largest power of ten, so half of it is whole."""
    step: int = max(10 ** (len(str(value)) - 1) // 5, 2)
    return -(-value // step) * step


def _label(at: datetime, span: timedelta) -> Markup | str:
    own = at.astimezone(zone())
    return day(own.date()) if span > timedelta(days=3) else in_words(at)


__all__ = ["PERIODS", "Plot", "plotted", "since"]
