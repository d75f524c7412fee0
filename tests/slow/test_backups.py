"""`backup` and `restore`: one file of one moment, readable by its owner only, that becomes the same database again."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from course_management.maintenance import archives

from ..maintenance.conftest import address, new_database, run
from ..maintenance.test_copying import content, opened
from ..support.databases import migrate
from ..support.filled import fill
from ..support.real_server import PATIENT, Server, until
from .test_rolling_upgrades import COURSES, SEATS, STUDENTS, Load

__all__ = ["new_database", "run"]
Run = Callable[..., Result]
Make = Callable[[str], URL]


@pytest.fixture(autouse=True)
def tools_of_the_server(request: pytest.FixtureRequest, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put pg_dump and pg_restore of the server's own version into PATH."""
    if backend == "postgresql":
        engine = create_engine(request.getfixturevalue("postgresql_server"), poolclass=NullPool)
        with engine.connect() as connection:
            folder = connection.execute(text("SELECT setting FROM pg_config WHERE name = 'BINDIR'")).scalar_one()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_backup_becomes_the_same_database_again(
    backend: str, run: Run, database: URL, new_database: Make, tmp_path: Path
) -> None:
    with opened(database) as connection, connection.begin():
        for number in (1, 2):
            fill(connection, number)
        before = content(connection)
    file, restored = tmp_path / "school.backup", new_database(backend)

    written, back = run("backup", file), run("restore", file, url=restored)

    assert (written.exit_code, back.exit_code) == (0, 0), written.output + back.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with opened(restored) as connection:
        assert content(connection) == before
    assert "BROKEN" not in back.output
    assert "all triggers exist and are enabled" in back.output
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    if backend == "sqlite":
        assert stat.S_IMODE(Path(str(restored.database)).stat().st_mode) == 0o600


