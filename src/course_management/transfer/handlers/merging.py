"""What becomes of a list into which the rows of a file are merged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Item = tuple[Any, ...]
"""The values of an item of a list, in the order of `OwnedList.names`."""
Group = frozenset[Item]
"""The alternatives of a group; of a list without groups, one item."""


@dataclass(slots=True)
class Merge:
    """What becomes of a list: the groups that rows add, those that are removed, and the rows of each group."""

    owner_id: int
    rows: dict[int, Group] = field(default_factory=dict)
    """The group of each row that adds one, by the number of the row."""
    removed: set[Group] = field(default_factory=set)

    def apply(self, present: Iterable[Group]) -> list[Group]:
        """Return the list after the change."""
        remaining = [group for group in present if group not in self.removed]
        return remaining + [group for group in dict.fromkeys(self.rows.values()) if group not in remaining]
