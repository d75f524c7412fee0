"""The rows that records name: their ids, or that this import creates them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..repositories import imports as repository
from ..services.catalog import CATALOG
from ..services.courses import COURSES
from ..services.people import PEOPLE
from ..services.resources import Resource
from ..services.students import STUDENTS
from ..services.terms import TERMS
from . import kinds
from .kinds import Kind

RESOURCES: Mapping[str, tuple[Kind, Resource[Any]]] = {
    "term": (kinds.TERMS, TERMS),
    "catalog": (kinds.CATALOG, CATALOG),
    "course": (kinds.COURSES, COURSES),
    "student": (kinds.STUDENTS, STUDENTS),
    "person": (kinds.PEOPLE, PEOPLE),
}
"""By the column that names such a row."""
_WITH_CODE = {"term", "catalog", "course"}
PLANNED = 0
"""Stands for the id of a row that the import will create."""


class References:
    """Finds the ids of rows by their external id, or by a code that only one row has."""

    def __init__(self, import_id: int) -> None:
        self._import_id = import_id

    def ids(self, name: str, keys: Collection[str]) -> Mapping[str, int]:
        """Return the id of each key that is known; `PLANNED` for a row that the import will create."""
        kind, resource = RESOURCES[name]
        found = dict(repository.ids_of(resource.model, keys, by_code=name in _WITH_CODE))
        planned = repository.planned_names(self._import_id, kind.name, {*keys} - found.keys())
        return found | dict.fromkeys(planned, PLANNED)
