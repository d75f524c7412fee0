"""Records: what a row of a file says, checked by the fields of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from .findings import Finding, Report
from .kind import Kind
from .tables import Row
from .values import BadValue, parse


@dataclass(frozen=True, slots=True)
class Record:
    """What one row of a file says: only fields that the file has; None where a cell is empty.

    `is_removed`: the file says that the row is gone.
    """

    kind: Kind
    file: str
    line: int
    values: Mapping[str, Any] = field(hash=False)
    is_removed: bool = False
    when_new: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What a row that is created gets, because the format does not have it; one that exists keeps what it has."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """Return what identifies the record among those of its kind."""
        return tuple(self.values.get(name) for name in self.kind.identity)


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes records of rows, and reports what is wrong with a cell. `names` are the columns as the file has them."""

    report: Report
    zone: tzinfo
    names: Mapping[str, str]

    def record(
        self,
        kind: Kind,
        row: Row,
        columns: Mapping[str, str],
        given: Mapping[str, str] = {},
        *,
        is_removed: bool = False,
        when_new: Mapping[str, Any] = {},
    ) -> Record | None:
        """Return the record of a row, or None if a cell is wrong.

        `columns` are the columns of the file by the fields of the kind; `given` are texts that no column has alone.
        `when_new` are values that only a row that is created gets.
        """
        texts = {name: row.get(key) for name, key in columns.items() if key in self.names} | {**given}
        values: dict[str, Any] = {}
        is_right = True
        for name, text in texts.items():
            column = self.names.get(columns.get(name, ""), name)
            try:
                values[name] = self._value(kind, row, column, name, text)
            except BadValue as error:
                is_right = False
                self._find(row, column, error.code, error.detail)
        for name in sorted(kind.required):
            if texts.get(name) or name in when_new:
                continue
            is_right = False
            self._find(row, self.names.get(columns.get(name, ""), name), "value_missing", "The value is missing.")
        if kind.one_of and sum(values.get(name) is not None for name in kind.one_of) != 1:
            is_right = False
            self._find(row, None, "validation_failed", f"Must have exactly one of: {', '.join(kind.one_of)}.")
        return Record(kind, row.file, row.line, values, is_removed, when_new) if is_right else None

    def check(self, kind: Kind, row: Row, columns: Mapping[str, str]) -> None:
        """Report what is wrong or unusual about some cells that have a value."""
        for name, key in columns.items():
            column = self.names.get(key, name)
            try:
                self._value(kind, row, column, name, row.get(key))
            except BadValue as error:
                self._find(row, column, error.code, error.detail)

    def warn(self, row: Row, column: str | None, code: str, detail: str) -> None:
        """Report a warning about a row."""
        self._find(row, column, code, detail, is_error=False)

    def refuse(self, row: Row, column: str | None, code: str, detail: str) -> None:
        """Report an error about a row, which is left out."""
        self._find(row, column, code, detail)

    def _value(self, kind: Kind, row: Row, column: str, name: str, text: str) -> Any:
        if not text:
            return None

        def warn(code: str, detail: str) -> None:
            self._find(row, column, code, detail, is_error=False)

        return parse(kind.fields[name], text, self.zone, warn, is_id=name in kind.ids)

    def _find(self, row: Row, column: str | None, code: str, detail: str, *, is_error: bool = True) -> None:
        self.report(Finding(file=row.file, line=row.line, column=column, code=code, detail=detail, is_error=is_error))
