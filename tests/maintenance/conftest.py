"""Commands on the test's database, and databases of the other kind."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from course_management import cli

Run = Callable[..., Result]


def address(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the test's database, or on the `url` that is given."""

    def call(*arguments: Any, url: URL = database, env: Mapping[str, str] | None = None) -> Result:
        monkeypatch.setenv("DATABASE_URL", address(url))
        return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments], env=env)

    return call


@pytest.fixture
def new_database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], URL]]:
    """Return a function that makes the URL of a new database without tables, of either kind."""
    with contextlib.ExitStack() as stack:

        def make(kind: str) -> URL:
            name = f"new_{uuid.uuid4().hex[:12]}"
            if kind == "sqlite":
                return make_url(f"sqlite:///{tmp_path / name}.db")
            server: URL = request.getfixturevalue("postgresql_server")
            on_server(server, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
            stack.callback(on_server, server, f"DROP DATABASE {name} WITH (FORCE)")
            return server.set(database=name)

        yield make


def on_server(server: URL, statement: str) -> None:
    """Run a statement outside of a transaction."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))
