"""Members: which groups students are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...repositories import import_targets as targets
from ...schemas.terms import MAX_GROUPS, GroupSchema
from ...services import Precondition, student_groups
from ...services.student_groups import STUDENT_GROUP_LIST
from ..handlers import ListHandler
from ..handlers.grouped import GroupNames
from ..handlers.merging import Group, Item
from ..kind import Kind, Reference
from ..staging import Staged
from ..verdicts import Verdict

MEMBER_KIND = Kind(
    "members",
    {"student": Reference(), **{name: GroupSchema.fields_of()[name] for name in ("kind", "code")}},
    ("student", "kind", "code"),
    ("student kind code",),
    unit_size=2,
)


class MemberHandler(ListHandler):
    """Merges the groups of a student, those of each kind alone: a file of programs says nothing about levels."""

    kind = MEMBER_KIND
    references: ClassVar = {"student": "student"}
    owned_list = STUDENT_GROUP_LIST
    owner = "student"
    most = MAX_GROUPS

    def read_names(self, rows: Sequence[Staged], before: Sequence[Mapping[str, Any]]) -> None:
        """Read the groups, and which other groups are of the same kinds."""
        self._groups_named = GroupNames(self.import_id)
        self._groups_named.read([*(row.values for row in rows), *(content["values"] for content in before)])
        self._names = targets.groups_of_kinds({row.values["kind"] for row in rows})

    def belongs(self, row: Staged, group: Group) -> bool:
        """Return whether a present group of the student is of the kind of the row."""
        (item,) = group
        kind, _ = self._names.get(item[0], ("", ""))
        return bool(kind == row.values["kind"])

    def check(self, row: Staged, owner_id: int) -> Verdict | None:
        """Return the refusal of a row of a group that does not exist."""
        del owner_id
        return self._groups_named.refuse_unknown(row)

    def item(self, values: Mapping[str, Any]) -> Item | None:
        """Return the id of the group."""
        group_id = self._groups_named.id_of(values)
        return None if group_id is None else (group_id,)

    def describe(self, item: Item) -> str:
        """Return the name of the group."""
        return " ".join(self._names.get(item[0], ("another", "group")))

    def replace(self, owner_id: int, body: Any, precondition: Precondition) -> None:
        """Put the groups of a student, who may be promoted for it."""
        student_groups.replace(owner_id, body, precondition, self.context)
