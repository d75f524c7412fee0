"""SQLite: a replaced file is not served, statements have time limits, and the encoding is checked."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from course_management.database import db, is_unavailable, operator_advice, sqlite, time_limit
from course_management.maintenance.verify import verify

from ..support.real_server import Server, until
from ..support.responses import is_503, is_up

Make = Callable[..., Any]
ADA, BOB = ({"name": name, "email": f"{name}@example.edu"} for name in ("ada", "bob"))


@pytest.fixture(autouse=True)
def only_sqlite(backend: str) -> None:
    if backend != "sqlite":
        pytest.skip("PostgreSQL manages its own files")


@pytest.fixture
def path(database: URL) -> Iterator[Path]:
    path = Path(str(database.database))
    yield path
    path.touch()  # for other processes to remove


@pytest.fixture
def wal(path: Path) -> Path:
    return Path(f"{path}-wal")


def copy_of(path: Path) -> Path:
    """Make a backup as the documentation describes it."""
    copy = path.with_suffix(".copy")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def replace(path: Path) -> None:
    copy_of(path).replace(path)


def remove(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


def remove_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def remove_shm(path: Path) -> None:
    Path(f"{path}-shm").unlink()


def remove_all(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


REPLACED = [replace, remove, move, remove_all]
UNLINKED = [remove_wal, remove_shm]


@pytest.mark.parametrize("happens", [*REPLACED, *UNLINKED])
def test_a_replaced_file_is_503_until_restart(
    make_app: Callable[..., Flask], path: Path, happens: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECK_INTERVAL_S", 0.0)
    client = make_app().test_client()
    assert client.post("/students", json=ADA).status_code == 201
    assert is_up(client)

    happens(path)
    files = {each.name: each.stat().st_ino for each in path.parent.glob(f"{path.name}*")}

    for _ in range(2):
        ready = client.get("/readyz")
        assert is_503(ready)
        assert "start the service again" in ready.get_json()["detail"]
        assert is_503(client.post("/students", json=BOB))
        assert is_503(client.patch("/students/1", json={"name": "Ada King"}))
        assert is_503(client.get("/students"))
    found = {each.name: each.stat().st_ino for each in path.parent.glob(f"{path.name}*")}
    assert found.items() <= files.items(), "something was made anew, or put in the place of what was there"
    if happens in UNLINKED:  # what was in the -wal was moved to the file when it was closed
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT name FROM students").fetchall() == [("ada",)]


def test_an_idle_process_does_not_open_a_replaced_file(make_app: Callable[..., Flask], path: Path) -> None:
    busy, idle = make_app().test_client(), make_app().test_client()
    copy = copy_of(path)
    assert busy.post("/students", json=ADA).status_code == 201  # it is in the -wal, which stays beside the new file
    copy.replace(path)
    before = path.read_bytes()

    assert is_503(idle.get("/students"))
    assert is_503(idle.post("/students", json=BOB))

    assert path.read_bytes() == before


def test_a_worker_started_later_does_not_serve_a_replaced_file(
    make_app: Callable[..., Flask], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sqlite.SERVED_FILE, "")
    sqlite.name_for_workers(str(path))
    assert make_app().test_client().get("/students").status_code == 200

    replace(path)

    assert is_503(make_app().test_client().get("/students"))


def test_no_worker_of_a_server_writes_the_old_log_into_a_new_file(database: URL, path: Path, tmp_path: Path) -> None:
    server = Server(tmp_path, database, WORKERS="3", BACKGROUND="off")
    try:
        server.wait()
        copy = copy_of(path)
        assert server.ask("POST", "/students", ADA)[0] == 201  # one worker has the file open
        copy.replace(path)
        before = path.read_bytes()
        statuses = {server.ask("GET", "/students")[0] for _ in range(30)}
        # The worker that has the old file may answer all of these, and looks at the file every CHECK_INTERVAL_S.
        until(lambda: server.ask("GET", "/students")[0] == 503, "the refusal of the new file")
    finally:
        server.end()

    assert path.read_bytes() == before
    assert statuses <= {200, 503}  # 200: the worker that has the old file, until it looks


@pytest.mark.parametrize("happens", REPLACED)
@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.post("/students", json=BOB),
        lambda client: client.patch("/students/1", json={"name": "Ada King"}),
    ],
    ids=["one statement", "transaction"],
)
def test_the_first_write_after_the_file_was_removed_is_refused(
    make_app: Callable[..., Flask],
    path: Path,
    happens: Callable[[Path], None],
    write: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sqlite, "CHECK_INTERVAL_S", 3600.0)
    client = make_app().test_client()
    assert client.post("/students", json=ADA).status_code == 201
    happens(path)
    assert is_503(write(client))
    assert not is_up(client)


@pytest.mark.parametrize("happens", [*REPLACED, *UNLINKED])
def test_readiness_reports_a_replaced_file(
    make_app: Callable[..., Flask], path: Path, happens: Callable[[Path], None]
) -> None:
    client = make_app().test_client()
    assert client.post("/students", json=ADA).status_code == 201
    happens(path)
    until(lambda: not is_up(client), "the end of readiness")


def test_a_file_that_was_moved_back_is_served_only_after_a_restart(make_app: Callable[..., Flask], path: Path) -> None:
    client = make_app().test_client()
    assert is_up(client)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    until(lambda: not is_up(client), "the end of readiness")
    aside.rename(path)
    assert not is_up(client)
    assert is_up(make_app().test_client())


def test_opening_and_closing_connections_is_not_taken_for_a_replacement(
    make_app: Callable[..., Flask], wal: Path
) -> None:
    """SQLite removes the -wal with the last connection and makes another with the next."""
    app = make_app()
    client = app.test_client()
    assert client.post("/students", json=ADA).status_code == 201
    for _ in range(2):
        assert wal.exists()
        with app.app_context():
            db.engine.dispose()
        assert not wal.exists()
        assert is_up(client)
        assert client.patch("/students/1", json={"name": "Ada King"}).status_code == 200


def test_a_missing_file_is_not_created(make_app: Callable[..., Flask], path: Path) -> None:
    path.unlink()
    client = make_app().test_client()
    assert not is_up(client)
    assert is_503(client.post("/students", json=ADA))
    assert not path.exists()


def test_a_restored_backup_is_served_after_a_restart(make_app: Callable[..., Flask], path: Path, wal: Path) -> None:
    """The procedure of docs/backup.md, and what happens without its second step."""
    first = make_app()
    assert first.test_client().post("/students", json=ADA).status_code == 201
    copy = copy_of(path)
    assert first.test_client().patch("/students/1", json={"name": "Changed"}).status_code == 200
    assert wal.stat().st_size > 0
    left = shutil.copy(wal, wal.with_suffix(".left"))
    with first.app_context():
        db.engine.dispose()

    shutil.copy(left, wal)  # as after a crash
    for each in (wal, Path(f"{path}-shm")):
        each.unlink(missing_ok=True)
    shutil.copy(copy, path)

    again = make_app()
    assert again.test_client().get("/students/1").get_json()["name"] == "ada"
    with again.app_context():
        assert not [finding for finding in verify() if finding.evidence]


# --- a time limit for statements --------------------------------------------------------------------------

FOR_LONG = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT count(*) FROM n"
FOR_EVER = FOR_LONG.format(10**8)  # a minute or less, so that the tests end also without a limit


@pytest.mark.parametrize("limit", ["database_statement_timeout_ms", "database_deadline_ms"])
def test_a_statement_that_takes_too_long_is_503_and_changes_nothing(
    make_app: Callable[..., Flask], sql: Make, limit: str
) -> None:
    client = make_app(**{limit: 100}).test_client()
    sql(f"CREATE TRIGGER slow AFTER INSERT ON students BEGIN {FOR_EVER}; END")
    assert is_503(client.post("/students", json=ADA))
    assert is_up(client)
    sql("DROP TRIGGER slow")
    assert client.get("/students").get_json()["items"] == []
    assert client.post("/students", json=ADA).status_code == 201


def test_a_transaction_that_takes_too_long_is_rolled_back(make_app: Callable[..., Flask], sql: Make) -> None:
    client = make_app(database_statement_timeout_ms=2_000).test_client()
    assert client.post("/students", json=ADA).status_code == 201
    sql(f"CREATE TRIGGER slow AFTER UPDATE ON students BEGIN {FOR_EVER}; END")
    assert is_503(client.patch("/students/1", json={"name": "Ada King"}))
    sql("DROP TRIGGER slow")
    assert client.get("/students/1").get_json()["name"] == "ada"
    assert client.patch("/students/1", json={"name": "Ada King"}).status_code == 200


def test_commands_have_no_time_limit(make_app: Callable[..., Flask]) -> None:
    app = make_app(database_statement_timeout_ms=1, database_deadline_ms=100)
    with app.app_context(), db.engine.connect() as connection:
        statement = FOR_LONG.format(2_000_000)
        assert connection.exec_driver_sql(statement).scalar() == 2_000_000
        with time_limit(0.001), pytest.raises(OperationalError) as error:
            connection.exec_driver_sql(statement)
        assert is_unavailable(error.value)


# --- files that are not the service's database -------------------------------------------------------------------


def test_a_file_in_utf_16_is_refused_with_a_sentence(make_app: Callable[..., Flask], path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE t (a)")
    app = make_app()
    ready = app.test_client().get("/readyz")
    assert is_503(ready)
    assert "UTF-16le" in ready.get_json()["detail"]
    assert is_503(app.test_client().get("/students"))
    with app.app_context(), pytest.raises(SQLAlchemyError) as error, db.engine.connect():
        pass
    assert "must be UTF-8" in str(operator_advice(error.value))


def test_a_file_that_is_not_a_database_is_503(make_app: Callable[..., Flask], path: Path) -> None:
    path.write_bytes(b"This is not a database. " * 1000)
    client = make_app().test_client()
    assert not is_up(client)
    assert is_503(client.get("/students"))
    assert is_503(client.post("/students", json=ADA))


@pytest.mark.parametrize("pragma", ["journal_mode = DELETE", "auto_vacuum = FULL", "journal_mode = TRUNCATE"])
def test_settings_stored_in_the_file_do_not_matter(
    make_app: Callable[..., Flask], path: Path, pragma: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECK_INTERVAL_S", 0.0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
        connection.execute("VACUUM")
    app = make_app()
    client: FlaskClient = app.test_client()
    assert client.post("/students", json=ADA).status_code == 201
    assert is_up(client)
    with app.app_context():
        engine: Engine = db.engine
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
