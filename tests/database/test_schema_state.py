"""A schema that is older or newer than this version: whether the service works with it, and what it reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from sqlalchemy import URL, create_engine, text
from sqlalchemy.pool import NullPool

from course_management import cli
from course_management.config import ConfigurationError
from course_management.database import SCHEMA_REVISION

from ..support.databases import migrate

Run = Callable[..., Result]
NEWER = "The database is newer than this version"


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli.cli, arguments)

    return call


@pytest.fixture
def migrated_by_a_later_version(database: URL) -> Callable[[str | None], None]:
    """Makes the schema one that this version does not know, with the oldest version that can work with it."""

    def change(oldest_revision: str | None) -> None:
        with create_engine(database, poolclass=NullPool).begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            connection.execute(text("DELETE FROM schema_compatibility"))
            if oldest_revision:
                insert = text("INSERT INTO schema_compatibility VALUES (:oldest)")
                connection.execute(insert, {"oldest": oldest_revision})

    return change


COMPATIBLE = pytest.mark.parametrize("oldest", [SCHEMA_REVISION, "0001"])
INCOMPATIBLE = pytest.mark.parametrize("oldest", ["9998", None])


@COMPATIBLE
def test_a_newer_compatible_schema_is_ready(
    client: FlaskClient, run: Run, migrated_by_a_later_version: Callable[..., None], oldest: str
) -> None:
    migrated_by_a_later_version(oldest)

    assert client.get("/readyz").status_code == 200
    assert run("status").exit_code == 0
    assert NEWER not in run("check").output


@INCOMPATIBLE
def test_a_newer_incompatible_schema_is_not_ready_and_every_command_reports_it(
    client: FlaskClient, run: Run, migrated_by_a_later_version: Callable[..., None], oldest: str | None
) -> None:
    migrated_by_a_later_version(oldest)
    ready, status, check, serve = client.get("/readyz"), run("status"), run("check"), run("serve")

    assert (ready.status_code, ready.get_json()["code"]) == (503, "database_unavailable")
    assert ready.get_json()["detail"].startswith(NEWER)
    assert (status.exit_code, check.exit_code) == (1, 1)
    assert f"Not ready    {NEWER}" in status.output
    assert f"DANGER  {NEWER}" in check.output
    assert isinstance(serve.exception, ConfigurationError)  # which `main` makes exit code 2
    assert NEWER in str(serve.exception)
    assert "course-management migrate" not in ready.text + status.output + check.output + str(serve.exception)


def test_an_older_schema_says_how_to_migrate(client: FlaskClient, run: Run, database: URL) -> None:
    with create_engine(database, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))

    for said in (client.get("/readyz").get_json()["detail"], run("status").output, run("check").output):
        assert "`course-management migrate`" in said
        assert NEWER not in said


def test_migrating_a_newer_schema_changes_nothing(
    database: URL, migrated_by_a_later_version: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    migrated_by_a_later_version("0001")
    migrate(database)
    assert "this version works with it" in capsys.readouterr().err

    migrated_by_a_later_version("9998")
    with pytest.raises(SystemExit) as caught:
        migrate(database)

    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(NEWER)
