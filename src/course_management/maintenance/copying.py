"""Copy a whole database into an empty one, which may be of the other kind.

The source is read in one snapshot, so the service can be in use meanwhile and the copy is of one moment. The target is
filled in one transaction: it gets everything or nothing. Rows pass through in parts, in bounded memory.

No trigger runs on the target during the copy: it would count the seats and write the ledger again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import orjson
import psycopg
from sqlalchemy import Connection, Engine, Table, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from .. import models  # noqa: F401 - fills Base.metadata
from ..database import Base, broken_constraint, kind_of, sequences
from . import ledger_seal

NOT_COPIED = {
    "leases": "a process of the source holds them",
    "schema_compatibility": "the migrations write it",
}
"""Tables that are left out, and why."""
PART = 5_000
"""Rows in memory at a time."""
DIGEST_BYTES = 16
MODULUS = 1 << (8 * DIGEST_BYTES)

Progress: TypeAlias = "Callable[[str, int, bool], None]"
"""Called with the name of a table, the number of its rows that are copied, and whether these are all."""


class CopyRefused(Exception):
    """Nothing was copied. The text is a sentence."""


class TargetNotEmpty(CopyRefused):
    """Copying would mix rows of two databases."""


def tables() -> list[Table]:
    """List the tables to copy, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if table.name not in NOT_COPIED]


def unknown_tables(source: Connection) -> list[str]:
    """List tables of the source that are not the service's, which are not copied."""
    return sorted({*inspect(source).get_table_names()} - {*Base.metadata.tables, "alembic_version"})


def copy(source: Connection, target: Engine, progress: Progress) -> ledger_seal.Seal:
    """Copy all rows and sequences from the snapshot `source`, and compare what has arrived, in one transaction.

    Returns the seal of the ledger, which is the same on both sides. Raises `CopyRefused`.
    """
    with target.begin() as connection:
        _lock(connection)
        _require_empty(connection)
        digests: dict[str, int] = {}
        with _without_triggers(connection):
            for table in tables():
                digests[table.name] = copy_table(source, connection, table, progress)
        _require_valid_references(connection)
        for name, last in sequences.last_given(source).items():
            sequences.set_last_given(connection, name, last)
        for table in tables():
            if digest(_rows(connection, table)) != digests[table.name]:
                raise CopyRefused(f"Rows of {table.name} are different after copying, so nothing was copied.")
        return _sealed_on_both_sides(source, connection)


def _lock(connection: Connection) -> None:
    """Keep other sessions from writing to the target; on SQLite the transaction does."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in tables())
        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")


def _require_empty(connection: Connection) -> None:
    filled = [table.name for table in tables() if connection.execute(select(table).limit(1)).first()]
    if filled:
        raise TargetNotEmpty(
            f"The target is not empty: {', '.join(filled)}. Nothing was copied. Create a new database, and copy "
            "into that."
        )


@contextmanager
def _without_triggers(connection: Connection) -> Iterator[None]:
    """Run a block without the triggers of the tables. If it raises, the rollback brings them back."""
    if connection.dialect.name == "postgresql":
        # USER leaves the foreign keys, which are triggers of the system, in force.
        for table in tables():
            connection.exec_driver_sql(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")
        yield
        for table in tables():
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ENABLE TRIGGER USER")
        return
    triggers = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
    for name, _ in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for _, statement in triggers:
        connection.exec_driver_sql(statement)


def copy_table(source: Connection, target: Connection, table: Table, progress: Progress) -> int:
    """Copy the rows of a table. Returns their digest."""
    write = _write_by_copy if target.dialect.name == "postgresql" else _write_by_insert
    count = total = 0

    def counted() -> Iterator[Sequence[Any]]:
        nonlocal count, total
        for row in _rows(source, table):
            count += 1
            total = (total + _digest_of(row)) % MODULUS
            yield row
            if count % PART == 0:
                progress(table.name, count, False)

    try:
        write(target, table, counted())
    except (DBAPIError, psycopg.Error) as error:
        raise _refusal(source, table, count, error) from None
    progress(table.name, count, True)
    return total


def _rows(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    """Read a table in the order of its primary key, in parts."""
    statement = select(table).order_by(*table.primary_key).execution_options(yield_per=PART)
    yield from connection.execute(statement)


def _write_by_copy(target: Connection, table: Table, rows: Iterator[Sequence[Any]]) -> None:
    processors = [column.type.dialect_impl(target.dialect).bind_processor(target.dialect) for column in table.columns]
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    cursor: psycopg.Cursor[Any] = target.connection.cursor()  # type: ignore[assignment]
    with cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as pipe:
        for row in rows:
            pipe.write_row(
                [
                    process(value) if process and value is not None else value
                    for process, value in zip(processors, row, strict=True)
                ]
            )


def _write_by_insert(target: Connection, table: Table, rows: Iterator[Sequence[Any]]) -> None:
    names = [column.name for column in table.columns]
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(dict(zip(names, row, strict=True)))
        if len(part) == PART:
            target.execute(insert(table), part)
            part.clear()
    if part:
        target.execute(insert(table), part)


def _refusal(source: Connection, table: Table, count: int, error: Exception) -> CopyRefused:
    """Return the reason why the target has refused a row, without the values of the row."""
    if isinstance(error, IntegrityError | psycopg.IntegrityError):
        name = broken_constraint(error) if isinstance(error, IntegrityError) else error.diag.constraint_name
        return CopyRefused(
            f"A row of {table.name} breaks the constraint {name}, so nothing was copied. "
            "`course-management verify` on the source finds the row."
        )
    diagnosis = getattr(error, "diag", None)
    place = re.search(r"line (\d+)(?:, column (\w+))?", getattr(diagnosis, "context", None) or "")
    line = int(place[1]) if place else count
    column = f" in the column {place[2]}" if place and place[2] else ""
    key = source.execute(select(*table.primary_key).order_by(*table.primary_key).offset(line - 1).limit(1)).first()
    names = [column.name for column in table.primary_key]
    named = ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True)) if key else f"number {line}"
    why = getattr(diagnosis, "message_primary", None) or (
        "it contains the character U+0000" if "NUL" in str(error) else kind_of(error)
    )
    return CopyRefused(
        f"The target does not accept the row of {table.name} with {named}{column} ({why}). Nothing was copied. Correct "
        "the row in the source, and copy again."
    )


def _require_valid_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":  # where foreign keys are off during a copy
        for table, *_ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            raise CopyRefused(
                f"Rows of {table} refer to rows that do not exist, so nothing was copied. `course-management verify` "
                "on the source finds some of them."
            )


def digest(rows: Iterator[Sequence[Any]]) -> int:
    """Return the digest of rows in any order: their order depends on the database."""
    return sum(map(_digest_of, rows)) % MODULUS


def _digest_of(row: Sequence[Any]) -> int:
    content: bytes = orjson.dumps(tuple(row), default=str, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest(), "big")


def _sealed_on_both_sides(source: Connection, target: Connection) -> ledger_seal.Seal:
    last_line = source.execute(text("SELECT coalesce(max(id), 0) FROM enrollment_events")).scalar_one()
    before, after = (ledger_seal.make(connection, last_line) for connection in (source, target))
    if (before.sha256, before.lines) != (after.sha256, after.lines):
        raise CopyRefused("The ledger is different after copying, so nothing was copied.")
    return after
