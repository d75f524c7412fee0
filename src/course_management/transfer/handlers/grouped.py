"""Columns that name a group of students, by its kind and its code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..references import TO_CREATE, GroupName, References
from ..staging import Staged
from ..verdicts import REFUSE, Verdict, not_found


class GroupNames:
    """Finds the groups that values name, in two columns."""

    def __init__(self, import_id: int, kind: str = "kind", code: str = "code") -> None:
        self._references, self._columns = References(import_id), (kind, code)
        self._ids: Mapping[GroupName, int] = {}
        self._planned: dict[GroupName, int] = {}

    def read(self, contents: Iterable[Mapping[str, Any]]) -> None:
        """Look the groups of these values up."""
        names = {self._name(values) for values in contents}
        self._ids = self._references.group_ids({name for name in names if name is not None})

    def id_of(self, values: Mapping[str, Any]) -> int | None:
        """Return the id of the group, or None; a negative one if this import will create it."""
        name = self._name(values)
        group_id = self._ids.get(name) if name else None
        if name and group_id == TO_CREATE:
            return self._planned.setdefault(name, -1 - len(self._planned))
        return group_id

    def refuse_unknown(self, row: Staged) -> Verdict | None:
        """Return the refusal of a row that names a group that does not exist, or half of a name."""
        kind, code = (row.values.get(column) for column in self._columns)
        if kind is None and code is None:
            return None
        if kind is None or code is None:
            missing = self._columns[0] if kind is None else self._columns[1]
            detail = f"{missing}: The value is missing. A group is named by its kind and its code."
            return Verdict(row.number, REFUSE, "value_missing", detail)
        if (kind, code) in self._ids:
            return None
        return not_found(row, "group", code, f"of the kind {kind!r} ")

    def _name(self, values: Mapping[str, Any]) -> GroupName | None:
        kind, code = (values.get(column) for column in self._columns)
        return (kind, code) if kind is not None and code is not None else None
