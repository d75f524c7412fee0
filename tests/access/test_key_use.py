"""When keys were last used is noted beside the requests, and a note that cannot be written costs them nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, text
from structlog.testing import CapturingLogger

from course_management.access import authentication, key_use, keys
from course_management.access.key_use import KeyUse
from course_management.context import current
from course_management.database.types import utcnow

from ..support.databases import PATIENCE_S
from ..support.fixture_types import Sql
from ..support.keys import create_key
from ..support.real_server import until


@pytest.fixture
def app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Return an app with one thread, and so one connection, that remembers no caller and waits long for locks."""
    monkeypatch.setattr(authentication, "FRESH_S", 0)
    return make_app(threads=1, database_lock_timeout_ms=20_000, database_statement_timeout_ms=20_000)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    found = CapturingLogger()
    monkeypatch.setattr(key_use, "log", found)
    return found


@pytest.fixture
def notes(app: Flask) -> KeyUse:
    found: KeyUse = app.extensions["authentication"].key_use
    return found


@pytest.fixture
def key(app: Flask) -> str:
    with app.app_context():
        return create_key("portal", ["courses:read"])


def read(app: Flask, key: str) -> int:
    return app.test_client().get("/courses", headers={"Authorization": f"Bearer {key}"}).status_code


@pytest.fixture
def last_used(sql: Sql) -> Callable[[], list[Any]]:
    return lambda: [row[0] for row in sql("SELECT last_used_at FROM api_keys ORDER BY id")]


@contextmanager
def writer_at_work(engine: Engine, backend: str) -> Iterator[None]:
    """Keep a transaction open that has locked the keys, and on SQLite everything."""
    if backend == "sqlite":
        other = sqlite3.connect(str(engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()
        other.close()
    else:
        url = engine.url.set(drivername="postgresql")
        connection = psycopg.connect(url.render_as_string(hide_password=False))
        connection.execute("SELECT * FROM api_keys FOR UPDATE")
        yield
        connection.rollback()
        connection.close()


@contextmanager
def read_only(engine: Engine, sql: Sql, backend: str) -> Iterator[None]:
    """Refuse every write at once, as a hot standby does."""
    if backend == "sqlite":
        sql("CREATE TRIGGER standby BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'read-only'); END")
        yield
        sql("DROP TRIGGER standby")
    else:
        name = engine.url.database
        sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        engine.dispose()
        yield
        with engine.begin() as connection:
            connection.execute(text("SET TRANSACTION READ WRITE"))
            connection.execute(text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'))
        engine.dispose()


def test_the_use_of_a_key_is_noted_once_per_minute(
    app: Flask, notes: KeyUse, key: str, last_used: Callable[[], list[Any]], statements: list[str]
) -> None:
    assert last_used() == [None]

    for _ in range(5):
        assert read(app, key) == 200
        assert notes.idle.wait(PATIENCE_S)

    assert last_used() != [None]
    assert sum(each.startswith("UPDATE api_keys") for each in statements) == 1


def test_what_another_process_has_just_noted_is_not_noted_again(
    notes: KeyUse, key: str, last_used: Callable[[], list[Any]]
) -> None:
    notes.note(keys.prefix_of(key), utcnow() - timedelta(seconds=50))
    assert notes.idle.wait(PATIENCE_S)
    assert last_used() == [None]

    notes.note(keys.prefix_of(key), utcnow() - timedelta(seconds=70))
    assert notes.idle.wait(PATIENCE_S)
    assert last_used() != [None]


def test_a_writer_at_work_delays_no_read(
    app: Flask, notes: KeyUse, key: str, engine: Engine, backend: str, last_used: Callable[[], list[Any]]
) -> None:
    """The notes wait for the writer; the requests, on the only connection there is, do not."""
    with app.app_context():
        other = create_key("other", ["courses:read"])

    with writer_at_work(engine, backend):
        assert [read(app, key), read(app, other), read(app, key)] == [200] * 3
        assert not notes.idle.is_set()

    assert notes.idle.wait(PATIENCE_S)
    assert None not in last_used()


def test_a_read_only_database_serves_reads(
    app: Flask,
    notes: KeyUse,
    key: str,
    engine: Engine,
    sql: Sql,
    backend: str,
    last_used: Callable[[], list[Any]],
    log: CapturingLogger,
) -> None:
    with read_only(engine, sql, backend):
        assert [read(app, key) for _ in range(3)] == [200] * 3
        assert notes.idle.wait(PATIENCE_S)
    assert last_used() == [None]
    assert [call.args for call in log.calls] == [("key_use.not_noted",)]


def test_an_outage_is_one_line_in_the_log(
    app: Flask, notes: KeyUse, log: CapturingLogger, engine: Engine, sql: Sql, backend: str
) -> None:
    with app.app_context():
        made = [create_key(f"service-{number}", ["courses:read"]) for number in range(6)]

    def use(some: list[str]) -> None:
        for each in some:
            assert read(app, each) == 200
            assert notes.idle.wait(PATIENCE_S)

    with read_only(engine, sql, backend):
        use(made[:3])
    use(made[3:4])
    with read_only(engine, sql, backend):
        use(made[4:])

    assert [call.args for call in log.calls] == [("key_use.not_noted",)] * 2


def test_a_note_that_failed_is_not_tried_at_every_request(
    app: Flask, notes: KeyUse, key: str, engine: Engine, sql: Sql, backend: str, statements: list[str]
) -> None:
    with read_only(engine, sql, backend):
        for _ in range(5):
            assert read(app, key) == 200
            assert notes.idle.wait(PATIENCE_S)
    # On PostgreSQL once more in a new session, which may be one of the primary.
    tries = 2 if backend == "postgresql" else 1
    assert sum(statement.startswith("UPDATE api_keys") for statement in statements) == tries


def test_a_thread_that_cannot_be_started_refuses_no_request(
    app: Flask, notes: KeyUse, key: str, monkeypatch: pytest.MonkeyPatch, last_used: Callable[[], list[Any]]
) -> None:
    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        assert read(app, key) == 200
        assert notes.idle.is_set()
    with app.app_context():
        other = create_key("other", ["courses:read"])

    assert read(app, other) == 200

    assert notes.idle.wait(PATIENCE_S)
    assert None not in last_used()


def test_after_a_request_the_note_holds_no_connection(
    app: Flask, notes: KeyUse, key: str, engine: Engine, backend: str
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has no list of its connections")
    assert read(app, key) == 200
    assert notes.idle.wait(PATIENCE_S)
    sessions = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'course-management'"
    )
    with engine.connect().execution_options(autocommit=True) as connection:
        until(lambda: connection.execute(sessions).scalar_one() == 1, "the end of the note's session")


def test_a_note_has_a_time_limit(
    app: Flask, notes: KeyUse, key: str, monkeypatch: pytest.MonkeyPatch, last_used: Callable[[], list[Any]]
) -> None:
    limits: list[float | None] = []
    write = keys.write_use

    def watched(*note: Any) -> None:
        context = current.get()
        limits.append(context.deadline if context else None)
        write(*note)

    monkeypatch.setattr(keys, "write_use", watched)
    assert read(app, key) == 200
    assert notes.idle.wait(PATIENCE_S)

    assert last_used() != [None]
    assert limits
    assert None not in limits
