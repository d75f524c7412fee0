"""Read the prerequisites of a catalog entry, and of what it requires."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, select

from ..database import autocommit
from ..database.types import Id, IdList, among
from ..models import catalog_entries, groups, prerequisites

_first = select(bindparam("entry", type_=Id).label("id")).cte("needed", recursive=True)
_NEEDED = _first.union(
    select(prerequisites.c.required_id)
    .join(_first, prerequisites.c.catalog_id == _first.c.id)
    .where(prerequisites.c.required_id.is_not(None))
)
_ALL_NEEDED = select(
    prerequisites.c.catalog_id,
    prerequisites.c.group_number,
    prerequisites.c.required_id,
    prerequisites.c.concurrent_allowed,
).join(_NEEDED, prerequisites.c.catalog_id == _NEEDED.c.id)
_CODES = (
    select(
        prerequisites.c.required_id,
        prerequisites.c.required_group_id,
        func.coalesce(catalog_entries.c.code, groups.c.code).label("code"),
    )
    .outerjoin(catalog_entries, catalog_entries.c.id == prerequisites.c.required_id)
    .outerjoin(groups, groups.c.id == prerequisites.c.required_group_id)
    .where(prerequisites.c.catalog_id == bindparam("entry", type_=Id))
)

_OF_ENTRIES = (
    select(prerequisites, func.coalesce(catalog_entries.c.code, groups.c.code).label("code"))
    .outerjoin(catalog_entries, catalog_entries.c.id == prerequisites.c.required_id)
    .outerjoin(groups, groups.c.id == prerequisites.c.required_group_id)
    .where(among(prerequisites.c.catalog_id, bindparam("ids", type_=IdList)))
    .order_by(prerequisites.c.catalog_id, prerequisites.c.group_number, "code")
)


def codes_of_required(catalog_id: int) -> dict[tuple[int | None, int | None], str]:
    """Return the codes of all that an entry requires, by its id as an entry and its id as a group of students."""
    return {(row.required_id, row.required_group_id): row.code for row in autocommit(_CODES, {"entry": catalog_id})}


def of_entries(catalog_ids: Sequence[int]) -> dict[int, list[list[dict[str, Any]]]]:
    """Return the groups of alternatives of these entries by entry, each as the facts of `prerequisite_missing`."""
    found: dict[int, list[list[dict[str, Any]]]] = {}
    rows = autocommit(_OF_ENTRIES, {"ids": list(catalog_ids)}) if catalog_ids else ()
    for (catalog_id, _number), group in itertools.groupby(rows, lambda row: (row.catalog_id, row.group_number)):
        found.setdefault(catalog_id, []).append(
            [
                {
                    "code": row.code,
                    "catalog_id": row.required_id,
                    "group_id": row.required_group_id,
                    "minimum_points": row.minimum_points,
                    "minimum_grade": row.minimum_grade,
                    "concurrent_allowed": row.concurrent_allowed,
                }
                for row in group
            ]
        )
    return found


def graph_below(catalog_id: int) -> dict[int, list[list[tuple[int, bool]]]]:
    """Return the prerequisites of an entry and of all that it requires, directly or not.

    For each entry with prerequisites, its groups of alternatives: a required entry, and whether taking it in the same
    term is enough. Groups that a group of students satisfies are left out.
    """
    groups: defaultdict[int, defaultdict[int, list[tuple[int | None, bool]]]] = defaultdict(lambda: defaultdict(list))
    for row in autocommit(_ALL_NEEDED, {"entry": catalog_id}):
        groups[row.catalog_id][row.group_number].append((row.required_id, bool(row.concurrent_allowed)))
    return {
        entry: [
            [(required, is_concurrent) for required, is_concurrent in group if required is not None]
            for group in groups_of_entry.values()
            if all(required is not None for required, _ in group)
        ]
        for entry, groups_of_entry in groups.items()
    }
