"""Create and change rows of a resource by their external id."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

from marshmallow import Schema, ValidationError
from sqlalchemy import Table, inspect

from ...errors import Problem
from ...repositories import import_targets as targets
from ...repositories import imports as repository
from ...schemas.resources import ResourceSchema
from ...services import resources
from ...services.resources import Resource
from ..staging import Staged, Unit, plain
from ..verdicts import CREATE, REFUSE, UNCHANGED, UPDATE, Verdict, refused
from .base import Decided, KindHandler, compared, reference_refused

Key = tuple[str, str | None]
"""The unit and the part of a row."""


class _ReferenceRefusedError(Exception):
    """The row names another one of the import, which was refused."""


class ResourceHandler(KindHandler):
    """Creates and changes rows of a resource. It deletes none.

    A column of `references` sets the column of the resource with `_id`: `term` sets `term_id`.
    """

    resource: ClassVar[Resource[Any]]
    schema: ClassVar[type[ResourceSchema]]

    _present: Mapping[Key, Any]
    _before: Mapping[Key, Any]
    _others: Mapping[str, Mapping[Any, int]]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._schemas: dict[bool, Schema] = {}
        self._claimed: dict[tuple[str, Any], tuple[str, int | None, Key]] = {}
        """The file, line and key of the first row of this import that gets a value of which there is one."""

    def read(self, units: Sequence[Unit]) -> None:
        """Read the rows with these keys, those with the same unique values, and what the last import said."""
        rows = [row for unit in units for row in unit]
        self._present = self.find(rows)
        self._before = repository.last_imported_contents(self.import_id, self.kind.name, {row.unit for row in rows})
        unique = self.resource.refusal_if_taken.keys() - {*self.kind.identity}
        self._others = {column: self._with_the_same(rows, column) for column in sorted(unique)}

    def find(self, rows: Sequence[Staged]) -> Mapping[Key, Any]:
        """Return the present objects by the keys of rows."""
        found = repository.by_external_id(self.resource.model, {row.unit for row in rows})
        return {(external_id, None): present for external_id, present in found.items()}

    def _with_the_same(self, rows: Sequence[Staged], column: str) -> Mapping[Any, int]:
        within = self.resource.unique_within.get(column)
        values = {value for row in rows if (value := self._body(row).get(column)) is not None}
        return targets.ids_by_unique_value(cast("Table", self.resource.model.__table__), column, values, within)

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        rows, verdicts = self.kept(unit)
        return [*verdicts, *map(self._decide, rows)]

    def _decide(self, row: Staged) -> Verdict:
        present = self._present.get((row.unit, row.part))
        if row.is_removed:
            detail = "The file says that it is gone. Imports delete nothing."
            return Verdict(row.number, UNCHANGED, "removed_in_file", detail)
        if refusal := self.refuse_unknown(row):
            return refusal
        changed = None if present is None else self._changes(row, present)
        before = self._before.get((row.unit, row.part)) if present is not None else None  # what is gone is made again
        verdict = compared(row, before, changed, lambda name: self._now(present, name))
        if verdict.outcome in (CREATE, UPDATE):
            return self._checked(row, present, changed) or verdict
        return verdict

    def _changes(self, row: Staged, present: Any) -> dict[str, Any]:
        """Return what the row would change. A field whose cell is empty is cleared, if it can be empty."""
        body = self._body(row)
        return {
            name: value
            for name, value in body.items()
            if plain(self._now(present, name)) != value and not (value is None and self._is_required(name))
        }

    def _now(self, present: Any, name: str) -> Any:
        since = self.schema.fields_of()[name].metadata.get("since")
        return getattr(present, since) is not None if since else getattr(present, name)

    def _is_required(self, name: str) -> bool:
        declared = self.schema.fields_of()[name]
        return not declared.allow_none or declared.load_default == ""

    def _body(self, row: Staged) -> dict[str, Any]:
        """Return the values as the API takes them: with ids of rows instead of their external ids."""
        ids = {f"{name}_id": self.id_of(name, key) for name in self.references if (key := row.values.get(name))}
        return {name: value for name, value in row.values.items() if name not in self.references} | ids

    def _new_body(self, row: Staged) -> dict[str, Any]:
        return {**row.when_new, **self._body(row)}

    def _checked(self, row: Staged, present: Any, changed: Mapping[str, Any] | None) -> Verdict | None:
        """Return the refusal that the service would give, as far as the plan can know it."""
        body = self._new_body(row) if changed is None else changed
        try:
            values = self._loaded(body, is_new=present is None)
            self.refuse_together(present, values, body)
        except Problem as problem:
            return refused(row, problem)
        except ValidationError as error:
            return _invalid(row, error)
        own_id = None if present is None else present.id
        return self._taken(row, own_id, {**self._all_values(present), **body}, body)

    def _taken(
        self, row: Staged, own_id: int | None, values: Mapping[str, Any], body: Collection[str]
    ) -> Verdict | None:
        own = row.file, row.line, (row.unit, row.part)
        for column, others in self._others.items():
            problem, within = self.resource.refusal_if_taken[column], self.resource.unique_within.get(column)
            if values.get(column) is None or not {column, within} & {*body}:
                continue
            key = (values.get(within), values[column]) if within else values[column]
            if others.get(key) not in (None, own_id):
                return Verdict(row.number, REFUSE, problem.code, f"{values[column]!r}: {problem.meaning}")
            file, line, first = self._claimed.setdefault((column, key), own)
            if first != own[-1]:
                detail = f"{values[column]!r}: line {line} of {file} has the same {column}."
                return Verdict(row.number, REFUSE, problem.code, detail)
        return None

    def refuse_together(self, present: Any, values: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Raise what the values of a row together contradict; `body` also has ids of planned rows."""
        del body
        candidate = self.resource.model(**{**self._all_values(present), **values})
        if errors := dict(self.resource.find_errors(candidate)):
            raise ValidationError({name: [sentence] for name, sentence in errors.items()})

    def _all_values(self, present: Any) -> dict[str, Any]:
        if present is None:
            return {}
        columns: Iterator[str] = (column.key for column in inspect(self.resource.model).column_attrs)
        return {name: getattr(present, name) for name in columns if name != "search_text"}

    def _loaded(self, body: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
        """Return the values that a service takes. Raises `ValidationError`."""
        planned = {name: value for name, value in body.items() if isinstance(value, int) and value < 0}
        unplanned = {name: value for name, value in body.items() if name not in planned}
        if is_new:
            unplanned = {name: value for name, value in unplanned.items() if value is not None}
        if is_new not in self._schemas:  # making one takes longer than loading a row
            self._schemas[is_new] = self.schema.body(partial=not is_new)
        values: dict[str, Any] = self._schemas[is_new].load(unplanned)
        return values

    def write_all(self, decided: Sequence[Decided]) -> list[Verdict]:
        """Create all new rows in one transaction; if one of them is refused, decide again and write one by one."""
        rows = {row.number: row for unit, _ in decided for row in unit}
        all_verdicts = [verdict for _, verdicts in decided for verdict in verdicts]
        new_rows = [rows[verdict.number] for verdict in all_verdicts if verdict.outcome == CREATE]
        if not new_rows:
            return super().write_all(decided)
        try:
            resources.create_all(self.resource, [self._values(row, None) for row in new_rows], self.context)
        except (Problem, ValidationError, _ReferenceRefusedError):
            self.load([unit for unit, _ in decided])  # another import may have created one of them
            numbers = {verdict.number for verdict in all_verdicts}
            return super().write_all(
                [(unit, [verdict for verdict in self.decide(unit) if verdict.number in numbers]) for unit, _ in decided]
            )
        others = [(unit, [verdict for verdict in verdicts if verdict.outcome != CREATE]) for unit, verdicts in decided]
        return [Verdict(row.number, CREATE) for row in new_rows] + super().write_all(others)

    def write(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Create or change the row."""
        rows = {row.number: row for row in unit}
        return [self._write(rows[verdict.number], verdict) for verdict in verdicts]

    def _write(self, row: Staged, verdict: Verdict) -> Verdict:
        if verdict.outcome not in (CREATE, UPDATE):
            return verdict
        present = self._present.get((row.unit, row.part))
        try:
            values = self._values(row, present)
            if present is None:
                resources.create(self.resource, values, self.context)
            else:
                self.change(present.id, values)
        except Problem as problem:
            return refused(row, problem)
        except _ReferenceRefusedError:
            return reference_refused(row)
        except ValidationError as error:
            return _invalid(row, error)
        return verdict

    def _values(self, row: Staged, present: Any) -> dict[str, Any]:
        """Return the values to create a row with, or to change in it.

        Raises `ValidationError` and `_ReferenceRefusedError`.
        """
        if any((self.id_of(name, row.values.get(name)) or 0) < 0 for name in self.references):
            raise _ReferenceRefusedError
        body = self._new_body(row) if present is None else self._changes(row, present)
        return self._loaded(body, is_new=present is None)

    def change(self, row_id: int, values: Mapping[str, Any]) -> None:
        """Change a row. Raises `Problem`."""
        resources.change(self.resource, row_id, values, None, self.context)


def _invalid(row: Staged, error: ValidationError) -> Verdict:
    messages = cast("Mapping[str, Any]", error.messages)
    sentences = [f"{name}: {' '.join(map(str, sentences_of_field))}" for name, sentences_of_field in messages.items()]
    return Verdict(row.number, REFUSE, "validation_failed", " ".join(sentences))
