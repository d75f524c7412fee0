"""Create, change and delete resources: students, courses, and others that are not on the hot path.

A `Resource` says which model it is and which refusal each constraint means; its schema is in `schemas`, its routes in
`api`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Column, delete, select
from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database import Base, retried, writing
from ..errors import Problem, ValidationFailed
from ..models.owned_lists import owned_lists_of
from . import Precondition, refusing

M = TypeVar("M", bound=Base)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[M]):
    """What clients create, read, list, change and delete: a model and its refusals."""

    model: type[M]
    not_found: type[Problem]
    refusal_if_taken: Mapping[str, type[Problem]]
    """The refusal of a value that another row has, by column. Each column has a unique constraint."""
    unique_within: Mapping[str, str] = field(default_factory=dict)
    """Where a column is unique among rows with the same value of another column, that one; null is such a value."""
    refusals: Mapping[str, type[Problem]] = field(default_factory=dict)
    """What the violation of other constraints means, by the name of the constraint."""
    triggers: Mapping[str, type[Problem]] = field(default_factory=dict)
    """The same, for triggers that refuse a change."""
    in_use: Mapping[str, type[Problem]] = field(default_factory=dict)
    """The same, when a row is deleted."""
    find_errors: Callable[[M], Iterable[tuple[str, str]]] = lambda _: ()
    """Returns what is wrong about the values of a row together: fields, and a sentence for each."""
    after_change: Callable[[Session, M], object] = lambda *_: None
    """What a change does to other rows, in its transaction."""

    def __post_init__(self) -> None:
        """Raise `ValueError` if a refusal is for a constraint or unique index that the table does not have."""
        table = self.model.metadata.tables[self.model.__tablename__]
        names = {named.name for named in table.constraints} | {named.name for named in table.indexes}
        unknown = self.refusals.keys() - names
        unknown |= {
            self._unique(column)[0] for column in self.refusal_if_taken if names.isdisjoint(self._unique(column))
        }
        if unknown:
            raise ValueError(f"the table {table.name} does not have: {', '.join(sorted(unknown))}")

    @property
    def constraints(self) -> Mapping[str, type[Problem]]:
        """The refusals of creating and changing, by the name of the constraint (`database.base` names them)."""
        unique = {name: problem for column, problem in self.refusal_if_taken.items() for name in self._unique(column)}
        return {**unique, **self.refusals, **self.triggers}

    def _unique(self, column: str) -> list[str]:
        """Return the names that a unique constraint of this column may have."""
        return ["_".join(("uq", self.model.__tablename__, *names)) for names in self._unique_columns(column)]

    def _unique_columns(self, column: str) -> list[tuple[str, ...]]:
        return [(column,), *((other, column) for other in filter(None, [self.unique_within.get(column)]))]


@retried(repeatable=False)
def create(resource: Resource[M], values: Mapping[str, Any], context: RequestContext) -> M:
    """Create a row with these values, and return it.

    Raises the resource's refusals, and `ValidationFailed` for ids of other rows that do not exist, or by its check.
    """
    with refusing(resource.constraints), writing() as session:
        _refuse_unknown(session, resource.model, values)
        row = resource.model(**values)
        _check(resource, row)
        session.add(row)
        session.flush()
        if lists := owned_lists_of(resource.model):
            session.refresh(row, lists)  # an empty one is not loaded otherwise
    _log("created", resource, row, context)
    return row


@retried(repeatable=False)
def create_all(resource: Resource[M], rows: Sequence[Mapping[str, Any]], context: RequestContext) -> None:
    """Create rows with these values, all in one transaction or none. Raises what `create` does, for any of them."""
    created = []
    with refusing(resource.constraints), writing() as session:
        for name in {name for values in rows for name in values}:
            _refuse_unknown(session, resource.model, {name: [each for row in rows if (each := row.get(name))]})
        for values in rows:
            created.append(resource.model(**values))
            _check(resource, created[-1])
        session.add_all(created)
        session.flush()
    for row in created:
        _log("created", resource, row, context)


@retried(repeatable=False)
def change(
    resource: Resource[M],
    row_id: int,
    values: Mapping[str, Any],
    precondition: Precondition | None,
    context: RequestContext,
) -> M:
    """Set some values of the row with the id `row_id`, and return it as it is now.

    Raises `not_found`, what `create` raises, and what `precondition` raises.
    """
    with refusing(resource.constraints), writing() as session:
        row = locked(session, resource, row_id, precondition)
        _refuse_unknown(session, resource.model, values)
        for name, value in values.items():
            setattr(row, name, value)
        _check(resource, row)
        session.flush()
        resource.after_change(session, row)
    # The names of the fields only: their values may be personal.
    _log("changed", resource, row, context, fields=sorted(values))
    return row


@retried(repeatable=False)
def remove(resource: Resource[M], row_id: int, precondition: Precondition | None, context: RequestContext) -> None:
    """Delete the row with the id `row_id`. Raises `not_found`, `in_use`, and what `precondition` raises."""
    with refusing(resource.in_use), writing() as session:
        row = locked(session, resource, row_id, precondition)
        session.execute(delete(resource.model).filter_by(id=row_id))
    _log("deleted", resource, row, context)


def locked(session: Session, resource: Resource[M], row_id: int, precondition: Precondition | None = None) -> M:
    """Return the row with the id `row_id`, locked, once `precondition` has accepted it. Raises `not_found`."""
    row = session.get(resource.model, row_id, with_for_update={"key_share": True})
    if row is None:
        raise resource.not_found
    if precondition:
        precondition(row)
    return row


def _log(action: str, resource: Resource[Any], row: Any, context: RequestContext, **more: object) -> None:
    """Write which row was changed by which caller."""
    log.info(f"resource.{action}", table=resource.model.__tablename__, id=row.id, actor=context.caller.actor, **more)


def errors_of_unknown_ids(session: Session, column: Column[Any], ids: Mapping[str, int]) -> list[dict[str, str]]:
    """Return an error for each JSON pointer whose id is not in the column; at most `ValidationFailed.max_errors`.

    A foreign key would not say which one. The rows are locked as it locks them, so that none is deleted meanwhile.
    """
    known = select(column).where(column.in_(set(ids.values()))).order_by(column)
    existing_ids = set(session.scalars(known.with_for_update(read=True, key_share=True))) if ids else set()
    sentence = "This id does not exist."
    errors = [{"pointer": pointer, "detail": sentence} for pointer, row_id in ids.items() if row_id not in existing_ids]
    return errors[: ValidationFailed.max_errors]


def _check(resource: Resource[M], row: M) -> None:
    errors = [{"pointer": f"/{name}", "detail": sentence} for name, sentence in resource.find_errors(row)]
    if errors:
        raise ValidationFailed(errors=errors)


def _refuse_unknown(session: Session, model: type[Base], values: Mapping[str, Any]) -> None:
    """Raise `ValidationFailed` with a pointer to each id of a row that does not exist."""
    errors: list[dict[str, str]] = []
    for name, value in values.items():
        column = _referenced(model, name)
        if column is None or not value:
            continue
        is_list = isinstance(value, list)
        ids = {f"/{name}/{index}": row_id for index, row_id in enumerate(value)} if is_list else {f"/{name}": value}
        errors += errors_of_unknown_ids(session, column, ids)
    if errors:
        raise ValidationFailed(errors=errors[: ValidationFailed.max_errors])


def _referenced(model: type[Base], name: str) -> Column[Any] | None:
    """Return the column of another table whose values a field has: of a foreign key, or of a list of rows with one."""
    attribute = getattr(model, name)
    attribute = getattr(attribute, "remote_attr", attribute)  # of an association proxy
    if isinstance(attribute, property):  # derived from a column
        return None
    keys = attribute.property.columns[0].foreign_keys
    return next((key.column for key in keys), None)
