"""What the handlers of all kinds have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from ...context import RequestContext
from .. import staging
from ..kind import Kind
from ..references import TO_CREATE, References
from ..staging import Staged, Unit, plain
from ..verdicts import CREATE, REFUSE, UNCHANGED, UPDATE, Verdict, not_found, without_repetitions

Decided: TypeAlias = tuple[Unit, Sequence[Verdict]]
"""The rows of a unit, and the verdicts about those that are to be written."""


class Handler:
    """Decides what becomes of the rows of a unit, and does it."""

    __slots__ = ()
    kind: Kind
    """The kind of the records."""

    def load(self, units: Sequence[Unit]) -> None:
        """Read what the decisions about these units need."""
        raise NotImplementedError

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        raise NotImplementedError

    def write(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Do what was decided, and return the verdicts about what was done."""
        raise NotImplementedError

    def write_all(self, decided: Sequence[Decided]) -> list[Verdict]:
        """Do what was decided about units that were loaded together; return the verdicts that are to be noted.

        A kind with very many rows overrides it, to do some of them in one transaction.
        """
        return [verdict for unit, verdicts in decided for verdict in self.write(unit, verdicts)]


class KindHandler(Handler):
    """What the three ways of writing have in common: rows that name other rows, and the actor of the ledger."""

    references: ClassVar[Mapping[str, str]] = {}
    """The columns that name other rows, with what they name (`REFERENCED`)."""

    def __init__(self, import_id: int, context: RequestContext) -> None:
        self.import_id, self.context = import_id, context
        self._ids: dict[str, Mapping[str, int]] = {}
        self._own_names: dict[str, Mapping[str, str]] = {}
        self._planned: dict[tuple[str, str], int] = {}

    def load(self, units: Sequence[Unit]) -> None:
        """Read the ids of the rows that these units name, and the rest."""
        rows = [row for unit in units for row in unit]
        references = References(self.import_id)
        self._ids = {
            name: references.ids(named, staging.values_of(rows, name) | self.more_names(name))
            for name, named in self.references.items()
        }
        self._own_names = {name: self._planned_names(references, name) for name in self.references}
        self.read(units)

    def _planned_names(self, references: References, column: str) -> Mapping[str, str]:
        """Return the external ids of planned rows, by the external ids and codes that name them."""
        return references.own_names(
            self.references[column], [key for key, row_id in self._ids[column].items() if row_id == TO_CREATE]
        )

    def more_names(self, column: str) -> set[str]:
        """Return names of other rows that are looked up with those of a column of the files."""
        del column
        return set()

    def read(self, units: Sequence[Unit]) -> None:
        """Read the present state, and what the last import said; the ids of `references` are known."""
        raise NotImplementedError

    def id_of(self, name: str, key: str | None) -> int | None:
        """Return the id of the row that a column names, or None; a negative one if this import will create it."""
        if key is None:
            return None
        row_id = self._ids[name].get(key)
        if row_id == TO_CREATE:
            named = self.references[name]
            return self._planned.setdefault((named, self._own_names[name].get(key, key)), -1 - len(self._planned))
        return row_id

    def existing_ids(self, name: str, rows: Iterable[Staged]) -> set[int]:
        """Return the ids that a column names in these rows, without those of rows that this import will create."""
        return {row_id for row in rows if (row_id := self.id_of(name, row.values[name]) or 0) > 0}

    def refuse_unknown(self, row: Staged) -> Verdict | None:
        """Return the refusal of a row that names a row that does not exist."""
        for name, named in self.references.items():
            key = row.values.get(name)
            if key is not None and key not in self._ids[name]:
                return not_found(row, named, key)
        return None

    def kept(self, unit: Unit) -> tuple[list[Staged], list[Verdict]]:
        """Return the rows of a unit to decide about, and verdicts about those that repeat or contradict them.

        Of contradicting rows, the one that is not removed wins.
        """
        return without_repetitions(unit, lambda row: not row.is_removed)


def compared(
    row: Staged, before: Mapping[str, Any] | None, changed: Collection[str] | None, now: Callable[[str], Any]
) -> Verdict:
    """Return the verdict of a row by what it would change: None if what it says is new, nothing if it is so already.

    `now` returns the present value of a field. `before` is what the last import said. If it said the same, a person
    has changed the rest since.
    """
    if changed is not None and not changed:
        return Verdict(row.number, UNCHANGED)
    if before and before["values"] == row.values:
        what = f"changed it since the last import: {', '.join(sorted(changed))}" if changed else REMOVED
        return Verdict(row.number, UNCHANGED, "changed_since", f"Somebody has {what}. That is kept.")
    if changed is None:
        return Verdict(row.number, CREATE)
    return Verdict(row.number, UPDATE, None, "; ".join(_change(row, name, now) for name in sorted(changed)))


def _change(row: Staged, name: str, now: Callable[[str], Any]) -> str:
    """Return a change as `name: old -> new`; of a field that names another row, only the new name is known."""
    if name not in row.values:
        name = name.removesuffix("_id")
        return f"{name}: -> {row.values.get(name)}"
    return f"{name}: {_shown(plain(now(name)))} -> {_shown(row.values[name])}"


def _shown(value: Any) -> str:
    return "(empty)" if value in (None, "", []) else str(value)


REMOVED = "removed it since the last import"


def reference_refused(row: Staged) -> Verdict:
    """Return the refusal of a row that names a row that was refused."""
    return Verdict(row.number, REFUSE, "reference_refused", "The row that it names was refused.")
