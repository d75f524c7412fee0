"""Prerequisites: what a catalog entry requires. OR within a group, AND across groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ...repositories import import_targets as targets
from ...repositories import imports as repository
from ...schemas.catalog import MAX_ALTERNATIVES, MAX_GROUPS, AlternativeBody
from ...schemas.fields import Text
from ...schemas.terms import GroupSchema
from ...services.catalog import PREREQUISITE_LIST as PREREQUISITES_OF_AN_ENTRY
from ...services.prerequisite_graph import cycles
from ..handlers import ListHandler
from ..handlers.grouped import GroupNames
from ..handlers.merging import Item
from ..kind import Kind, Reference, of_body
from ..staging import Staged, Unit
from ..verdicts import CREATE, REFUSE, Verdict

PREREQUISITE_KIND = Kind(
    "prerequisites",
    {
        "catalog": Reference(),
        "group_number": Text(20, required=True),
        "requires": Reference(),
        "group_kind": GroupSchema.fields_of()["kind"],
        "group_code": GroupSchema.fields_of()["code"],
        **of_body(AlternativeBody, "catalog_id", "group_id"),
    },
    ("catalog", "group_number", "requires", "group_kind", "group_code"),
    ("catalog group_number",),
    optional=("group_kind", "group_code", "requires"),
    one_of=("requires", "group_code"),
)


class PrerequisiteHandler(ListHandler):
    """Merges prerequisites into those of the entry, and warns of cycles, which are usually a mistake."""

    kind = PREREQUISITE_KIND
    references: ClassVar = {"catalog": "catalog", "requires": "catalog"}
    owned_list = PREREQUISITES_OF_AN_ENTRY
    owner, group_column = "catalog", "group_number"
    most, most_alternatives = MAX_GROUPS, MAX_ALTERNATIVES
    _cycles: set[tuple[str, str]] | None = None

    def read_names(self, rows: Sequence[Staged], before: Sequence[Mapping[str, Any]]) -> None:
        """Read the groups of students."""
        self._groups_named = GroupNames(self.import_id, "group_kind", "group_code")
        self._groups_named.read([*(row.values for row in rows), *(content["values"] for content in before)])
        if self._cycles is None:
            self._cycles = _in_cycles(self.import_id)

    def check(self, row: Staged, owner_id: int) -> Verdict | None:
        """Return the refusal of a row that requires its own entry, or that is no prerequisite."""
        if refusal := self._groups_named.refuse_unknown(row):
            return refusal
        values = row.values
        if values.get("requires") is not None and self.id_of("requires", values["requires"]) == owner_id:
            return Verdict(row.number, REFUSE, "requires_itself", "A catalog entry cannot require itself.")
        if values.get("minimum_grade") is not None and values.get("minimum_points") is None:
            detail = "minimum_grade: Needs minimum_points, which decide."
            return Verdict(row.number, REFUSE, "validation_failed", detail)
        if values.get("group_code") is not None and (values.get("minimum_points") or values.get("concurrent_allowed")):
            detail = "minimum_points, concurrent_allowed: Only an entry is completed or taken."
            return Verdict(row.number, REFUSE, "validation_failed", detail)
        return None

    def item(self, values: Mapping[str, Any]) -> Item | None:
        """Return the alternative: an entry or a group, the points and the grade, and whether it may be concurrent."""
        required = self.id_of("requires", values.get("requires"))
        group = self._groups_named.id_of(values)
        if (required is None) == (group is None):
            return None
        points = values.get("minimum_points")
        points = None if points is None else Decimal(str(points))
        return required, group, points, values.get("minimum_grade"), bool(values.get("concurrent_allowed"))

    def slot(self, item: Item) -> Item:
        """Return which entry or group it is."""
        return item[:2]

    def describe(self, item: Item) -> str:
        """Return an alternative in words."""
        names = {required: name for name, required in self._ids["requires"].items()}
        return f"{names.get(item[0]) or 'a group of students'}"

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row; one that is new and part of a cycle says so."""
        rows = {row.number: row.values for row in unit}
        return [self._warned(verdict, rows[verdict.number]) for verdict in super().decide(unit)]

    def _warned(self, verdict: Verdict, values: Mapping[str, Any]) -> Verdict:
        pair = values["catalog"], values.get("requires")
        if verdict.outcome != CREATE or verdict.code or pair not in (self._cycles or ()):
            return verdict
        detail = f"{pair[0]} and {pair[1]} require each other, directly or by others. That is stored. Is it right?"
        return Verdict(verdict.number, CREATE, "prerequisite_cycle", detail)


def _in_cycles(import_id: int) -> set[tuple[str, str]]:
    """Return which prerequisites of an import, by the names in the files, are in a cycle."""
    named = {
        (row.unit, required)
        for row in repository.rows_by_unit(import_id, PREREQUISITE_KIND.name)
        if (required := row.content["values"].get("requires")) is not None
    }
    names = sorted({name for pair in named for name in pair})
    ids = {name: -1 - index for index, name in enumerate(names)} | dict(targets.catalog_ids(names))
    graph: dict[int, list[list[tuple[int, bool]]]] = {}
    for row in targets.all_prerequisites():
        graph.setdefault(row.catalog_id, []).append([(row.required_id, False)])
    for entry, required in named:
        graph.setdefault(ids[entry], []).append([(ids[required], False)])
    cycle_of = {entry: number for number, cycle in enumerate(cycles(graph)) for entry in cycle}
    return {
        (entry, required)
        for entry, required in named
        if ids[entry] in cycle_of and cycle_of[ids[entry]] == cycle_of.get(ids[required])
    }
