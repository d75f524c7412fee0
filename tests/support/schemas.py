"""The schema and the rows of a database, read without the service."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.pool import NullPool


def connect(url: URL) -> Engine:
    return create_engine(url, poolclass=NullPool)


def anatomy(url: URL) -> dict[str, str]:
    """Return the definition of everything in the database, by name."""
    postgresql = """
        SELECT 'column ' || table_name || '.' || column_name,
               concat_ws(' ', data_type, character_maximum_length, collation_name, is_nullable, column_default,
                         is_identity, identity_generation)
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT 'constraint ' || conname, conrelid::regclass || ' ' || pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'trigger ' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'function ' || proname, pg_get_functiondef(oid)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """
    sqlite = "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with connect(url).connect() as connection:
        rows = connection.execute(text(postgresql if url.get_backend_name() == "postgresql" else sqlite)).all()
    return {
        name: table_in_any_order(what) if name.startswith("table ") else re.sub(r"\s+", " ", what).strip()
        for name, what in rows
        if "alembic_version" not in name and "sqlite_sequence" not in name
    }


def table_in_any_order(definition: str) -> str:
    """Return the CREATE TABLE of SQLite without the order of its parts: a migration adds columns behind the others."""
    head, _, rest = re.sub(r"\s+", " ", definition).partition("(")
    body, _, tail = rest.rpartition(")")
    return f"{head}({', '.join(sorted(re.split(r' ?, ?', body.strip())))}){tail}".strip()


def run(url: URL, *statements: str) -> None:
    with connect(url).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows(url: URL, table: str) -> list[dict[str, Any]]:
    with connect(url).connect() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2")
        return [dict(row) for row in found.mappings()]
