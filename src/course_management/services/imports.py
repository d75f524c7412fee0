"""Write imports and their rows: stage them, note what each would change, and what became of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import String, bindparam, delete, insert, not_, or_, select, update

from ..database import db, retried, run, transaction, writing
from ..database.types import Id, IdList, UtcDateTime, among, utcnow
from ..models import APPLIED, APPLYING, PLANNED, PLANNING, READING, Import, import_rows, imports, was_accepted
from .enrollment.loading import Execute

Verdict: TypeAlias = tuple[int, str | None, str | None, str | None]
LONGEST_DETAIL = 1_000
"""Characters of the column `detail`."""
LONGEST_PAUSE_S = 0.1
ROWS_AT_ONCE = 2_000
"""Rows that are deleted in one transaction."""


def start(values: Mapping[str, Any], again: int | None = None) -> int:
    """Begin to read an import (`format`, `digest`, `files`, `options`), and return its id.

    With `again`, it is that of an import which was not applied, whose rows are deleted.
    """
    if again is None:
        return _create({**values, "state": READING})
    set_state(again, READING)
    has_rows = True
    while has_rows:
        with letting_others_write():
            has_rows = _clear(again, ROWS_AT_ONCE)
    return again


@contextmanager
def letting_others_write() -> Iterator[None]:
    """After the transaction of the block, leave others as much time for theirs, on SQLite.

    It has one writer, and a waiting one only looks from time to time whether it is free: beside an import without
    pauses, an enrollment took up to 3 s, with them 0.6 s.
    """
    started = time.monotonic()
    yield
    if db.engine.dialect.name == "sqlite":
        time.sleep(min(time.monotonic() - started, LONGEST_PAUSE_S))


@retried(repeatable=False)
def _create(values: Mapping[str, Any]) -> int:
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
def _clear(import_id: int, limit: int) -> bool:
    """Delete some rows of an import that was not applied. Returns whether there may be more."""
    table = import_rows.c
    last = select(table.number).where(table.import_id == import_id).order_by(table.number).limit(limit)
    with writing() as session:
        numbers = session.scalars(last).all()
        if numbers:
            session.execute(delete(import_rows).where(table.import_id == import_id, table.number <= numbers[-1]))
    return len(numbers) == limit


@retried(repeatable=True)
def purge(import_id: int, after: int) -> int | None:
    """Delete rows of an import that no other one needs, of the next `ROWS_AT_ONCE` after a number.

    Kept is what the latest applied import said about something: by that, the next one knows what somebody has changed
    since. Returns the number to go on after, or None at the end.
    """
    row, applied = import_rows.c, import_rows.alias("applied")
    replaced = (
        select(applied.c.number)
        .join(imports, imports.c.id == applied.c.import_id)
        .where(
            applied.c.kind == row.kind,
            applied.c.unit == row.unit,
            applied.c.part.is_not_distinct_from(row.part),
            applied.c.import_id > import_id,
            was_accepted(applied),
            imports.c.state == APPLIED,
        )
        .exists()
    )
    was_applied = select(imports.c.id).where(imports.c.id == import_id, imports.c.state == APPLIED).exists()
    page = select(row.number).where(row.import_id == import_id, row.number > after).order_by(row.number)
    with writing() as session:
        numbers: Sequence[int] = session.scalars(page.limit(ROWS_AT_ONCE)).all()
        if not numbers:
            return None
        session.execute(
            delete(import_rows).where(
                row.import_id == import_id,
                row.number.between(numbers[0], numbers[-1]),
                or_(not_(was_applied), row.outcome.is_(None), not_(was_accepted(import_rows)), replaced),
            ),
            execution_options={"synchronize_session": False},
        )
    return numbers[-1]


@retried(repeatable=False)
def stage(rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, with all columns of the table but `applied_at`."""
    with writing() as session:
        session.execute(insert(import_rows), rows)


@retried(repeatable=True)
def record_outcomes(import_id: int, verdicts: Iterable[Verdict], *, applied: bool) -> None:
    """Write down what becomes of rows: their number, outcome, code, detail. With `applied`, it was done."""
    with transaction() as connection:
        record_outcomes_within(functools.partial(run, connection), import_id, verdicts, applied=applied)


def record_outcomes_within(execute: Execute, import_id: int, verdicts: Iterable[Verdict], *, applied: bool) -> None:
    """Do what `record_outcomes` does, in the transaction of `execute`. Rows with the same verdict are one statement."""
    numbers: dict[tuple[str | None, ...], list[int]] = {}
    for number, *verdict in verdicts:
        numbers.setdefault(tuple(verdict), []).append(number)
    at = utcnow() if applied else None
    for (outcome, code, detail), chosen in numbers.items():
        values = {"new_outcome": outcome, "new_code": code, "new_detail": detail and detail[:LONGEST_DETAIL]}
        execute(_RECORD_OUTCOMES, {"at_import": import_id, "numbers": chosen, "new_applied_at": at, **values})


_RECORD_OUTCOMES = (
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

__all__ = [
    "APPLIED",
    "APPLYING",
    "LONGEST_DETAIL",
    "PLANNED",
    "PLANNING",
    "READING",
    "letting_others_write",
    "purge",
    "record_outcomes",
    "record_outcomes_within",
    "set_state",
    "stage",
    "start",
]
