"""All data about one student: what is exported for the student, and in which courses an erasure must wait."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, Text, cast, false, or_, select

from ..database import Base
from ..models import import_rows, students
from ..models.personal import column_of_student, tables_about_students

TITLES = ("code", "title")
"""Columns by which rows are named that a student's rows refer to, such as courses."""


def rows_about(connection: Connection, student_id: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each table that has rows about a student, with these rows."""
    for table in tables_about_students():
        if rows := _rows(connection, table, column_of_student(table) == student_id):
            yield str(table.name), rows
    if rows := _rows(connection, import_rows, names_student(connection, student_id)):
        yield str(import_rows.name), rows


def titles_of_references(
    connection: Connection, found: Mapping[str, list[dict[str, Any]]]
) -> dict[str, dict[str, str]]:
    """Return code and title of what rows refer to, such as courses and groups, by table and id."""
    named: dict[str, dict[str, str]] = {}
    for name, rows in found.items():
        for column in Base.metadata.tables[name].columns:
            for key in column.foreign_keys:
                parent = key.column.table
                ids = {row[column.name] for row in rows} - {None}
                if ids and all(title in parent.c for title in TITLES):
                    titles = select(parent.c.id, *(parent.c[title] for title in TITLES)).where(parent.c.id.in_(ids))
                    entries = named.setdefault(str(parent.name), {})
                    entries |= {str(row.id): f"{row.code} {row.title}" for row in connection.execute(titles)}
    return named


def names_student(connection: Connection, student_id: int) -> ColumnElement[bool]:
    """Return the condition that a row of an import names the student, by external id or e-mail address.

    Rows have texts of files, so both are looked for in every field. No index helps: it reads all rows of imports.
    """
    known = select(students.c.external_id, students.c.email).where(students.c.id == student_id)
    texts = [text for row in connection.execute(known) for text in row if text]
    as_text = cast(import_rows.c.content, Text)
    is_ascii = connection.dialect.name == "sqlite"  # where JSON is the text that Python wrote
    conditions: list[ColumnElement[bool]] = []
    for text in texts:
        written = json.dumps(text, ensure_ascii=is_ascii)
        conditions.append(as_text.contains(written, autoescape=True))
    return or_(false(), *conditions)


def _rows(connection: Connection, table: Table, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    statement = select(table).where(condition).order_by(*table.primary_key)
    names = [str(column.name) for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in connection.execute(statement)]
