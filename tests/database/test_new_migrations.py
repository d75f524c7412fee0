"""Writing a migration: what Alembic generates works on both databases, and so do the helpers for columns."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import URL

from course_management.database import SCHEMA_REVISION, Base
from course_management.database.rebuilding import add_columns, drop_columns

from ..support.databases import ROOT, migrate
from ..support.schemas import anatomy, connect, rows, run

NOW = sa.text("CURRENT_TIMESTAMP")
CONSTRAINTS = ("ck_rooms_floor_known", "fk_rooms_owner_id", "uq_rooms_floor_kind")


def new_parts() -> list[sa.Column[Any] | sa.Constraint]:
    return [
        sa.CheckConstraint("floor IN (0, 1, 2)", name="floor_known"),
        sa.Column("floor", sa.Integer),
        sa.Column("kind", sa.String(20), server_default="a, (b", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("owner_id", sa.Integer, sa.ForeignKey("owners.id")),
        sa.UniqueConstraint("floor", "kind"),
    ]


def create_rooms(url: URL, *new: sa.Column[Any] | sa.Constraint) -> None:
    """Create a table with other columns in front of its last one, a row, and an index."""
    metadata = sa.MetaData(naming_convention=Base.metadata.naming_convention)
    sa.Table("owners", metadata, sa.Column("id", sa.Integer, primary_key=True))
    first, last = sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.String(50), nullable=False)
    sa.Table("rooms", metadata, first, *new, last)
    with connect(url).begin() as connection:
        metadata.create_all(connection)
    run(url, "CREATE INDEX ix_rooms_code ON rooms (code)", "INSERT INTO rooms (id, code) VALUES (1, 'A')")


def rooms(url: URL) -> dict[str, str]:
    return {name: what for name, what in anatomy(url).items() if "rooms" in name}


def oldest_revision(url: URL) -> str:
    with connect(url).connect() as connection:
        return str(connection.exec_driver_sql("SELECT oldest_revision FROM schema_compatibility").scalar_one())


def change(url: URL, migration: Callable[[], None]) -> None:
    with connect(url).begin() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
        with Operations.context(context):
            migration()


def test_added_columns_are_those_of_the_model_wherever_the_model_has_them(empty: URL, database: URL) -> None:
    create_rooms(empty)
    create_rooms(database, *new_parts())
    before = anatomy(empty)

    change(empty, lambda: add_columns("rooms", *new_parts()))

    assert rooms(empty) == rooms(database)
    assert [(row["id"], row["code"], row["floor"], row["kind"]) for row in rows(empty, "rooms")] == [
        (1, "A", None, "a, (b")
    ]

    change(empty, lambda: drop_columns("rooms", "floor", "kind", "opened_at", "owner_id", constraints=CONSTRAINTS))

    assert anatomy(empty) == before


def test_an_added_constraint_is_kept_by_the_database(empty: URL) -> None:
    create_rooms(empty)

    change(empty, lambda: add_columns("rooms", *new_parts()[:2]))

    with pytest.raises(sa.exc.IntegrityError, match="ck_rooms_floor_known"):
        run(empty, "UPDATE rooms SET floor = 3")


@pytest.fixture(
    params=["ALTER TABLE holds DROP COLUMN note", "DROP TABLE holds", "DROP TABLE course_restrictions"],
    ids=["a column", "a table", "a table with a Boolean"],
)
def scripts(request: pytest.FixtureRequest, tmp_path: Path, empty: URL, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Copies of the migrations, for a database without a column or a table of the models."""
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("DATABASE_URL", empty.render_as_string(hide_password=False))
    monkeypatch.setenv("PATH", "")  # `.venv/bin/alembic` works where .venv/bin is not on it
    migrate(empty)
    run(empty, request.param)
    return Config(tmp_path / "alembic.ini")


def test_a_generated_migration_has_the_next_number_and_builds_what_the_models_say(
    scripts: Config, empty: URL, database: URL
) -> None:
    command.revision(scripts, "Add what is missing", autogenerate=True)

    number = f"{int(SCHEMA_REVISION) + 1:04}"
    (made,) = Path(str(scripts.get_main_option("script_location")), "versions").glob(f"{number}_*.py")
    written = made.read_text()
    assert made.name == f"{number}_add_what_is_missing.py"
    assert re.search(f'^revision = "{number}"$', written, re.MULTILINE)  # in the quotes of ruff, so it was formatted
    assert "batch" not in written

    command.upgrade(scripts, "head")

    assert anatomy(empty) == anatomy(database)
    assert oldest_revision(empty) == oldest_revision(database)
    assert written.count("UPDATE schema_compatibility SET oldest_revision") == 2


def test_the_newest_migration_says_in_both_directions_which_code_can_work_with_the_schema() -> None:
    newest = ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_revision("head")
    silent = [
        direction.__name__
        for direction in (newest.module.upgrade, newest.module.downgrade)
        if "UPDATE schema_compatibility SET oldest_revision" not in inspect.getsource(direction)
    ]

    assert silent == [], (
        f"End each of them in {Path(newest.path).name} with the statement that migrations/script.py.mako has: it says "
        'the oldest revision whose code can work with the schema (docs/extending.md, "A column or table", step 4).'
    )
