"""The examples of every page work as the page shows it, in the order of the page.

`tests/docs/test_examples.py` follows the README, and the API guide on PostgreSQL.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from ..docs.pages import PAGES, RUN, Command, blocks, name
from ..docs.reader import readers
from ..support.databases import ROOT


def to_run(page: Path) -> bool:
    return any(block.language in RUN and block.reason_not_run is None for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page) and page.name != "README.md"], ids=name)
def test_the_examples_of_a_page_work_in_their_order(page: Path, tmp_path: Path, postgresql_server: URL) -> None:
    with readers(tmp_path) as make:
        operator = make()
        operator.environment["PATH"] = f"{programs_of(postgresql_server)}{os.pathsep}{operator.environment['PATH']}"
        operator.follow_page(page, postgresql_server)


def test_a_backup_of_postgresql_can_be_restored_as_the_page_says(tmp_path: Path, postgresql_server: URL) -> None:
    installation, backup = (ROOT / "docs" / f"{each}.md" for each in ("installation", "backup"))
    statements = next(block for block in blocks(installation) if block.language == "sql")
    back_up = next(block for block in blocks(backup) if "backup school.backup" in block.text)
    restore = next(block for block in blocks(backup) if "CREATE DATABASE restored" in block.text)
    server = postgresql_server.set(drivername="postgresql").render_as_string(hide_password=False)
    with readers(tmp_path) as make, dropped(postgresql_server) as restored:
        operator = make()
        operator.follow(statements, postgresql_server)
        operator.environment["PATH"] = f"{programs_of(postgresql_server)}{os.pathsep}{operator.environment['PATH']}"
        operator.demo_data()

        operator.follow(back_up, postgresql_server)
        new = postgresql_server.set(database=restored).render_as_string(hide_password=False)
        for command in restore.commands():
            line = command.text.replace("restored", restored)
            line = line.replace(f"postgresql://enrollment:secret@db.example.edu/{restored}", new)
            line = line.replace("sudo -u postgres psql", f"psql '{server}'").replace(" OWNER enrollment", "")
            if line.startswith("sudo"):  # as the page says before: DATABASE_URL names the new database
                operator.enter(f"export DATABASE_URL='{new}'")
            operator.run(Command(line, command.output))

        assert "Students     6" in operator.enter("course-management status")[1]


def programs_of(server: URL) -> str:
    """Return the folder of the server's own programs: pg_dump must not be older than the server."""
    engine = create_engine(server)
    with engine.connect() as connection:
        folder = connection.execute(text("SELECT setting FROM pg_config WHERE name = 'BINDIR'")).scalar_one()
    engine.dispose()
    return str(folder)


@contextlib.contextmanager
def dropped(server: URL) -> Iterator[str]:
    """Return the name of a database that is dropped afterwards."""
    name = f"restored_{uuid.uuid4().hex[:12]}"
    yield name
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    engine.dispose()
