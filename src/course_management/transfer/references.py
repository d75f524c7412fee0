"""The rows that records name: their ids, or that this import creates them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..repositories import import_targets as targets
from ..repositories import imports as repository
from ..repositories.external_ids import REFERENCED, ids_of

TO_CREATE = 0
"""Stands for the id of a row that the import will create."""
GroupName = tuple[str, str]
"""The kind and the code of a group."""


class References:
    """Finds the ids of rows by their external id, or by a code that only one row has."""

    def __init__(self, import_id: int) -> None:
        self._import_id = import_id

    def ids(self, name: str, keys: Collection[str]) -> Mapping[str, int]:
        """Return the id of each key that is known; `TO_CREATE` for a row that the import will create."""
        id_by_key = dict(ids_of(name, keys))
        planned = repository.planned_names(self._import_id, REFERENCED[name].kind, {*keys} - id_by_key.keys())
        return id_by_key | dict.fromkeys(planned, TO_CREATE)

    def own_names(self, name: str, keys: Collection[str]) -> Mapping[str, str]:
        """Return the external ids of rows that the import will create, by the codes and external ids that name them."""
        if not REFERENCED[name].has_code:
            return {}
        planned = targets.planned_values(self._import_id, REFERENCED[name].kind, keys)
        return {key: values["external_id"] for key, values in planned.items()}

    def group_ids(self, names: Collection[GroupName]) -> Mapping[GroupName, int]:
        """Return the same of groups."""
        id_by_name = {name: group.id for name, group in targets.groups_of(names).items()}
        planned = targets.planned_groups(self._import_id, {*names} - id_by_name.keys())
        return id_by_name | dict.fromkeys(planned, TO_CREATE)