def test_a_backup_has_no_half_of_an_enrollment_that_happens_meanwhile(
    backend: str, run: Run, new_database: Make, tmp_path: Path, client: FlaskClient, student: Callable[..., int],
    course: Callable[..., int], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    offered = [course() for _ in range(3)]

    def enroll() -> None:
        response = client.post(f"/students/{student()}/enroll", json={"course_ids": offered})
        assert response.status_code == 201

    enroll()
    if backend == "sqlite":
        copy_sqlite = archives.copy_sqlite

        def after_an_enrollment(source: sqlite3.Connection, path: Path) -> None:
            enroll()
            copy_sqlite(source, path)

        monkeypatch.setattr(archives, "copy_sqlite", after_an_enrollment)
    else:
        run_tool = archives.Tool.run

        def after_an_enrollment_(tool: archives.Tool) -> None:
            if tool.arguments[0] == "pg_dump":
                enroll()
            run_tool(tool)

        monkeypatch.setattr(archives.Tool, "run", after_an_enrollment_)
    file, restored = tmp_path / "school.backup", new_database(backend)

    assert run("backup", file).exit_code == 0
    enroll()
    result = run("restore", file, url=restored)

    assert result.exit_code == 0, result.output  # verified: counters, rows and ledger agree
    with opened(restored) as connection:
        assert connection.scalar(text("SELECT count(*) FROM students")) in {1, 2}


def test_a_backup_of_an_older_schema_is_migrated(
    backend: str, run: Run, new_database: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, restored = new_database(backend), new_database(backend)
    migrate(old, "0013")
    monkeypatch.setattr("course_management.maintenance.checks.not_ready", lambda: None)  # as its own version found it

    assert run("backup", tmp_path / "old", url=old).exit_code == 0
    result = run("restore", tmp_path / "old", url=restored)

    assert result.exit_code == 0, result.output
    assert "Migration 0014" in result.output


def test_an_existing_file_is_replaced_only_by_force(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "school.backup"
    file.write_text("precious")

    refused = run("backup", file)
    assert (refused.exit_code, file.read_text()) == (2, "precious")
    assert "--force" in refused.output

    assert run("backup", file, "--force").exit_code == 0
    assert archives.kind_of_archive(file)


def test_a_restore_into_a_database_with_tables_changes_nothing(
    run: Run, tmp_path: Path, student: Callable[..., int], client: FlaskClient
) -> None:
    student_id = student()
    assert run("backup", tmp_path / "school.backup").exit_code == 0

    result = run("restore", tmp_path / "school.backup")

    assert result.exit_code == 3
    assert "The target is not empty" in result.output
    assert client.get(f"/students/{student_id}").status_code == 200


def test_a_wal_of_another_database_is_not_taken_for_that_of_the_restored_one(
    backend: str, run: Run, new_database: Make, tmp_path: Path
) -> None:
    if backend != "sqlite":
        pytest.skip("PostgreSQL has no such file")
    restored = new_database("sqlite")
    Path(f"{restored.database}-wal").write_bytes(b"left behind")
    assert run("backup", tmp_path / "school.backup").exit_code == 0

    result = run("restore", tmp_path / "school.backup", url=restored)

    assert result.exit_code == 3
    assert f"{restored.database}-wal exists" in result.output
    assert not Path(str(restored.database)).exists()


def test_a_file_that_is_no_backup_is_a_sentence(backend: str, run: Run, new_database: Make, tmp_path: Path) -> None:
    text_file, cut, other = tmp_path / "text", tmp_path / "cut", tmp_path / "other"
    text_file.write_text("INSERT INTO students")
    assert run("backup", tmp_path / "whole").exit_code == 0
    content = (tmp_path / "whole").read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    if backend == "sqlite":
        with sqlite3.connect(other) as connection:
            connection.execute("CREATE TABLE notes (id)")
    else:
        other.write_bytes(b"SQLite format 3\0")

    for file in (text_file, cut, other):
        target = new_database(backend)
        result = run("restore", file, url=target)
        assert result.exit_code == 1, file
        assert "Error: " in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        if backend == "sqlite":
            assert not Path(str(target.database)).exists()


def test_the_password_is_not_on_the_command_line() -> None:
    url = make_url("postgresql+psycopg://ada:s3cret@db.example.edu:5433/school?sslmode=verify-full")

    for tool in (archives.pg_dump(url, "public", Path("f")), archives.pg_restore(url, Path("f"))):
        assert "s3cret" not in str(tool)
        assert "user=ada" in str(tool)
        assert "port=5433" in str(tool)
        assert "sslmode=verify-full" in str(tool)
        assert tool.environment == {"PGPASSWORD": "s3cret"}
    assert "--schema=north" in str(archives.pg_dump(url, "north", Path("f")))
    assert "--schema" not in str(archives.pg_dump(url, "public", Path("f")))


def test_without_pg_dump_its_command_is_printed_and_nothing_was_written(
    backend: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: URL
) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite needs no program")
    monkeypatch.setenv("PATH", str(tmp_path))

    result = run("backup", tmp_path / "school.backup")

    assert result.exit_code == 1
    assert result.output.startswith("pg_dump --format=custom")
    assert f"dbname={database.database}" in result.output
    assert "pg_dump is not installed here. Nothing was done." in result.output
    assert not (tmp_path / "school.backup").exists()


def test_an_old_pg_dump_is_refused(backend: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite needs no program")
    (tmp_path / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    result = run("backup", tmp_path / "school.backup")

    assert result.exit_code == 1
    assert "or newer, as the server; it is pg_dump (PostgreSQL) 9.6.1" in result.output


def test_a_backup_of_the_other_kind_names_the_way(backend: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.write_bytes(b"PGDMP" if backend == "sqlite" else b"SQLite format 3\0")

    result = run("restore", file)

    assert result.exit_code == 1
    assert "course-management copy --to" in result.output


def test_a_folder_that_cannot_be_written_is_a_sentence(run: Run, tmp_path: Path) -> None:
    result = run("backup", tmp_path / "missing" / "school.backup")

    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.output


def test_backups_and_copies_under_load_are_of_one_moment(
    backend: str, run: Run, database: URL, new_database: Make, tmp_path: Path
) -> None:
    """Clients enroll and unenroll at a real server all the time; each copy is verified by its command."""
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", database, **PATIENT)
    load: Load | None = None
    try:
        server.wait()
        for number in range(STUDENTS):
            assert server.ask("POST", "/students", {"name": f"Student {number}"})[0] == 201
        for number in range(COURSES):
            body = {"code": f"C{number}", "title": "Programming", "capacity": SEATS, "waitlist_capacity": STUDENTS}
            assert server.ask("POST", "/courses", body)[0] == 201
        load = Load(server)
        until(lambda: load.statuses.total() > 100, "the load")
        before = load.statuses.total()

        written = run("backup", tmp_path / "school.backup")
        copied = run("copy", "--to", address(new_database("sqlite")))

        assert (written.exit_code, copied.exit_code) == (0, 0), written.output + copied.output
        assert load.statuses.total() > before + 20, "no client came through meanwhile"
    finally:
        if load:
            load.stop()
        server.end()
    restored = run("restore", tmp_path / "school.backup", url=new_database(backend))
    assert restored.exit_code == 0, restored.output
    assert {status for status in load.statuses if status >= 500} == set()
