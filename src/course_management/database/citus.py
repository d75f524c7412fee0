"""Citus: one school per schema, each on one worker (docs/scaling.md). Its extension in the database shows it.

A school's tables are ordinary ones on one worker, so all statements, constraints and locks mean what they mean on
PostgreSQL. What differs: migrations send one command at a time and must allow triggers, the triggers of the ledger
cannot insert from a transition table (`models/triggers/citus.py`), and a generic plan cannot be sent to a worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, event, text

PRESENT = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"
_ALTER = re.compile(r"\s*(ALTER TABLE \S+) (.+)", re.DOTALL)


def is_present(connection: Connection) -> bool:
    """Return whether the database is distributed by Citus."""
    return connection.dialect.name == "postgresql" and bool(connection.execute(text(PRESENT)).scalar())


def prepare_migrations(connection: Connection) -> None:
    """Let migrations that were written for PostgreSQL run, in the present transaction."""
    # "Unsafe" are triggers that touch rows on other workers; all rows of a school are on one.
    connection.execute(text("SET LOCAL citus.enable_unsafe_triggers = on"))

    @event.listens_for(connection, "before_cursor_execute", retval=True)
    def separate(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> tuple[str, Any]:
        *first, last = separate_commands(statement)
        for command in first:
            cursor.execute(command)
        return last, parameters


def separate_commands(statement: str) -> list[str]:
    """Write an ALTER TABLE with several commands as several statements: Citus refuses most of them together."""
    if not (parts := _ALTER.fullmatch(statement)):
        return [statement]
    return [f"{parts[1]} {command}" for command in _split(parts[2])]


def _split(commands: str) -> Iterator[str]:
    """Split at the commas that are outside of parentheses and quotes."""
    depth, begin, quote = 0, 0, ""
    for index, character in enumerate(commands):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and not depth:
            yield commands[begin:index].strip()
            begin = index + 1
    yield commands[begin:].strip()
