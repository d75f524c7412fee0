"""Decide and write the records of each kind.

A handler decides the same way when it plans and when it applies: by the present state of the database. So a killed
import goes on where it stopped, and what is there already is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from marshmallow import Schema, ValidationError

from ..context import RequestContext
from ..errors import Problem
from ..repositories import imports as repository
from ..schemas.resources import ResourceSchema
from ..services import courses, resources
from ..services.courses import COURSES
from ..services.resources import Resource
from . import staging
from .kinds import Kind
from .references import PLANNED, References
from .staging import Staged, Unit, plain
from .verdicts import CREATE, REFUSE, UNCHANGED, UPDATE, Verdict, not_found, refused, without_repetitions

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


class _ReferenceRefusedError(Exception):
    """The row names another one of the import, which was refused."""


@dataclass(slots=True)
class ResourceHandler(Handler):
    """Creates and updates rows of a resource by their external id. It deletes none."""

    kind: Kind
    resource: Resource[Any]
    schema: type[ResourceSchema]
    import_id: int
    context: RequestContext
    references: Mapping[str, str] = field(default_factory=dict)
    """The column of the resource by the column of the file that names another row."""
    _present: Mapping[str, Any] = field(default_factory=dict)
    _before: Mapping[tuple[str, str | None], Any] = field(default_factory=dict)
    _ids: dict[str, Mapping[str, int]] = field(default_factory=dict)
    _schemas: dict[bool, Schema] = field(default_factory=dict)

    def load(self, units: Sequence[Unit]) -> None:
        """Read the rows with these external ids, those that they name, and what the last import said."""
        rows = [row for unit in units for row in unit]
        keys = {row.unit for row in rows}
        self._present = repository.by_external_id(self.resource.model, keys)
        self._before = repository.applied_before(self.import_id, self.kind.name, keys)
        found = References(self.import_id)
        self._ids = {name: found.ids(name, staging.values_of(rows, name)) for name in self.references}

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row."""
        kept, verdicts = without_repetitions(unit)
        return [*verdicts, *map(self._decide, kept)]

    def _decide(self, row: Staged) -> Verdict:
        present = self._present.get(row.unit)
        if row.is_removed:
            detail = "The file says that it is gone. Imports delete nothing."
            return Verdict(row.number, UNCHANGED, "removed_in_file", detail)
        for name in self.references:
            key = row.values.get(name)
            if key is not None and key not in self._ids[name]:
                return not_found(row, name, key)
        if present is None:
            return Verdict(row.number, CREATE)
        changed = self._changes(row, present)
        if not changed:
            return Verdict(row.number, UNCHANGED)
        before = self._before.get((row.unit, row.part))
        if before and before["values"] == row.values:
            detail = f"Somebody has changed it since the last import: {', '.join(sorted(changed))}. That is kept."
            return Verdict(row.number, UNCHANGED, "changed_since", detail)
        return Verdict(row.number, UPDATE, None, f"Changes {', '.join(sorted(changed))}.")

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
        keys = {name: row.values.get(name) for name in self.references}
        ids = {self.references[name]: self._ids[name].get(key) for name, key in keys.items() if key}
        return {name: value for name, value in row.values.items() if name not in self.references} | ids

    def write_all(self, decided: Sequence[Decided]) -> list[Verdict]:
        """Create all new rows in one transaction; if one of them is refused, decide again and write one by one."""
        rows = {row.number: row for unit, _ in decided for row in unit}
        new = [rows[each.number] for _, verdicts in decided for each in verdicts if each.outcome == CREATE]
        if not new:
            return Handler.write_all(self, decided)
        try:
            resources.create_all(self.resource, [self._values(row, None) for row in new], self.context)
        except (Problem, ValidationError, _ReferenceRefusedError):
            self.load([unit for unit, _ in decided])  # another import may have created one of them
            numbers = {each.number for _, verdicts in decided for each in verdicts}
            again = [(unit, [each for each in self.decide(unit) if each.number in numbers]) for unit, _ in decided]
            return Handler.write_all(self, again)
        others = [(unit, [each for each in verdicts if each.outcome != CREATE]) for unit, verdicts in decided]
        return [Verdict(row.number, CREATE) for row in new] + Handler.write_all(self, others)

    def write(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Create or change the row."""
        rows = {row.number: row for row in unit}
        return [self._write(rows[each.number], each) for each in verdicts]

    def _write(self, row: Staged, verdict: Verdict) -> Verdict:
        if verdict.outcome not in (CREATE, UPDATE):
            return verdict
        present = self._present.get(row.unit)
        try:
            values = self._values(row, present)
            if present is None:
                resources.create(self.resource, values, self.context)
            elif self.resource is COURSES:
                courses.change(present.id, values, None, self.context)
            else:
                resources.change(self.resource, present.id, values, None, self.context)
        except Problem as problem:
            return refused(row, problem)
        except _ReferenceRefusedError:
            return Verdict(row.number, REFUSE, "reference_refused", "The row that it names was refused.")
        except ValidationError as error:
            return Verdict(row.number, REFUSE, "validation_failed", f"{error.messages}")
        return verdict

    def _schema(self, *, partial: bool) -> Schema:
        if partial not in self._schemas:  # making one takes longer than loading a row
            self._schemas[partial] = self.schema.body(partial=partial)
        return self._schemas[partial]

    def _values(self, row: Staged, present: Any) -> dict[str, Any]:
        """Return the values to create a row with, or to change in it.

        Raises `ValidationError` and `_ReferenceRefusedError`.
        """
        body = self._body(row) if present is None else self._changes(row, present)
        if PLANNED in [body.get(column) for column in self.references.values()]:
            raise _ReferenceRefusedError
        given = {name: value for name, value in body.items() if value is not None or present is not None}
        values: dict[str, Any] = self._schema(partial=present is not None).load(given)
        return values
