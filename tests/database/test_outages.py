"""While the database cannot serve: 503 with Retry-After, no partial changes, and normal service afterwards."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, literal, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout

from course_management.context import RequestContext, use
from course_management.database import autocommit, db, reading, transaction, writing

from ..support.apps import app_on
from ..support.databases import PATIENCE_S, Databases, migrate
from ..support.responses import is_503, is_up

Make = Callable[..., Any]


@contextmanager
def elsewhere(url: URL, *statements: str) -> Iterator[None]:
    """Holds a transaction of another program open, with these statements done."""
    engine = create_engine(url)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        yield
    engine.dispose()


# --- at the start -----------------------------------------------------------------------------------------


def test_the_service_starts_without_a_database_server_and_responds_503() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, so that no other process takes the port, and not listening
        client = app_on(f"postgresql://nobody@127.0.0.1:{unused.getsockname()[1]}/nowhere").test_client()
        assert not is_up(client)
        assert is_503(client.get("/students"))
        assert is_503(client.post("/students", json={"name": "Ada", "email": "ada@example.edu"}))
        assert is_503(client.post("/students/1/enroll", json={"course_id": 1}))


def test_a_server_that_accepts_and_never_responds_does_not_block_a_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = app_on(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nowhere").test_client()
        assert is_503(client.post("/students/1/enroll", json={"course_id": 1}))


def test_a_sqlite_folder_that_vanished_is_503_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    url = make_url(f"sqlite:///{folder / 'enrollment.db'}")
    app = app_on(str(url))
    folder.rmdir()

    assert not is_up(app.test_client())
    assert is_503(app.test_client().get("/students"))

    folder.mkdir()
    migrate(url)
    assert is_up(app.test_client())
    assert app.test_client().get("/students").status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_a_database_that_was_never_migrated_is_not_ready_until_it_is(databases: Databases) -> None:
    url = databases.empty()
    app = app_on(url.render_as_string(hide_password=False))
    assert not is_up(app.test_client())

    migrate(url)

    assert is_up(app.test_client())
    with app.app_context():
        db.engine.dispose()
    databases.drop(url)


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = '0000'", "DELETE FROM alembic_version"])
def test_a_schema_of_another_version_is_not_ready(client: FlaskClient, sql: Make, change: str) -> None:
    assert is_up(client)
    (before,) = sql("SELECT version_num FROM alembic_version")[0]
    sql(change)
    assert not is_up(client)
    sql("DELETE FROM alembic_version")
    sql("INSERT INTO alembic_version VALUES (:before)", before=before)
    assert is_up(client)


# --- during service ---------------------------------------------------------------------------------------


@pytest.fixture
def campus(make_app: Callable[..., Flask]) -> Callable[..., FlaskClient]:
    """Makes an app with some settings changed, and student 1 and course 1 in its database; its client."""

    def make(**settings: Any) -> FlaskClient:
        client = make_app(**settings).test_client()
        client.post("/students", json={"name": "Ada", "email": "ada@example.edu"})
        client.post("/courses", json={"code": "CS101", "title": "Programming"})
        return client

    return make


def enroll(client: FlaskClient) -> Any:
    """Enroll the student in the course; the response."""
    return client.post("/students/1/enroll", json={"course_id": 1})


def count_courses(client: FlaskClient) -> int:
    """Return how many courses the student has, by the list and by the ledger."""
    held = client.get("/students/1/courses").get_json()["courses"]
    ledger = client.get("/students/1/history").get_json()["items"]
    assert len(held) == len(ledger)
    return len(held)


def test_a_request_waits_for_a_connection_that_is_soon_returned(campus: Make) -> None:
    client = campus(threads=1, database_pool_timeout_ms=60_000, database_deadline_ms=60_000)
    statuses: list[int] = []
    request = threading.Thread(target=lambda: statuses.append(client.get("/students").status_code))
    with client.application.app_context(), db.engine.connect():
        request.start()
        request.join(0.2)
        assert statuses == []  # not refused at once
    request.join()
    assert statuses == [200]


def test_the_wait_for_a_connection_ends_with_the_deadline_of_the_request(campus: Make) -> None:
    client = campus(threads=1, database_pool_timeout_ms=60_000, database_deadline_ms=200)
    responses: list[Any] = []
    request = threading.Thread(target=lambda: responses.append(client.get("/students")))
    with client.application.app_context(), db.engine.connect():
        request.start()
        request.join(PATIENCE_S / 2)
        assert all(map(is_503, responses))
        assert len(responses) == 1


@pytest.mark.parametrize("begin", [transaction, reading, writing])
def test_no_work_begins_after_the_deadline(app: Flask, begin: Callable[[], Any], statements: list[str]) -> None:
    with app.app_context(), use(RequestContext(deadline=time.monotonic())):
        with pytest.raises(PoolTimeout), begin():
            pass
        with pytest.raises(PoolTimeout):
            autocommit(select(literal(1)))
    assert statements == []


def test_while_every_connection_is_busy_the_response_is_503(campus: Make) -> None:
    client = campus(threads=1, database_pool_timeout_ms=50)
    with client.application.app_context(), db.engine.connect():
        assert not is_up(client)
        assert is_503(client.get("/students"))
        assert is_503(enroll(client))
    assert is_up(client)
    assert count_courses(client) == 0
    assert enroll(client).status_code == 201


class TestSqlite:
    """What only SQLite does: one writer at a time."""

    @pytest.fixture(autouse=True)
    def _only(self, backend: str) -> None:
        if backend != "sqlite":
            pytest.skip("SQLite locks the whole file")

    @pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
    def test_while_another_process_keeps_writing_writes_are_503_and_reads_succeed(
        self, campus: Make, database: URL, begin: str
    ) -> None:
        client = campus(database_lock_timeout_ms=50, database_deadline_ms=200)
        with client.application.app_context(), db.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 50
        other = sqlite3.connect(str(database.database), isolation_level=None)
        other.execute(begin)
        assert is_503(enroll(client))
        assert is_503(client.patch("/students/1", json={"name": "Ada King"}))
        assert is_up(client)
        assert count_courses(client) == 0
        other.close()
        assert enroll(client).status_code == 201
        assert count_courses(client) == 1


class TestPostgresql:
    """What only PostgreSQL does: it can end a connection, a wait or a statement, or refuse connections."""

    @pytest.fixture(autouse=True)
    def _only(self, backend: str) -> None:
        if backend != "postgresql":
            pytest.skip("SQLite has no server")

    @pytest.fixture
    def admin(self, databases: Databases, database: URL) -> Iterator[Callable[[str], Any]]:
        """Runs a statement from another database; `{name}` is the one of the test."""
        assert databases.server is not None
        engine = create_engine(databases.server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield lambda statement: connection.execute(text(statement.format(name=database.database)))
        engine.dispose()

    END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    def test_an_enrollment_after_every_connection_was_cut_is_done_once(self, campus: Make, admin: Make) -> None:
        client = campus()
        for _ in range(2):
            admin(self.END)
            assert is_up(client)
            admin(self.END)
            assert enroll(client).status_code in {200, 201}
            admin(self.END)
            assert count_courses(client) == 1

    def test_a_request_that_is_not_safe_to_repeat_is_not_repeated_on_a_cut_connection(
        self, campus: Make, admin: Make
    ) -> None:
        client, bob = campus(), {"name": "Bob", "email": "bob@example.edu"}
        admin(self.END)
        assert is_503(client.post("/students", json=bob))
        assert client.post("/students", json=bob).status_code == 201

    def test_while_the_server_refuses_connections_the_response_is_503(self, campus: Make, admin: Make) -> None:
        client = campus()
        admin('ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin(self.END)
        for _ in range(3):
            assert not is_up(client)
            assert is_503(enroll(client))
            assert is_503(client.get("/students"))
        admin('ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert is_up(client)
        assert count_courses(client) == 0
        assert enroll(client).status_code == 201

    def test_a_database_that_was_renamed_is_503_until_it_has_its_name_back(self, campus: Make, admin: Make) -> None:
        client = campus()
        admin(self.END)
        admin('ALTER DATABASE "{name}" RENAME TO "{name}_moved"')
        assert not is_up(client)
        assert is_503(enroll(client))
        admin('ALTER DATABASE "{name}_moved" RENAME TO "{name}"')
        assert is_up(client)
        assert enroll(client).status_code == 201

    @pytest.mark.parametrize(
        ("limit", "kind"), [("database_lock_timeout_ms", "55P03"), ("database_statement_timeout_ms", "57014")]
    )
    def test_while_a_lock_is_never_released_the_response_is_503(
        self, campus: Make, database: URL, capsys: pytest.CaptureFixture[str], limit: str, kind: str
    ) -> None:
        client = campus(**{limit: 100}, log_level="warning")
        with elsewhere(database, "SELECT 1 FROM courses WHERE id = 1 FOR UPDATE"):
            assert is_503(enroll(client))
            assert is_503(client.patch("/courses/1", json={"title": "Programming II"}))
            assert is_503(client.delete("/courses/1"))
            assert capsys.readouterr().out.count(f'"kind":"{kind}"') == 3
            assert is_up(client)
            assert count_courses(client) == 0
        assert enroll(client).status_code == 201
        assert count_courses(client) == 1

    def test_a_database_that_only_reads_is_503_for_writes(self, campus: Make, admin: Make) -> None:
        client = campus()
        admin('ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        admin(self.END)
        assert is_up(client)
        assert is_503(enroll(client))
        assert count_courses(client) == 0
        admin('ALTER DATABASE "{name}" RESET default_transaction_read_only')
        admin(self.END)
        assert enroll(client).status_code == 201

    @pytest.mark.parametrize(
        "write",
        [
            enroll,
            lambda client: client.post("/students", json={"name": "Bob", "email": "bob@example.edu"}),
            lambda client: client.patch("/students/1", json={"name": "Ada King"}),
        ],
        ids=["in one statement", "not safe to repeat", "in a transaction"],
    )
    def test_a_session_on_a_server_that_is_a_standby_now_is_replaced(
        self, campus: Make, admin: Make, write: Callable[[FlaskClient], Any]
    ) -> None:
        """As after a failover, when the connection still leads to the old primary."""
        client = campus()
        admin('ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        admin(self.END)
        assert is_up(client)
        admin('ALTER DATABASE "{name}" RESET default_transaction_read_only')
        assert write(client).status_code in {200, 201}
