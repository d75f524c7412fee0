"""Restrictions: which groups of students a course admits or excludes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...errors import CourseHasNoTerm
from ...schemas.terms import MAX_RESTRICTIONS, GroupSchema, RestrictionBody
from ...services.courses import RESTRICTION_LIST as RESTRICTIONS_OF_A_COURSE
from ..courses_in_terms import terms_of
from ..handlers import ListHandler
from ..handlers.grouped import GroupNames
from ..handlers.merging import Item
from ..kind import Kind, Reference, of_body
from ..staging import Staged
from ..verdicts import Verdict, refused

RESTRICTION_KIND = Kind(
    "restrictions",
    {
        "course": Reference(),
        **{name: GroupSchema.fields_of()[name] for name in ("kind", "code")},
        **of_body(RestrictionBody, "group_id"),
    },
    ("course", "kind", "code"),
    ("course kind code",),
)


class RestrictionHandler(ListHandler):
    """Merges restrictions into those of the course. An empty cell of `admits` is true."""

    kind = RESTRICTION_KIND
    references: ClassVar = {"course": "course"}
    owned_list = RESTRICTIONS_OF_A_COURSE
    owner = "course"
    most = MAX_RESTRICTIONS

    def read_names(self, rows: Sequence[Staged], before: Sequence[Mapping[str, Any]]) -> None:
        """Read the groups of students."""
        self._groups_named = GroupNames(self.import_id)
        self._groups_named.read([*(row.values for row in rows), *(content["values"] for content in before)])
        self._terms = terms_of(self.import_id, self._ids["course"])

    def check(self, row: Staged, owner_id: int) -> Verdict | None:
        """Return the refusal of a row of a group that does not exist, or of a course without a term."""
        del owner_id
        if self._terms[row.values["course"]] is None:
            return refused(row, CourseHasNoTerm())
        return self._groups_named.refuse_unknown(row)

    def item(self, values: Mapping[str, Any]) -> Item | None:
        """Return the group, and whether it is admitted."""
        group_id = self._groups_named.id_of(values)
        return None if group_id is None else (group_id, values.get("admits") is not False)

    def slot(self, item: Item) -> Item:
        """Return the group: a course admits or excludes it."""
        return item[:1]

    def describe(self, item: Item) -> str:
        """Return a restriction in words."""
        return f"a group of students is {'admitted' if item[1] else 'excluded'}"
