"""Forms that are tables: a list of a course or term, row by row, is put back as a whole.

Each field is there once per row. Empty rows at the end are for new ones; a row is left out if its `needed` fields are
empty, or if its box "remove" is ticked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field
from werkzeug.datastructures import MultiDict

from ...errors import Problem
from ..resource_forms import Refusable, as_text, errors_by_field, json_value

EMPTY_ROWS = 3


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of the form: its texts and errors by the names of fields."""

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    is_removed: bool = False
    is_new: bool = False
    """Whether it is one of the empty rows at the end."""


@dataclass(frozen=True, slots=True)
class TableForm(Refusable):
    """The form as it is shown: its rows, the version it was made from, and why it was refused."""

    rows: Sequence[TableRow]
    version: str
    problem: Problem | None = None
    other_errors: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """The fields of a row, with the schema that the API has for it."""

    schema: Schema
    needed: Sequence[str]
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What an empty row has."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the fields."""
        return list(self.schema.fields)

    def stored(self, items: Sequence[Mapping[str, Any]], version: str, defaults: Mapping[str, str]) -> TableForm:
        """Return the form of what is stored."""
        rows = [TableRow({name: as_text(item[name]) for name in self.names}) for item in items]
        return TableForm([*rows, *self._empty(defaults)], version)

    def entered(self, form: MultiDict[str, str], defaults: Mapping[str, str], problem: Problem) -> TableForm:
        """Return the form with what was entered and why that is refused."""
        errors = errors_by_field(problem)
        rows, number = [], 0
        for row, is_kept, is_removed in self._rows(form):
            prefix = f"{number}/"
            own = {name.removeprefix(prefix): text for name, text in errors.items() if name.startswith(prefix)}
            if is_kept and str(number) in errors:
                own[self.needed[0]] = errors[str(number)]
            rows.append(TableRow(row, own if is_kept else {}, is_removed))
            number += is_kept
        others = [text for name, text in errors.items() if not name.partition("/")[0].isdigit()]
        if len(rows) == number:
            rows += self._empty(defaults)
        return TableForm(rows, form.get("version", ""), problem, others)

    def body(self, form: MultiDict[str, str]) -> list[dict[str, Any]]:
        """Return the rows that were entered as the body of the API has them."""
        fields: Mapping[str, Field[Any]] = self.schema.fields
        return [
            {name: json_value(fields[name], row[name]) for name in self.names}
            for row, is_kept, _is_removed in self._rows(form)
            if is_kept
        ]

    def _rows(self, form: MultiDict[str, str]) -> list[tuple[dict[str, str], bool, bool]]:
        """Return each row, whether it is kept, and whether it was removed."""
        removed = set(form.getlist("remove"))
        columns = {name: form.getlist(name) for name in self.names}
        count = max((len(values) for values in columns.values()), default=0)
        rows = []
        for index in range(count):
            row = {name: values[index] if index < len(values) else "" for name, values in columns.items()}
            is_removed = str(index) in removed
            rows.append((row, not is_removed and any(row[name].strip() for name in self.needed), is_removed))
        return rows

    def _empty(self, defaults: Mapping[str, str]) -> list[TableRow]:
        blank = dict.fromkeys(self.names, "") | dict(self.defaults) | dict(defaults)
        return [TableRow(blank, is_new=True) for _number in range(EMPTY_ROWS)]
