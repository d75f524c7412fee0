"""Groups of students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...repositories import import_targets as targets
from ...schemas.terms import GroupSchema
from ...services.terms import GROUP_RESOURCE as RESOURCE
from ..handlers import ResourceHandler
from ..handlers.resources import Key
from ..kind import Kind, of_resource
from ..staging import Staged

GROUP_KIND = Kind("groups", of_resource(GroupSchema), ("kind", "code"), ("kind code title",))


class GroupHandler(ResourceHandler):
    """Creates and changes groups, which have no external id: kind and code identify them."""

    kind, resource, schema = GROUP_KIND, RESOURCE, GroupSchema

    def find(self, rows: Sequence[Staged]) -> Mapping[Key, Any]:
        """Return the present groups by the keys of rows."""
        present = targets.groups_of({(row.values["kind"], row.values["code"]) for row in rows})
        return {self.kind.key({"kind": name, "code": code}): group for (name, code), group in present.items()}
