"""Change tables in a migration. SQLite tables are rebuilt, because SQLite cannot add a constraint to a table.

The definition is changed as text, so that everything else in it is kept: WITHOUT ROWID, AUTOINCREMENT, names. Triggers,
partial indexes and the last generated ids are kept, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alembic import op
from alembic.operations.schemaobj import SchemaObjects
from sqlalchemy import Column, Connection, Constraint
from sqlalchemy.schema import CreateColumn, CreateTable

Change = Callable[[str], str]
"""Makes the new CREATE TABLE statement of a table from the present one."""


def add_columns(table: str, *parts: Column[Any] | Constraint) -> None:
    """Add columns and their constraints to a table, in a migration of either database.

    The parts are those of `op.create_table`. SQLite rebuilds the table, because it can add neither a constraint nor a
    default that is an expression, such as CURRENT_TIMESTAMP.
    """
    context = op.get_context()
    target = SchemaObjects(context).table(table, *parts)
    compiler = context.dialect.ddl_compiler(context.dialect, CreateTable(target))
    columns = [compiler.process(CreateColumn(column)) for column in target.columns]
    text = compiler.create_table_constraints(target)  # type: ignore[no-untyped-call] # SQLAlchemy has no type for it
    constraints = [constraint for constraint in text.split(", \n\t") if constraint]
    if context.dialect.name == "sqlite":
        change = together(with_lines(*columns, before="CONSTRAINT"), with_lines(*constraints))
        rebuild(op.get_bind(), {table: change})
    else:
        op.execute(f"ALTER TABLE {table} ADD {', ADD '.join([*columns, *constraints])}")


def drop_columns(table: str, *columns: str, constraints: Sequence[str] = ()) -> None:
    """Take back what `add_columns` added: these columns, and the constraints with these names."""
    names = [*(f"CONSTRAINT {constraint}" for constraint in constraints), *columns]
    if op.get_context().dialect.name == "sqlite":
        rebuild(op.get_bind(), {table: without_lines(*(f"{name} " for name in names))})
    else:
        op.execute(f"ALTER TABLE {table} DROP {', DROP '.join(names)}")


def rebuild(connection: Connection, changes: Mapping[str, Change]) -> None:
    """Give tables new definitions and copy their rows, in the current transaction.

    The columns that the old and the new definition share are copied. Foreign keys must be off (they cannot be switched
    within a transaction), or dropping the old table would delete rows of others. Raises `RuntimeError` when they are
    on, or when a foreign key is violated afterwards.
    """
    execute = connection.exec_driver_sql
    if execute("PRAGMA foreign_keys").scalar_one():
        raise RuntimeError("Foreign keys must be off while tables are rebuilt.")
    triggers = execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid").all()
    for name, _ in triggers:
        execute(f'DROP TRIGGER "{name}"')
    # Otherwise renaming a table would also change the foreign keys of other tables, to the old table.
    execute("PRAGMA legacy_alter_table = ON")
    for table, change in changes.items():
        _rebuild_one(connection, table, change)
    execute("PRAGMA legacy_alter_table = OFF")
    for _, statement in triggers:
        execute(statement)
    if lost := execute("PRAGMA foreign_key_check").first():
        raise RuntimeError(f"A row of {lost[0]} refers to no row of {lost[2]}.")


def _rebuild_one(connection: Connection, table: str, change: Change) -> None:
    execute, old = connection.exec_driver_sql, f"{table}_before"
    definition = execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).scalar_one()
    indexes = execute(
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql NOT NULL", (table,)
    ).all()
    last_id = None
    if "AUTOINCREMENT" in definition:
        last_id = execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).scalar()
    execute(f'ALTER TABLE "{table}" RENAME TO "{old}"')
    execute(change(definition))
    kept = set(_columns(connection, old)) & set(_columns(connection, table))
    names = ", ".join(f'"{name}"' for name in _columns(connection, table) if name in kept)
    execute(f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "{old}"')  # noqa: S608 - names from the schema
    execute(f'DROP TABLE "{old}"')
    for (statement,) in indexes:
        execute(statement)
    if last_id is not None:
        execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last_id))


def _columns(connection: Connection, table: str) -> list[str]:
    return [row[1] for row in connection.exec_driver_sql(f'PRAGMA table_info("{table}")')]


def with_lines(*lines: str, before: str = "") -> Change:
    """Return a change that adds lines to a definition: before the first line with the text `before`, or last.

    A line is a column or a constraint.
    """

    def change(definition: str) -> str:
        head, old, tail = _split(definition)
        place = next((index for index, line in enumerate(old) if before and before in line), len(old))
        return _join(head, [*old[:place], *lines, *old[place:]], tail)

    return change


def without_lines(*beginnings: str) -> Change:
    """Return a change that removes the lines with these beginnings."""

    def change(definition: str) -> str:
        head, old, tail = _split(definition)
        return _join(head, [line for line in old if not line.startswith(beginnings)], tail)

    return change


def _split(definition: str) -> tuple[str, list[str], str]:
    """Return a definition in three parts: what is before its columns and constraints, these, and what is after them."""
    begin, end = definition.index("(") + 1, definition.rindex(")")
    lines, depth, quote = [""], 0, ""
    for character in definition[begin:end]:
        if character == "," and not depth and not quote:
            lines.append("")
            continue
        lines[-1] += character
        if character in {"'", '"'} and quote in {"", character}:
            quote = "" if quote else character
        elif not quote:
            depth += (character == "(") - (character == ")")
    return definition[:begin], [line.strip() for line in lines], definition[end:]


def _join(head: str, lines: Sequence[str], tail: str) -> str:
    return head + "\n\t" + ", \n\t".join(lines) + "\n" + tail


def replacing(old: str, new: str) -> Change:
    """Return a change that replaces a text, which must exist."""

    def change(definition: str) -> str:
        if old not in definition:
            raise RuntimeError(f"The definition of a table does not contain: {old}")
        return definition.replace(old, new)

    return change


def together(*changes: Change) -> Change:
    """Return a change that makes several changes in order."""

    def change(definition: str) -> str:
        for single_change in changes:
            definition = single_change(definition)
        return definition

    return change
