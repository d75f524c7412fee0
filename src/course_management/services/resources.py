"""Create, change and delete resources: students, courses, and others that are not on the hot path.

A `Resource` says which model it is and which refusal each constraint means; its schema is in `schemas`, its routes in
`api`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import delete
from sqlalchemy.orm import Session

from ..database import Base, retried, writing
from ..errors import Problem
from . import Precondition, refusing

M = TypeVar("M", bound=Base)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[M]):
    """A subject that clients create, read, list, change and delete."""

    model: type[M]
    not_found: type[Problem]
    taken: Mapping[str, type[Problem]]
    """The refusal of a value that another row has, by column. Each column has a unique constraint."""
    refusals: Mapping[str, type[Problem]] = field(default_factory=dict)
    """What the violation of other constraints means, by the name of the constraint."""
    in_use: Mapping[str, type[Problem]] = field(default_factory=dict)
    """The same, when a row is deleted."""

    @property
    def constraints(self) -> Mapping[str, type[Problem]]:
        """The refusals of creating and changing, by the name of the constraint."""
        table = self.model.__tablename__
        return {f"uq_{table}_{column}": problem for column, problem in self.taken.items()} | dict(self.refusals)


@retried(repeatable=False)
def create(resource: Resource[M], values: Mapping[str, Any]) -> M:
    """Create a row with these values, and return it. Raises the resource's refusals."""
    with refusing(resource.constraints), writing() as session:
        found = resource.model(**values)
        session.add(found)
        session.flush()
        return found


@retried(repeatable=False)
def change(resource: Resource[M], number: int, values: Mapping[str, Any], precondition: Precondition | None) -> M:
    """Set some values of the row with the id `number`, and return it as it is now.

    Raises `not_found`, the resource's refusals, and what `precondition` raises.
    """
    with refusing(resource.constraints), writing() as session:
        found = _locked(session, resource, number, precondition)
        for name, value in values.items():
            setattr(found, name, value)
        session.flush()
        return found


@retried(repeatable=False)
def remove(resource: Resource[M], number: int, precondition: Precondition | None) -> None:
    """Delete the row with the id `number`. Raises what `change` raises."""
    with refusing(resource.in_use), writing() as session:
        _locked(session, resource, number, precondition)
        session.execute(delete(resource.model).filter_by(id=number))


def _locked(session: Session, resource: Resource[M], number: int, precondition: Precondition | None) -> M:
    """Return the row, locked, and checked against what the caller knows of it."""
    found = session.get(resource.model, number, with_for_update={"key_share": True})
    if found is None:
        raise resource.not_found
    if precondition:
        precondition(found)
    return found
