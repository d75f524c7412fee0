"""Stage the records of files in tables, and read them back by unit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ..database.types import as_number
from ..repositories import imports as repository
from ..services import imports as service
from .findings import Finding
from .kind import Kind
from .records import Record

BATCH = 500
"""Rows that are written in one transaction, and units that are decided together."""
UNITS = 200
FINDING = "finding"
"""The kind of a row that is only a finding about the files."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A staged record; `values` are as JSON has them."""

    number: int
    file: str
    line: int | None
    unit: str
    part: str | None
    values: Mapping[str, Any]
    is_removed: bool
    when_new: Mapping[str, Any]
    outcome: str | None
    is_applied: bool


Unit = Sequence[Staged]
_NOTHING: Mapping[str, Any] = {"unit": "", "part": None, "content": {}, "outcome": None, "code": None, "detail": None}


def plain(value: Any) -> Any:
    """Return a value as JSON has it, so that stored values and those of files can be compared."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Decimal():
            return as_number(value)
        case Set():  # also that of a relationship
            return sorted(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


class Stage:
    """Writes rows of an import in batches."""

    def __init__(self, import_id: int, progress: Callable[[int, int], object] = lambda *_: None) -> None:
        self.import_id, self._progress, self._number = import_id, progress, 1
        self._rows: list[dict[str, Any]] = []

    def add(self, record: Record) -> None:
        """Add a record."""
        unit, part = record.kind.key(record.values)
        values = {name: plain(value) for name, value in record.values.items()}
        content: dict[str, Any] = {"values": values, "is_removed": record.is_removed}
        if record.when_new:
            content["when_new"] = {**record.when_new}
        self._add(record.file, record.line, kind=record.kind.name, unit=unit, part=part, content=content)

    def find(self, finding: Finding) -> None:
        """Add a finding."""
        column = f"{finding.column}: " if finding.column else ""
        outcome = "refuse" if finding.is_error else "warning"
        detail = f"{column}{finding.detail}"[: service.LONGEST_DETAIL]
        self._add(finding.file, finding.line, kind=FINDING, outcome=outcome, code=finding.code, detail=detail)

    def _add(self, file: str, line: int | None, **values: Any) -> None:
        row = {"import_id": self.import_id, "number": self._number, "file": file[-255:], "line": line}
        self._rows.append({**row, **_NOTHING, **values})
        self._number += 1
        if len(self._rows) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        if self._rows:
            with service.letting_others_write():
                service.stage(self._rows)
            self._progress(len(self._rows), 0)
            self._rows = []


def batches(import_id: int, kind: Kind) -> Iterator[Sequence[Unit]]:
    """Yield the units of a kind, some together."""
    rows = (_staged(row) for row in repository.rows_by_unit(import_id, kind.name))
    units = (list(group) for _, group in itertools.groupby(rows, lambda row: row.unit))
    while batch := list(itertools.islice(units, UNITS)):
        yield batch


def values_of(rows: Iterable[Staged], name: str) -> set[str]:
    """Return the values that a field has in these rows, without null."""
    return {value for row in rows if (value := row.values.get(name)) is not None}


def _staged(row: Any) -> Staged:
    return Staged(
        row.number,
        row.file,
        row.line,
        row.unit,
        row.part,
        row.content["values"],
        row.content["is_removed"],
        row.content.get("when_new", {}),
        row.outcome,
        row.applied_at is not None,
    )
