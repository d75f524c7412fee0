"""Generated ids: find sequences that will generate an id that is taken already, and repair them.

Rows inserted with explicit ids (an import, a restore of the data alone) do not advance the sequence of PostgreSQL, so
each insert fails until the sequence has passed them. SQLite compares with the largest row, but without its own record
(`sqlite_sequence`) it generates the id of a deleted row again. Ids that only the ledgers know count as taken: a new
student must not inherit the ledger lines of another, nor a new hold those of a deleted one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from . import citus
from .base import Base, db
from .failures import broken_constraint, kind_of
from .types import MAX_ID

_SUBJECT = "SELECT max(subject_id) FROM rule_events WHERE subject = '{}'"
_IN_LEDGERS = {
    "students": ("SELECT max(student_id) FROM enrollment_events", "SELECT max(student_id) FROM rule_events"),
    "courses": ("SELECT max(course_id) FROM enrollment_events",),
    "holds": (_SUBJECT.format("hold"),),
    "permissions": (_SUBJECT.format("permission"),),
    "groups": (_SUBJECT.format("group"),),
    "terms": (_SUBJECT.format("limit"),),
    "catalog_entries": (_SUBJECT.format("completion"),),
}
"""Queries for the largest id of a table that a ledger knows."""
_BY_TRIGGERS = {"enrollment_events"}
"""Tables that only triggers insert into."""
_LIMIT_REACHED = "2200H"


@dataclass(frozen=True, slots=True)
class Behind:
    """A sequence whose next id is not above the largest id; `fix` is the statement that sets it, or what to do."""

    table: str
    sequence: str
    next_id: int
    largest_id: int
    fix: str

    @property
    def can_be_set(self) -> bool:
        """Whether any id is left above the largest one."""
        return self.largest_id < MAX_ID


def tables() -> list[str]:
    """List the tables whose ids the database generates, by name."""
    return sorted(
        table.name for table in Base.metadata.sorted_tables if any(column.identity is not None for column in table.c)
    )


def behind(connection: Connection) -> list[Behind]:
    """Find the sequences that are behind their tables."""
    return [sequence for table in tables() for sequence in _behind(connection, table)]


def repair() -> tuple[list[Behind], list[Behind]]:
    """Set every sequence that is behind to the largest id of its table. Safe while the service is in use.

    Returns those that were set, and those that cannot be set because a row has the largest id that exists.
    """
    done: list[Behind] = []
    left: list[Behind] = []
    for table in tables():
        with db.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # The lock stops inserts, which would take ids: setting the sequence could move it back.
                connection.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
            for sequence in _behind(connection, table):
                if sequence.can_be_set:
                    connection.execute(text(sequence.fix))
                    done.append(sequence)
                else:
                    left.append(sequence)
    return done, left


def last_given(connection: Connection) -> dict[str, int]:
    """Return the last id that each sequence has given, by table; 0 for none. Deleted rows count."""
    position = _postgresql if connection.dialect.name == "postgresql" else _sqlite
    return {table: max(position(connection, table, 0)[1] - 1, 0) for table in tables()}


def set_last_given(connection: Connection, table: str, last: int) -> None:
    """Set the sequence of a table as if `last` were the last id that it has given; 0: none."""
    if connection.dialect.name == "postgresql":
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table}
        ).scalar_one()
        connection.execute(
            text("SELECT setval(CAST(:sequence AS regclass), :last, :is_called)"),
            {"sequence": sequence, "last": max(last, 1), "is_called": last > 0},
        )
        return
    connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table})
    if last:
        connection.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"), {"table": table, "last": last}
        )


def without_ids(error: BaseException) -> str | None:
    """Return the table in which an insert failed because the generated id was taken or too large, else None.

    The service never chooses an id, so the cause can only be the sequence.
    """
    if not isinstance(error, IntegrityError):
        return "a table" if kind_of(error) == _LIMIT_REACHED else None
    name = broken_constraint(error)
    for table in tables():
        # SQLite names a primary key by its column.
        if name in {f"pk_{table}", f"uq_{table}_id", f"ck_{table}_id_in_range"}:
            return table
    return None


def sentence(table: str) -> str:
    """Return what happened and what to do when `without_ids` has found a table."""
    return (
        f"The database cannot generate an id in {table}: rows were inserted there with explicit ids. The operator of "
        "this service can find the cause with `course-management verify`, and fix it with `course-management repair "
        "sequences`."
    )


def _behind(connection: Connection, table: str) -> Iterator[Behind]:
    if table in _BY_TRIGGERS and citus.is_present(connection):
        return  # the worker generates these ids, above those of the coordinator's sequence
    parts = [f"SELECT max(id) AS id FROM {table}", *_IN_LEDGERS.get(table, ())]
    largest = connection.execute(text(f"SELECT max(id) FROM ({' UNION ALL '.join(parts)}) AS ids")).scalar() or 0
    position = _postgresql if connection.dialect.name == "postgresql" else _sqlite
    sequence, next_id, fix = position(connection, table, largest)
    if next_id <= largest:
        if largest >= MAX_ID:
            fix = f"give the row with id {largest} another id: there is none above it"
        yield Behind(table, sequence, next_id, largest, fix)


def _postgresql(connection: Connection, table: str, largest: int) -> tuple[str, int, str]:
    """Return the name of the sequence, its next id, and the statement that sets it."""
    sequence = connection.execute(text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table}).scalar_one()
    if sequence is None:
        return "none", 0, f"ALTER TABLE {table} ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START {largest + 1})"
    last, is_called = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()
    return sequence, last + 1 if is_called else last, f"SELECT setval('{sequence}', {largest})"


def _sqlite(connection: Connection, table: str, largest: int) -> tuple[str, int, str]:
    last = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table}).scalar()
    if last is None:
        return "sqlite_sequence", 1, f"INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {largest})"
    return "sqlite_sequence", last + 1, f"UPDATE sqlite_sequence SET seq = {largest} WHERE name = '{table}'"
