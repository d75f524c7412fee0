"""The rows that records name: their ids, or that this import creates them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..repositories import import_targets as targets
from ..repositories import imports as repository
from ..services.catalog import CATALOG_RESOURCE
from ..services.courses import COURSE_RESOURCE
from ..services.people import PERSON_RESOURCE
from ..services.resources import Resource
from ..services.students import STUDENT_RESOURCE
from ..services.terms import TERM_RESOURCE

RESOURCES: Mapping[str, tuple[str, Resource[Any]]] = {
    "term": ("terms", TERM_RESOURCE),
    "catalog": ("catalog", CATALOG_RESOURCE),
    "course": ("courses", COURSE_RESOURCE),
    "student": ("students", STUDENT_RESOURCE),
    "person": ("people", PERSON_RESOURCE),
}
"""The kind of each such row, and its resource."""
WITH_CODE = {"term", "catalog", "course"}
"""Rows that can be named by their code, too."""
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
        kind, resource = RESOURCES[name]
        id_by_key = dict(repository.ids_of(resource.model, keys, by_code=name in WITH_CODE))
        planned = repository.planned_names(self._import_id, kind, {*keys} - id_by_key.keys())
        return id_by_key | dict.fromkeys(planned, TO_CREATE)

    def own_names(self, name: str, keys: Collection[str]) -> Mapping[str, str]:
        """Return the external ids of rows that the import will create, by the codes and external ids that name them."""
        if name not in WITH_CODE:
            return {}
        planned = targets.planned_values(self._import_id, RESOURCES[name][0], keys)
        return {key: values["external_id"] for key, values in planned.items()}

    def group_ids(self, names: Collection[GroupName]) -> Mapping[GroupName, int]:
        """Return the same of groups."""
        id_by_name = {name: group.id for name, group in targets.groups_of(names).items()}
        planned = targets.planned_groups(self._import_id, {*names} - id_by_name.keys())
        return id_by_name | dict.fromkeys(planned, TO_CREATE)
