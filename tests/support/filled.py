"""A database with rows in every table, made from the models: a new table is filled too, or the tests that use it fail.

Each text is the name of its column with a number, so that a test can see where a value has gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Integer,
    String,
    Table,
    TypeDecorator,
    insert,
    select,
)
from sqlalchemy.types import TypeEngine

from course_management import models  # noqa: F401 - fills Base.metadata
from course_management.database import Base
from course_management.database.types import Credits, TimeOfDay, UtcDateTime, Words

FIRST = datetime(2020, 9, 1, 8, 0, 0, 123456, tzinfo=UTC)
CHOSEN: dict[str, Mapping[str, Any]] = {
    "courses": {"capacity": 30, "waitlist_capacity": None, "seats_taken": 0, "waiting": 0, "last_queue_number": 0},
    "student_courses": {"status": "enrolled", "queue_number": None, "previous_status": None, "passed_over_at": None},
    "holds": {"blocks": "both"},
    "rule_events": {"subject": "hold", "change": "placed"},
    "person_roles": {"role": "registrar"},
    "accounts": {"person_id": None},
    "imports": {"state": "applied"},
    "sessions": {"method": "link", "person_id": None},
    "sign_in_links": {"person_id": None},
    "prerequisites": {"required_id": None, "minimum_points": None, "minimum_grade": None, "concurrent_allowed": False},
    "course_links": {"linked_id": 1},
}
"""Values that constraints ask for."""
PASSED_OVER = {"passed_over_count": 0}


def fill(connection: Connection, number: int = 1) -> None:
    """Insert a row into each table of an empty database, or one more; `number` counts from 1.

    Triggers write the ledger of enrollments. A link needs two courses.
    """
    left_out = {"schema_compatibility", "enrollment_events", *(["course_links"] if number == 1 else [])}
    for table in Base.metadata.sorted_tables:
        if table.name not in left_out:
            connection.execute(insert(table).values(**_values(connection, table, number)))


def _values(connection: Connection, table: Table, number: int) -> dict[str, Any]:
    chosen = {**CHOSEN.get(table.name, {}), **(PASSED_OVER if table.name == "courses" else {})}
    if table.name == "accounts" and number % 2:
        chosen = {"student_id": None}
    return {
        column.name: chosen[column.name] if column.name in chosen else _value(connection, table, column, number)
        for column in table.columns
        if column.identity is None
    }


def _value(connection: Connection, table: Table, column: Column[Any], number: int) -> Any:
    for key in column.foreign_keys:
        return connection.execute(select(key.column).order_by(key.column.desc()).limit(1)).scalar_one()
    return _of_type(column.type, f"{table.name}.{column.name} {number} é", column.name, number)


def _of_type(kind: TypeEngine[Any], text: str, name: str, number: int) -> Any:  # noqa: PLR0911 - one per type
    if isinstance(kind, UtcDateTime):
        return FIRST + timedelta(days=number, hours=name.startswith(("closes", "withdraw", "expires")))
    if isinstance(kind, Credits):
        return Decimal("3.50") + (name == "credits_max")
    if isinstance(kind, TimeOfDay):
        return "10:00" if name.startswith("starts") else "11:30"
    if isinstance(kind, Words):
        return ["admin", "students:read"]
    if isinstance(kind, TypeDecorator):
        raise TypeError(f"{kind!r} is a type that this module does not know")
    if isinstance(kind, JSON):
        return {"text": text, "list": [1, None, True]}
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Date):
        return date(2020, 9, 1) + timedelta(days=number + 90 * name.startswith("ends"))
    if isinstance(kind, DateTime):
        return FIRST
    if isinstance(kind, Integer):
        return number
    if isinstance(kind, String):
        return text[: kind.length]
    raise TypeError(f"{kind!r} is a type that this module does not know")
