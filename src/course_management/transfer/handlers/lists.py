"""Write lists that are replaced as a whole, such as the meetings of a course: one service call per list.

The file is merged into the present list. What it says and is missing is added, unless the last import said it already:
then a person has removed it. What the last import said and the file no longer says is removed; what a person has added
stays. If a row of the list is refused, or a row of the files cannot be read, nothing is removed, because the list may
be incomplete.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ...errors import Problem
from ...repositories import import_targets as targets
from ...repositories import imports as repository
from ...services import Precondition, owned_lists
from ...services.owned_lists import OwnedList
from ..staging import Staged, Unit
from ..verdicts import CREATE, DROP, REFUSE, UNCHANGED, UPDATE, Verdict, refused
from .base import REMOVED, KindHandler, reference_refused
from .merging import Group, Item, Merge

ATTEMPTS = 5


class _ChangedMeanwhile(Exception):
    """Somebody else has changed the list since it was read."""


class ListHandler(KindHandler):
    """Merges the rows of each owner into its list."""

    owned_list: ClassVar[OwnedList]
    owner: ClassVar[str]
    """The column that names the owner."""
    group_column: ClassVar[str | None] = None
    """The column with the number of the group, for a list of groups."""
    most: ClassVar[int]
    """The largest number of groups."""
    most_alternatives: ClassVar[int] = 1
    is_complete: ClassVar[bool] = True
    """Whether the files have the whole list of each owner that they name."""

    _before: Mapping[str, Sequence[Any]]
    _present: dict[int, list[Group]]
    _may_remove: bool | None = None

    def read(self, units: Sequence[Unit]) -> None:
        """Read the present lists, and what the last import said."""
        if self._may_remove is None:
            findings = repository.counts(self.import_id).get(("finding", REFUSE), 0)
            self._may_remove = self.is_complete and not findings
        self._merges: dict[str, Merge] = {}
        rows = [row for unit in units for row in unit]
        self.read_names(rows, [content for contents in self._before.values() for content in contents])
        owners = {self.id_of(self.owner, row.values.get(self.owner)) for row in rows}
        self._present = self._lists({owner_id for owner_id in owners if owner_id is not None and owner_id > 0})

    def load(self, units: Sequence[Unit]) -> None:
        """Read what the decisions about these units need."""
        names = {unit[0].unit for unit in units}
        self._before = targets.last_imported_lists(self.import_id, self.kind.name, names)
        super().load(units)

    def more_names(self, column: str) -> set[str]:
        """Return the names that the last import had."""
        return {
            key
            for contents in self._before.values()
            for content in contents
            if (key := content["values"].get(column)) is not None
        }

    def read_names(self, rows: Sequence[Staged], before: Sequence[Mapping[str, Any]]) -> None:
        """Read what else the items of these rows, and of the contents of the last import, need."""
        del rows, before

    def item(self, values: Mapping[str, Any]) -> Item | None:
        """Return the item that a row says; None if it names what does not exist."""
        raise NotImplementedError

    def check(self, row: Staged, owner_id: int) -> Verdict | None:
        """Return the refusal of a row whose owner and references exist."""
        del row, owner_id
        return None

    def slot(self, item: Item) -> Hashable:
        """Return what no two items of a list, or of a group, have in common."""
        return item

    def belongs(self, row: Staged, group: Group) -> bool:
        """Return whether a present group is part of what the unit of the row is about."""
        del row, group
        return True

    def describe(self, item: Item) -> str:
        """Return an item in words."""
        return " ".join(str(value) for value in item if value is not None)

    def replace(self, owner_id: int, body: Any, precondition: Precondition) -> None:
        """Put the list. Raises `Problem`."""
        owned_lists.replace(self.owned_list, owner_id, body, precondition)

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        rows, verdicts = self.kept(unit)
        items, refusals = self._items(rows)
        verdicts += refusals
        owner_id = self.id_of(self.owner, unit[0].values[self.owner])
        if not items or owner_id is None:
            return verdicts
        groups, repeated = self._groups([row for row in rows if row.number in items and not row.is_removed], items)
        verdicts += repeated
        before = set(self._groups_before(unit[0].unit))
        present = [group for group in self._present.get(owner_id, ()) if self.belongs(unit[0], group)]
        merge = self._merges[unit[0].unit] = Merge(owner_id)
        for row in rows:
            if row.number in items and row.is_removed:
                group = frozenset([items[row.number]])
                verdicts.append(Verdict(row.number, DROP if group in present else UNCHANGED))
                merge.removed |= {group} & {*present}
        gone: set[Group] = set()
        if self._may_remove and not refusals and not any(verdict.outcome == REFUSE for verdict in verdicts):
            gone = {group for group in present if group in before and group not in groups.values()}
        remaining = {item for group in gone for item in group}
        decided: list[Verdict] = []
        for number, group in groups.items():
            if group in present:
                decided.append(Verdict(number, UNCHANGED))
            elif group in before:
                detail = f"Somebody has {REMOVED}. That is kept."
                decided.append(Verdict(number, UNCHANGED, "changed_since", detail))
            else:
                merge.rows[number] = group
                replaced = self._replaced(group, present, groups.values())
                gone -= replaced
                merge.removed |= replaced
                is_new = items[number] not in remaining
                decided.append(self._added(number, replaced, is_new=is_new))
        merge.removed |= gone
        missing = {item for group in gone for item in group} - {item for group in groups.values() for item in group}
        if missing or (gone and not merge.rows):
            decided = self._with_removals(decided, missing)
        if len(merge.apply(self._present.get(owner_id, ()))) > self.most:
            decided = [self._too_many(verdict) if verdict.number in merge.rows else verdict for verdict in decided]
            merge.rows.clear()
            merge.removed.clear()
        return verdicts + decided

    def _items(self, rows: Sequence[Staged]) -> tuple[dict[int, Item], list[Verdict]]:
        """Return the items of rows by their numbers, and the refusals of the others."""
        items: dict[int, Item] = {}
        refusals: list[Verdict] = []
        for row in rows:
            owner_id = self.id_of(self.owner, row.values.get(self.owner))
            refusal = self.refuse_unknown(row) or self.check(row, owner_id or 0)
            item = None if refusal else self.item(row.values)
            if refusal and row.is_removed:
                refusals.append(Verdict(row.number, UNCHANGED))  # what does not exist is not in the list
            elif refusal:
                refusals.append(refusal)
            elif item is not None:
                items[row.number] = item
        return items, refusals

    def _groups(self, rows: Sequence[Staged], items: Mapping[int, Item]) -> tuple[dict[int, Group], list[Verdict]]:
        """Return the group of each row by its number, and verdicts about rows and groups that repeat others."""
        verdicts: list[Verdict] = []
        by_name: dict[object, dict[int, Item]] = {}
        slots: dict[tuple[object, Hashable], tuple[Staged, Item]] = {}
        for row in rows:
            item = items[row.number]
            name: object = row.values[self.group_column] if self.group_column else self.slot(item)
            first, present = slots.setdefault((name, self.slot(item)), (row, item))
            if first is row:
                by_name.setdefault(name, {})[row.number] = item
            elif present == item:
                detail = f"The row says the same as line {first.line} of {first.file}."
                verdicts.append(Verdict(row.number, UNCHANGED, "duplicate_row", detail))
            else:
                detail = f"The row contradicts line {first.line} of {first.file}, which is used."
                verdicts.append(Verdict(row.number, REFUSE, "contradicting_row", detail))
        groups: dict[int, Group] = {}
        seen: dict[Group, object] = {}
        for name, found in by_name.items():
            group = frozenset(found.values())
            if len(group) > self.most_alternatives:
                detail = f"A group has at most {self.most_alternatives} alternatives."
                verdicts += [Verdict(number, REFUSE, "validation_failed", detail) for number in found]
            elif group in seen:
                detail = f"The group says the same as group {seen[group]}."
                verdicts += [Verdict(number, UNCHANGED, "duplicate_row", detail) for number in found]
            else:
                seen[group] = name
                groups |= dict.fromkeys(found, group)
        return groups, verdicts

    def _groups_before(self, unit: str) -> list[Group]:
        """Return the groups that the last import said."""
        items_by_group: dict[object, set[Item]] = {}
        for content in self._before.get(unit, ()):
            values = content["values"]
            item = None if content["is_removed"] else self.item(values)
            if item is not None:
                items_by_group.setdefault(values[self.group_column] if self.group_column else item, set()).add(item)
        return [frozenset(group) for group in items_by_group.values()]

    def _replaced(self, group: Group, present: Iterable[Group], in_files: Iterable[Group]) -> set[Group]:
        """Return the present items, of a list without groups, in whose place an item comes."""
        if self.group_column:
            return set()
        slots = {self.slot(item) for item in group}
        return {other for other in present if other not in in_files and slots & {self.slot(item) for item in other}}

    def _added(self, number: int, replaced: set[Group], *, is_new: bool) -> Verdict:
        if replaced:
            texts = sorted(self.describe(item) for group in replaced for item in group)
            return Verdict(number, UPDATE, None, f"Replaces: {'; '.join(texts)}.")
        return Verdict(number, CREATE if is_new else UNCHANGED)

    def _with_removals(self, decided: list[Verdict], missing: Iterable[Item]) -> list[Verdict]:
        """Return the verdicts; the first says what is removed, since no row of the files does."""
        texts = "; ".join(sorted(map(self.describe, missing))) or "a group"
        first = decided[0]
        detail = f"{first.detail or ''} Removes what the last import said and the files no longer say: {texts}."
        outcome = first.outcome if first.outcome == CREATE else UPDATE
        return [first._replace(outcome=outcome, detail=detail.strip()), *decided[1:]]

    def _too_many(self, verdict: Verdict) -> Verdict:
        return Verdict(verdict.number, REFUSE, "validation_failed", f"The list would have more than {self.most}.")

    def write(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Put the list of the owner, unless somebody else changes it meanwhile: then again."""
        rows = {row.number: row for row in unit}
        merge = self._merges.get(unit[0].unit)
        if merge is None or not (merge.rows or merge.removed):
            return list(verdicts)
        verdict_by_number = {verdict.number: verdict for verdict in verdicts}
        for number, group in list(merge.rows.items()):
            if merge.owner_id < 0 or any(isinstance(value, int) and value < 0 for item in group for value in item):
                verdict_by_number[number] = reference_refused(rows[number])
                del merge.rows[number]
        try:
            if merge.owner_id > 0:
                self._put(merge)
        except Problem as problem:
            changing = {verdict.number for verdict in verdicts if verdict.outcome in (CREATE, UPDATE, DROP)}
            changing |= merge.rows.keys()
            verdict_by_number |= {number: refused(rows[number], problem) for number in changing}
        return list(verdict_by_number.values())

    def _put(self, merge: Merge) -> None:
        present: Sequence[Group] = self._present.get(merge.owner_id, ())
        for attempt in range(ATTEMPTS):

            def unchanged(stored: Sequence[Item], expected: Sequence[Group] = present) -> None:
                if {*self._grouped(stored)} != {*expected}:
                    raise _ChangedMeanwhile

            try:
                self.replace(merge.owner_id, self._body(merge.apply(present)), unchanged)
            except _ChangedMeanwhile:
                if attempt == ATTEMPTS - 1:
                    raise
                present = self._lists({merge.owner_id})[merge.owner_id]
            else:
                self._present[merge.owner_id] = merge.apply(present)  # another unit may be about the same owner
                return

    def _lists(self, owner_ids: set[int]) -> dict[int, list[Group]]:
        return {
            owner_id: self._grouped(stored)
            for owner_id, stored in targets.lists_of(
                self.owned_list.table, self.owned_list.column, self.owned_list.columns, owner_ids
            ).items()
        }

    def _grouped(self, stored: Iterable[Item]) -> list[Group]:
        """Return stored rows as groups."""
        if not self.owned_list.alternatives_column:
            return [frozenset([tuple(row)]) for row in stored]
        items_by_group: dict[int, set[Item]] = {}
        for group_number, *item in stored:
            items_by_group.setdefault(group_number, set()).add(tuple(item))
        return [frozenset(group) for group in items_by_group.values()]

    def _body(self, groups: Sequence[Group]) -> Any:
        """Return the list as a client puts it."""
        if self.owned_list.alternatives_column:
            return self.owned_list.content(
                [(number, *item) for number, group in enumerate(groups, 1) for item in group]
            )
        return self.owned_list.content([item for group in groups for item in group])
