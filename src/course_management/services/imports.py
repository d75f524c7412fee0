"""Write imports and their rows: stage them, note what each would change, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, update

from ..database import retried, writing
from ..database.types import utcnow
from ..models import Import, import_rows


@retried(repeatable=False)
def start(values: Mapping[str, Any]) -> int:
    """Create an import (`format`, `digest`, `files`, `options`, `state`), and return its id."""
    with writing() as session:
        found = Import(**values)
        session.add(found)
        session.flush()
        return found.id


@retried(repeatable=True)
def set_state(import_id: int, state: str) -> None:
    """Say how far an import is."""
    with writing() as session:
        session.get_one(Import, import_id).state = state


@retried(repeatable=True)
def clear(import_id: int) -> None:
    """Delete the rows of an import that was not read to its end."""
    with writing() as session:
        session.execute(delete(import_rows).where(import_rows.c.import_id == import_id))


@retried(repeatable=False)
def stage(rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, with all columns of the table but `applied_at`."""
    with writing() as session:
        session.execute(insert(import_rows), rows)


@retried(repeatable=True)
def note(import_id: int, verdicts: Iterable[Mapping[str, Any]], *, applied: bool) -> None:
    """Set `outcome`, `code` and `detail` of rows by their `number`; with `applied`, they are what was done."""
    values = [
        {"at_import": import_id, "at_number": each["number"], **{name: each[name] for name in _NOTED}}
        for each in verdicts
    ]
    if not values:
        return
    statement = (
        update(import_rows)
        .where(
            import_rows.c.import_id == bindparam("at_import"),
            import_rows.c.number == bindparam("at_number"),
        )
        .values({name: bindparam(name) for name in _NOTED})
    )
    if applied:
        statement = statement.values(applied_at=utcnow())
    with writing() as session:
        session.connection().execute(statement, values)


_NOTED = ("outcome", "code", "detail")
