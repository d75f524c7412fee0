"""Write imports and their rows: stage them, note what each would change, and what became of it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import String, bindparam, delete, insert, update

from ..database import retried, run, transaction, writing
from ..database.types import Id, IdList, UtcDateTime, among, utcnow
from ..models import Import, import_rows
from .enrollment.loading import Execute


@retried(repeatable=False)
def start(values: Mapping[str, Any]) -> int:
    """Create an import (`format`, `digest`, `files`, `options`, `state`), and return its id."""
    with writing() as session:
        row = Import(**values)
        session.add(row)
        session.flush()
        return row.id


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
    with transaction() as connection:
        note_within(functools.partial(run, connection), import_id, verdicts, applied=applied)


def note_within(execute: Execute, import_id: int, verdicts: Iterable[Mapping[str, Any]], *, applied: bool) -> None:
    """Do what `note` does, in the transaction of `execute`. Rows with the same verdict are one statement."""
    numbers: dict[tuple[str | None, ...], list[int]] = {}
    for verdict in verdicts:
        numbers.setdefault((verdict["outcome"], verdict["code"], verdict["detail"]), []).append(verdict["number"])
    at = utcnow() if applied else None
    for (outcome, code, detail), chosen in numbers.items():
        values = {"new_outcome": outcome, "new_code": code, "new_detail": detail, "new_applied_at": at}
        execute(_NOTE, {"at_import": import_id, "numbers": chosen, **values})


_NOTE = (
    update(import_rows)
    .where(
        import_rows.c.import_id == bindparam("at_import", type_=Id),
        among(import_rows.c.number, bindparam("numbers", type_=IdList)),
    )
    .values(
        outcome=bindparam("new_outcome", type_=String),
        code=bindparam("new_code", type_=String),
        detail=bindparam("new_detail", type_=String),
        applied_at=bindparam("new_applied_at", type_=UtcDateTime),
    )
)
