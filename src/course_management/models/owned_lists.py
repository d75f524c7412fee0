"""Lists that are part of a row, though their values are in another table: the roles of a person, and others.

The model has the relationship (`owned_list`) and, for clients, the values as an `association_proxy` to it. They are
loaded with the row, set like any other attribute, and a change to them dates the row.
"""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import Mapper, Relationship, relationship

from ..database import Base
from ..database.types import utcnow

_MARK = "owned list"


def owned_list() -> Relationship[Any]:
    """Declare the relationship of a row to the rows of such a list.

    They are loaded by a second statement, which begins after a lock on the row and so sees what the lock waited for.
    """
    return relationship(cascade="all, delete-orphan", passive_deletes=True, lazy="selectin", info={_MARK: True})


@functools.cache
def owned_lists_of(model: type[Base]) -> tuple[str, ...]:
    """Return the names of these relationships of a model."""
    return tuple(relation.key for relation in inspect(model).relationships if relation.info.get(_MARK))


@event.listens_for(Base, "before_update", propagate=True)
def _touch_updated_at(_: Mapper[Any], __: Connection, target: Any) -> None:
    attributes = inspect(target).attrs
    if any(attributes[name].history.has_changes() for name in owned_lists_of(target.__class__)):
        target.updated_at = utcnow()
