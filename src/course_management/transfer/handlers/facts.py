"""Write what is true of a student, such as a completion or a hold: one service call per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import Problem
from ...repositories import imports as repository
from ..staging import Staged, Unit, plain
from ..verdicts import CREATE, UPDATE, Verdict, refused
from .base import KindHandler, compared, reference_refused


class StudentRecordHandler(KindHandler):
    """Adds and changes single facts; those that the files no longer have stay."""

    _before: Mapping[tuple[str, str | None], Any]

    def read(self, units: Sequence[Unit]) -> None:
        """Read the present facts, and what the last import said."""
        self._before = repository.last_imported_contents(
            self.import_id, self.kind.name, {unit[0].unit for unit in units}
        )
        self.read_present([row for unit in units for row in unit])

    def read_present(self, rows: Sequence[Staged]) -> None:
        """Read the present facts that these rows are about."""
        raise NotImplementedError

    def present(self, row: Staged) -> Any:
        """Return the present fact that a row is about, with the names of its columns as attributes, or None."""
        raise NotImplementedError

    def check(self, row: Staged) -> Verdict | None:
        """Return a verdict that does not depend on what is present: the fact is over, or it cannot be."""
        del row
        return None

    def put(self, row: Staged, *, is_new: bool) -> None:
        """Write the fact. Raises `Problem`."""
        raise NotImplementedError

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        rows, verdicts = self.kept(unit)
        return [*verdicts, *map(self._decide, rows)]

    def _decide(self, row: Staged) -> Verdict:
        if verdict := self.refuse_unknown(row) or self.check(row):
            return verdict
        present = self.present(row)
        before = self._before.get((row.unit, row.part))
        changed = None if present is None else self.changed(row, present)
        return compared(row, before, changed, lambda name: getattr(present, name))

    def changed(self, row: Staged, present: Any) -> list[str]:
        """Return the columns of the row that say something else than the present fact."""
        names = [name for name in row.values if hasattr(present, name)]
        return [name for name in names if plain(getattr(present, name)) != row.values[name]]

    def write(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Write each row that is new or changes something."""
        rows = {row.number: row for row in unit}
        return [self._write(rows[verdict.number], verdict) for verdict in verdicts]

    def _write(self, row: Staged, verdict: Verdict) -> Verdict:
        if verdict.outcome not in (CREATE, UPDATE):
            return verdict
        if any((self.id_of(name, row.values.get(name)) or 0) < 0 for name in self.references):
            return reference_refused(row)
        try:
            self.put(row, is_new=verdict.outcome == CREATE)
        except Problem as problem:
            return refused(row, problem)
        return verdict
