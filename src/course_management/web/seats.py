"""The seats of a course, as lists and pages of courses show them and as they are refreshed in place."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from flask import Flask
from markupsafe import Markup

from .texts import Reader, _, ngettext, reader

Counts = tuple[int | None, int, int | None, int, int]


def init_app(app: Flask) -> None:
    """Let templates show the seats of a course: `seats(course)`."""
    app.jinja_env.globals["seats"] = seats


def seats(course: Any, *, refreshed: bool = False) -> Markup:
    """Return the seats and the waitlist of a course. Nothing in it can have the focus.

    `refreshed`: it takes the place of the seats that the page shows.
    """
    return _shown(reader(), course, refreshed)


def seats_of(courses: Iterable[Any]) -> list[Markup]:
    """Return `seats` of each course of a long list, for which the reader is asked once."""
    present = reader()
    return [_shown(present, course, False) for course in courses]


def _shown(to: Reader, course: Any, refreshed: bool) -> Markup:
    counts = course.capacity, course.seats_taken, course.waitlist_capacity, course.waiting, course.passed_over_count
    return _seats(to, course.id, counts, course.closed_at is not None, refreshed)


# Not a macro: that takes 20 µs, two thirds of a row of a list, and most courses of a list are as they were before.
@lru_cache(maxsize=4096)
def _seats(_reader: Reader, course_id: int, counts: Counts, is_closed: bool, refreshed: bool) -> Markup:
    capacity, taken, places, waiting, passed_over = counts
    # What decides about the student who comes next: when it changes, a page asks anew what the student can do.
    state = "full" if places is not None and waiting >= places else "waitlist"
    if waiting == passed_over and (capacity is None or taken < capacity):
        state = "free"
    if is_closed:
        state = "closed"
    bar = more = Markup()
    if capacity is None:
        text = _("No limit; %(taken)s enrolled", taken=taken)
    else:
        values = capacity or 1, taken
        bar = Markup('<meter class="bar" min="0" max="{}" value="{}" aria-hidden="true"></meter>\n').format(*values)
        text = _("%(free)s of %(capacity)s seats free", free=capacity - taken, capacity=capacity)
    if waiting:
        sentence = ngettext("%(num)s student waits", "%(num)s students wait", waiting)
        more = Markup('<span class="waiting">{}</span>').format(sentence)
    swap = Markup(' hx-swap-oob="true"') if refreshed else ""
    return Markup('<span id="seats-{}" class="seats" data-state="{}"{}>{}{}{}</span>').format(
        course_id, state, swap, bar, text, more
    )
