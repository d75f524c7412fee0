"""Give an external id to rows that were made here, so that files can name them."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Table, bindparam, select, update

from ..database import retried, writing
from ..repositories.external_ids import REFERENCED

BATCH = 500
"""Rows that are changed, and so locked, in one transaction."""


def assign() -> int:
    """Give a random external id to each row that has none, and return the number of these rows.

    It is random, so that rows of two databases never have the same one by accident.
    """
    total = 0
    for _kind, table in REFERENCED.values():
        while count := _assign(table):
            total += count
    return total


@retried(repeatable=True)
def _assign(table: Table) -> int:
    has_none = table.c.external_id.is_(None)
    with writing() as session:
        ids = session.scalars(select(table.c.id).where(has_none).order_by(table.c.id).limit(BATCH)).all()
        values = [{"row_id": row_id, "new_id": str(uuid4())} for row_id in ids]
        if values:
            changed = update(table).where(table.c.id == bindparam("row_id"), has_none)
            session.connection().execute(changed.values(external_id=bindparam("new_id")), values)
    return len(values)
