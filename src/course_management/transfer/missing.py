"""Rows that files name and do not describe: `--create-missing` creates them with their name only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..repositories.external_ids import ids_of
from . import kinds
from .formats.base import short_code
from .kinds import Kind
from .records import Record

AT_ONCE = 1_000
CREATED: Mapping[str, tuple[Kind, Callable[[str], dict[str, Any]]]] = {
    "catalog": (
        kinds.CATALOG_KIND,
        lambda key: {"external_id": key, "code": short_code(key), "title": key, "credits": 0},
    ),
    "student": (kinds.STUDENT_KIND, lambda key: {"external_id": key, "name": key}),
    "person": (kinds.PERSON_KIND, lambda key: {"external_id": key, "name": key}),
}
"""What is created, with the values of a row of which only the external id is known."""
NAMED_BY: Mapping[str, Mapping[str, str]] = {
    "prerequisites": {"catalog": "catalog", "requires": "catalog"},
    "enrollments": {"student": "student"},
    "instructors": {"person": "person"},
}
"""The columns of each kind whose rows are created, with what they name."""


@dataclass(slots=True)
class Missing:
    """Collects the names in records, and what the records describe."""

    _named: dict[str, dict[str, tuple[str, int]]] = field(default_factory=lambda: {name: {} for name in CREATED})
    """For each name, the file and line that has it first."""
    _described: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in CREATED})

    def note(self, record: Record) -> None:
        """Note what a record names and describes."""
        if record.is_removed:
            return
        for name, (kind, _) in CREATED.items():
            if record.kind is kind:
                self._described[name] |= {*filter(None, map(record.values.get, ("external_id", "code")))}
        if record.values.get("status") in (None, "enrolled"):
            for column, name in NAMED_BY.get(record.kind.name, {}).items():
                if key := record.values.get(column):
                    self._named[name].setdefault(key, (record.file, record.line))

    def records(self) -> Iterator[Record]:
        """Yield a record of each name that neither the files describe nor the database has."""
        for name, (kind, values) in CREATED.items():
            left = [key for key in self._named[name] if key not in self._described[name]]
            for keys in (left[start : start + AT_ONCE] for start in range(0, len(left), AT_ONCE)):
                present = ids_of(name, keys)
                for key in keys:
                    if key not in present:
                        is_both = name == "person" and self._is_student(key)
                        yield Record(kind, *self._named[name][key], values(key) | ({"student": key} if is_both else {}))

    def _is_student(self, key: str) -> bool:
        return key in self._named["student"] or key in self._described["student"]
