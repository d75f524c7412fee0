"""Links: courses of which a student takes one with another course, such as a lab with its lecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...errors import CourseHasNoTerm
from ...schemas.fields import Text
from ...schemas.timetables import MAX_LINK_GROUPS, MAX_LINKS
from ...services.timetables import LINK_LIST as LINKS_OF_A_COURSE
from ..courses_in_terms import terms_of
from ..handlers import ListHandler
from ..handlers.merging import Item
from ..kind import Kind, Reference
from ..staging import Staged
from ..verdicts import REFUSE, Verdict, refused

LINK_KIND = Kind(
    "links",
    {"course": Reference(), "group_number": Text(20, required=True), "linked": Reference()},
    ("course", "group_number", "linked"),
    ("course group_number linked",),
)


class LinkHandler(ListHandler):
    """Merges links into those of the course."""

    kind = LINK_KIND
    references: ClassVar = {"course": "course", "linked": "course"}
    owned_list = LINKS_OF_A_COURSE
    owner, group_column = "course", "group_number"
    most, most_alternatives = MAX_LINK_GROUPS, MAX_LINKS

    def read_names(self, rows: Sequence[Staged], before: Sequence[Mapping[str, Any]]) -> None:
        """Read the terms of the courses."""
        del rows, before
        self._terms = terms_of(self.import_id, {**self._ids["course"], **self._ids["linked"]})

    def check(self, row: Staged, owner_id: int) -> Verdict | None:
        """Return the refusal of a course that is linked to itself, or to a course of another term."""
        course, linked = row.values["course"], row.values["linked"]
        if self._terms[course] is None:
            return refused(row, CourseHasNoTerm())
        if self.id_of("linked", linked) == owner_id:
            return Verdict(row.number, REFUSE, "validation_failed", "linked: A course cannot be linked to itself.")
        if self._terms[linked] != self._terms[course]:
            return Verdict(row.number, REFUSE, "validation_failed", "linked: Must be a course of the same term.")
        return None

    def item(self, values: Mapping[str, Any]) -> Item | None:
        """Return the id of the linked course."""
        linked = self.id_of("linked", values["linked"])
        return None if linked is None else (linked,)

    def describe(self, item: Item) -> str:
        """Return the name of the linked course."""
        return next((name for name, linked in self._ids["linked"].items() if linked == item[0]), "another course")
