"""Meetings: when and where a course meets every week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

from ...schemas.timetables import MAX_MEETINGS, MeetingBody
from ...services.timetables import MEETING_LIST as MEETINGS_OF_A_COURSE
from ..courses_in_terms import terms_of
from ..handlers import ListHandler
from ..handlers.merging import Item
from ..kind import Kind, Reference, of_body
from ..staging import Staged
from ..verdicts import REFUSE, Verdict

MEETING_KIND = Kind(
    "meetings",
    {"course": Reference(), **of_body(MeetingBody)},
    ("course", "weekday", "starts", "ends", "starts_on", "ends_on", "place"),
    ("course weekday starts",),
    optional=("starts_on", "ends_on", "place"),
)
DAYS = ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class MeetingHandler(ListHandler):
    """Merges meetings into those of the course. A date that the file does not have is that of the term."""

    kind = MEETING_KIND
    references: ClassVar = {"course": "course"}
    owned_list = MEETINGS_OF_A_COURSE
    owner = "course"
    most = MAX_MEETINGS

    def read_names(self, rows: Sequence[Staged], before: Sequence[Mapping[str, Any]]) -> None:
        """Read the dates of the terms of the courses."""
        del rows, before
        self._dates = terms_of(self.import_id, self._ids["course"])

    def check(self, row: Staged, owner_id: int) -> Verdict | None:
        """Return the refusal of a meeting that ends before it starts, or that is outside of its term."""
        del owner_id
        values, dates = row.values, self._dates.get(row.values["course"])
        starts_on, ends_on = self._days(values)
        if starts_on is None or ends_on is None:
            detail = "starts_on, ends_on: The course has no term, so a meeting needs both dates."
        elif values["starts"] >= values["ends"]:
            detail = f"ends: {values['ends']} must be later than {values['starts']}: no meeting goes past midnight."
        elif starts_on > ends_on:
            detail = f"ends_on: {ends_on} must not be before {starts_on}."
        elif dates and not dates[0] <= starts_on <= ends_on <= dates[1]:
            detail = f"starts_on, ends_on: Must be within the term: {dates[0]} to {dates[1]}."
        else:
            return None
        return Verdict(row.number, REFUSE, "validation_failed", detail)

    def _days(self, values: Mapping[str, Any]) -> tuple[str | None, str | None]:
        first, last = self._dates.get(values["course"]) or (None, None)
        return values.get("starts_on") or first, values.get("ends_on") or last

    def item(self, values: Mapping[str, Any]) -> Item | None:
        """Return the weekday, the times, the dates and the place."""
        starts_on, ends_on = self._days(values)
        if starts_on is None or ends_on is None:
            return None
        days = date.fromisoformat(starts_on), date.fromisoformat(ends_on)
        return values["weekday"], values["starts"], values["ends"], *days, values.get("place")

    def describe(self, item: Item) -> str:
        """Return a meeting in words."""
        weekday, starts, ends, _, _, place = item
        return f"{DAYS[weekday]} {starts} to {ends}{f', {place}' if place else ''}"
