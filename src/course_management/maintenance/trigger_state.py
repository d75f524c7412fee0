"""The triggers of the database: whether all exist and are enabled, and their repair.

Without them, seats are not counted and the ledger is not written. They are missing or disabled after a restore of the
data alone that was interrupted (`pg_restore --disable-triggers`), or after a tool has built the tables again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from ..database import Base, db
from ..models import triggers

FOREIGN_KEYS = "foreign keys"
"""The name of the triggers by which PostgreSQL enforces foreign keys."""
_CREATES = re.compile(r"\s*CREATE (TRIGGER|FUNCTION) (\w+)(?:[^$]*? ON (\w+))?")


@dataclass(frozen=True, slots=True)
class Flaw:
    """A trigger that is `missing` or `disabled`; `fix` has the statements for it."""

    table: str
    trigger: str
    state: str
    fix: tuple[str, ...]

    def __str__(self) -> str:
        """Return it in words, as in `student_courses_inserted of student_courses is disabled`."""
        return f"{self.trigger} of {self.table} {'are' if self.trigger == FOREIGN_KEYS else 'is'} {self.state}"


def number(connection: Connection) -> int:
    """Return how many triggers the database must have."""
    return sum(kind == "TRIGGER" for kind, *_ in _expected(connection.dialect.name))


def flaws(connection: Connection) -> list[Flaw]:
    """Find the triggers that are missing or disabled."""
    found = _on_postgresql if connection.dialect.name == "postgresql" else _on_sqlite
    return list(found(connection))


def repair() -> list[Flaw]:
    """Create the triggers that are missing and enable those that are disabled; return them. Safe during use."""
    with db.engine.begin() as connection:
        repaired = flaws(connection)
        for flaw in repaired:
            for statement in flaw.fix:
                connection.execute(text(statement.replace(":", "\\:")))
    return repaired


def _expected(backend: str) -> list[tuple[str, str, str, str]]:
    """Return what the models create: TRIGGER or FUNCTION, its name, its table and its statement."""
    return [
        (match[1], match[2], match[3] or "", statement)
        for statement in triggers.STATEMENTS[backend]
        if (match := _CREATES.match(statement))
    ]


def _on_sqlite(connection: Connection) -> Iterator[Flaw]:
    present = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    for _, name, table, statement in _expected("sqlite"):
        if name not in present:
            yield Flaw(table, name, "missing", (statement,))


def _on_postgresql(connection: Connection) -> Iterator[Flaw]:
    functions = set(
        connection.scalars(text("SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"))
    )
    rows = connection.execute(
        text(
            "SELECT relname, tgname, tgisinternal, tgenabled IN ('O', 'A') AS is_enabled"
            " FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE relnamespace = current_schema()::regnamespace AND relname = ANY (:tables)"
            " ORDER BY relname, tgname"
        ),
        {"tables": list(Base.metadata.tables)},
    ).all()
    present = {(row.relname, row.tgname): row.is_enabled for row in rows if not row.tgisinternal}
    expected = _expected("postgresql")
    needed = {name: statement for kind, name, _, statement in expected if kind == "FUNCTION" and name not in functions}
    for kind, name, table, statement in expected:
        if kind == "FUNCTION":
            continue
        is_enabled = present.get((table, name))
        if is_enabled is None:
            missing = tuple(needed.pop(each) for each in [*needed] if f"FUNCTION {each}(" in statement)
            yield Flaw(table, name, "missing", (*missing, statement))
        elif not is_enabled:
            yield Flaw(table, name, "disabled", (f"ALTER TABLE {table} ENABLE TRIGGER {name}",))
    for table in sorted({row.relname for row in rows if row.tgisinternal and not row.is_enabled}):
        yield Flaw(table, FOREIGN_KEYS, "disabled", (f"ALTER TABLE {table} ENABLE TRIGGER ALL",))
