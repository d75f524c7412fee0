"""The schema: built by Alembic, the same as the models say, up and down, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from course_management.database import SCHEMA_REVISION, Base

from .databases import ROOT, Databases, migrate


@pytest.fixture
def empty(databases: Databases) -> Iterator[URL]:
    """A database without a table."""
    url = databases.empty()
    connect(url).connect().close()  # SQLite makes the file when it is first opened
    yield url
    databases.drop(url)


def connect(url: URL) -> Engine:
    return create_engine(url, poolclass=NullPool)


def anatomy(url: URL) -> dict[str, str]:
    """Everything the database was told to hold, in its own words, by name."""
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
        name: re.sub(r"\s+", " ", what).strip()
        for name, what in rows
        if "alembic_version" not in name and "sqlite_sequence" not in name
    }


def test_what_the_migrations_build_is_what_the_models_say(database: URL, empty: URL) -> None:
    with connect(empty).begin() as connection:
        Base.metadata.create_all(connection)

    built, said = anatomy(database), anatomy(empty)

    assert built == said
    assert len([name for name in built if name.startswith("trigger ")]) >= 6
    # Constraints are part of the tables' own text on SQLite.
    assert "ck_courses_seats_within_capacity" in str(built)


def test_a_check_that_only_the_models_have_is_noticed(database: URL, empty: URL) -> None:
    with connect(empty).begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(text("DROP TRIGGER student_courses_inserted" + _on(connection, "student_courses")))

    assert anatomy(database) != anatomy(empty)


def _on(connection: Any, table: str) -> str:
    return f" ON {table}" if connection.dialect.name == "postgresql" else ""


def test_alembic_finds_nothing_to_migrate(database: URL) -> None:
    with connect(database).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, Base.metadata) == []


def test_down_to_nothing_and_up_again_builds_the_same(empty: URL, database: URL) -> None:
    migrate(empty)
    migrate(empty, "base")

    assert set(inspect(connect(empty)).get_table_names()) <= {"alembic_version"}
    assert anatomy(empty) == {}

    migrate(empty)
    assert anatomy(empty) == anatomy(database)


def test_migrating_twice_is_migrating_once(database: URL) -> None:
    before = anatomy(database)

    migrate(database)

    assert anatomy(database) == before


def test_the_code_is_written_for_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_heads() == [SCHEMA_REVISION]
