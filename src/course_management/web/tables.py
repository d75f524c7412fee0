"""Forms that are tables: a list of a course, term or catalog entry, row by row, is put back as a whole.

Each field is there once per row. Empty rows at the end are for new ones; a row is left out if its `needed` fields are
empty, or if its box "remove" is ticked. Of a list of groups of alternatives, a column of the table numbers the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import Field

from ..errors import Problem, ValidationFailed
from .field_errors import MISSING, in_words, of_problem
from .field_forms import Input, Options, as_text, input_type, json_value, load
from .references import Reference
from .refusals import Entered, FieldError, refusal_of
from .texts import _

EMPTY_ROWS = 3
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of the form: its number from 1, and its fields."""

    number: int
    cells: Sequence[Input]
    is_removed: bool = False
    is_new: bool = False
    """Whether it is one of the empty rows at the end."""


@dataclass(frozen=True, slots=True)
class ShownTable:
    """The form as it is shown: the labels of its columns, which of them a row needs, its rows, and its version."""

    columns: Sequence[tuple[str, bool]]
    rows: Sequence[ShownRow]
    version: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was entered: its texts, and whether it is kept."""

    texts: Mapping[str, str]
    is_kept: bool
    is_removed: bool


@dataclass(frozen=True)
class Table:
    """The fields of a row, in the order of `labels`, with the schemas that the API has for a row and for the list."""

    schema: Schema
    body: Schema | Field[Any]
    labels: Mapping[str, str]
    needed: Sequence[str]
    hints: Mapping[str, str] = field(default_factory=dict)
    """What an empty field shows: an example that is not translated."""
    options: Mapping[str, Callable[[], Options]] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What an empty row has."""
    group: str = ""
    """The column that numbers the groups of a list of groups; empty: it is a plain list."""

    def read(self, entered: Entered) -> Any:
        """Return the list that was entered as services take it. Raises `ValidationFailed`."""
        items: dict[str, dict[str, Any]] = {}
        errors: list[dict[str, str]] = []
        for place, row in self._places(entered).items():
            items[place] = {}
            for name in self.schema.fields.keys() & self.labels.keys():
                try:
                    items[place][name] = self._value(name, row.texts[name])
                except ValidationError as error:
                    errors.append({"pointer": f"/{place}/{name}", "detail": str(error.messages[0])})
        if errors:
            raise ValidationFailed(errors=errors)
        if not self.group:
            return load(self.body, list(items.values()))
        groups: dict[str, list[Any]] = {}
        for place, item in items.items():
            groups.setdefault(place.split("/")[1], []).append(item)
        return load(self.body, {"groups": list(groups.values())})

    def _value(self, name: str, text: str) -> Any:
        if name in self.references:
            return self.references[name].id_of(text) if text.strip() else None
        return json_value(self.schema.fields[name], text)

    def _is_required(self, name: str) -> bool:
        return name in self.schema.fields and self.schema.fields[name].required

    def errors(self, entered: Entered, problem: Problem) -> Sequence[FieldError]:
        """Return what is wrong about the fields, row by row."""
        places = [*self._places(entered)]
        rows = self._rows(entered)
        numbers = [number for number, row in enumerate(rows, 1) if row.is_kept]
        found: dict[tuple[int, int], str] = {}
        labels = {name: _(label) for name, label in self.labels.items()}
        order = list(labels)
        for pointer, detail in of_problem(problem):
            # The most exact place first: an error may be about a field, a row, or a group of rows.
            place = next((place for place in places if f"{pointer}/".startswith(f"{place}/")), None)
            place = place or next((place for place in places if pointer and f"{place}/".startswith(f"{pointer}/")), "")
            number = numbers[places.index(place)] if place else 0
            rest = pointer.removeprefix(place).strip("/")
            name = rest if rest in self.labels else self.needed[0]
            if place and self._is_required(name) and not rows[number - 1].texts[name].strip():
                sentence = in_words(MISSING, labels[name], labels)
            else:
                sentence = in_words(detail, labels[name], labels)
            found.setdefault((number, order.index(name) if place else len(order)), sentence)
        return [
            FieldError(f"{order[column]}-{number}", _("Row %(number)s: %(sentence)s", number=number, sentence=sentence))
            if number
            else FieldError("", sentence)
            for (number, column), sentence in sorted(found.items())
        ]

    def shown(self, content: Any, version: str, defaults: Mapping[str, str] | None = None) -> ShownTable:
        """Return the form of what is stored or, if it was refused, with what was entered.

        `content` is the list as the API has it; `defaults` are those of empty rows, beside those of the table.
        """
        columns = [(_(label), self._is_required(name)) for name, label in self.labels.items()]
        if refusal := refusal_of(self):
            errors = dict(refusal.errors)
            rows = [
                ShownRow(number, self._cells(number, row.texts, errors), row.is_removed, self._is_blank(row.texts))
                for number, row in enumerate(self._rows(refusal.entered), 1)
            ]
            version = refusal.entered.get("version", "")
        else:
            rows = [
                ShownRow(number, self._cells(number, texts, {})) for number, texts in enumerate(self._texts(content), 1)
            ]
        blank = dict.fromkeys(self.labels, "") | dict(self.defaults) | dict(defaults or {})
        numbers = range(len(rows) + 1, len(rows) + 1 + (0 if refusal else EMPTY_ROWS))
        empty = [ShownRow(number, self._cells(number, blank, {}), is_new=True) for number in numbers]
        return ShownTable(columns, [*rows, *empty], version)

    def _texts(self, content: Any) -> Iterator[Mapping[str, str]]:
        """Yield the texts of each row of what is stored."""
        groups = content["groups"] if self.group else [content]
        items = [{self.group: number, **item} for number, group in enumerate(groups, 1) for item in group]
        codes = {
            name: reference.codes_of({item[name] for item in items} - {None})
            for name, reference in self.references.items()
        }
        for item in items:
            yield {name: as_text(codes.get(name, {}).get(item[name], item[name])) for name in self.labels}

    def _cells(self, number: int, texts: Mapping[str, str], errors: Mapping[str, str]) -> list[Input]:
        cells = []
        for name, label in self.labels.items():
            options = [*self.options[name]()] if name in self.options else ()
            is_typed = name == self.group or name in self.references
            cells.append(
                Input(
                    id=f"{name}-{number}",
                    name=name,
                    label=_(label),
                    type="text" if is_typed else input_type(self.schema.fields[name], options),
                    values=[texts[name]],
                    hint=self.hints.get(name, ""),
                    error=errors.get(f"{name}-{number}", ""),
                    required=self._is_required(name),
                    options=options,
                )
            )
        return cells

    def _places(self, entered: Entered) -> dict[str, _Row]:
        """Return the rows that are kept by their places in the body, as JSON pointers without the first slash."""
        kept = [row for row in self._rows(entered) if row.is_kept]
        if not self.group:
            return {str(index): row for index, row in enumerate(kept)}
        groups: dict[str, list[_Row]] = {}
        for row in kept:
            groups.setdefault(row.texts[self.group].strip(), []).append(row)
        places = {
            id(row): f"groups/{group_index}/{index}"
            for group_index, group in enumerate(groups.values())
            for index, row in enumerate(group)
        }
        return {places[id(row)]: row for row in kept}

    def _rows(self, entered: Entered) -> list[_Row]:
        """Return the rows that were entered."""
        removed = set(entered.getlist("remove"))
        columns = {name: entered.getlist(name) for name in self.labels}
        rows = []
        for index in range(max((len(texts) for texts in columns.values()), default=0)):
            row = {name: texts[index] if index < len(texts) else "" for name, texts in columns.items()}
            is_removed = str(index) in removed
            rows.append(_Row(row, not (is_removed or self._is_blank(row)), is_removed))
        return rows

    def _is_blank(self, texts: Mapping[str, str]) -> bool:
        return not any(texts[name].strip() for name in self.needed)
