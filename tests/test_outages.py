"""When the database cannot serve: 503 with Retry-After, nothing half done, and normal service when it is back."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from course_management import create_app
from course_management.database import MAX_RETRIES, Raced, broken_constraint, db, is_unavailable, kind_of, retry

from .conftest import Databases, migrate
from .contract import ContractClient

Make = Callable[..., Any]


def is_up(client: FlaskClient) -> bool:
    """Whether the service says that it is ready; that it is alive it must say always."""
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200 or is_503(ready)
    return ready.status_code == 200


def is_503(answer: Any) -> bool:
    """Whether this is the answer of a service whose database is away."""
    if answer.status_code != 503:
        return False
    assert answer.get_json()["code"] == "database_unavailable"
    assert 0 < int(answer.headers["Retry-After"]) <= 10
    return True


def an_app(url: str, **settings: Any) -> Flask:
    """An app on a database that need not be there."""
    app = create_app({"DATABASE_URL": url, "LOG_LEVEL": "error", **settings})
    app.test_client_class = ContractClient
    return app


@contextmanager
def elsewhere(url: URL, *statements: str) -> Iterator[None]:
    """Holds a transaction of somebody else open, with these statements done."""
    engine = create_engine(url)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        yield
    engine.dispose()


# --- at the start -----------------------------------------------------------------------------------------


def test_without_a_postgresql_at_the_address_the_service_starts_and_says_503() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, so that nobody else takes the port, and not listening
        client = an_app(f"postgresql://nobody@127.0.0.1:{nobody.getsockname()[1]}/nowhere").test_client()
        assert not is_up(client)
        assert is_503(client.get("/students"))
        assert is_503(client.post("/students", json={"name": "Ada", "email": "ada@example.edu"}))
        assert is_503(client.post("/students/1/enroll", json={"course_id": 1}))


def test_a_postgresql_that_accepts_and_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = an_app(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nowhere").test_client()
        assert is_503(client.post("/students/1/enroll", json={"course_id": 1}))


def test_a_sqlite_folder_that_vanished_is_503_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    url = make_url(f"sqlite:///{folder / 'enrollment.db'}")
    app = an_app(str(url))
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
    app = an_app(url.render_as_string(hide_password=False))
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
    """Enroll the student in the course; the answer."""
    return client.post("/students/1/enroll", json={"course_id": 1})


def holdings(client: FlaskClient) -> int:
    """How many courses the student has, by the list and by the ledger."""
    held = client.get("/students/1/courses").get_json()["courses"]
    ledger = client.get("/students/1/history").get_json()["items"]
    assert len(held) == len(ledger)
    return len(held)


def test_while_every_connection_is_busy_the_answer_is_503(campus: Make) -> None:
    client = campus(threads=1, database_pool_timeout_ms=50)
    with client.application.app_context(), db.engine.connect():
        assert not is_up(client)
        assert is_503(client.get("/students"))
        assert is_503(enroll(client))
    assert is_up(client)
    assert holdings(client) == 0
    assert enroll(client).status_code == 201


class TestSqlite:
    """What only SQLite does: one writer at a time."""

    @pytest.fixture(autouse=True)
    def _only(self, backend: str) -> None:
        if backend != "sqlite":
            pytest.skip("SQLite locks the whole file")

    @pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
    def test_while_somebody_else_writes_on_and_on_writes_are_503_and_reads_go_on(
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
        assert holdings(client) == 0
        other.close()
        assert enroll(client).status_code == 201
        assert holdings(client) == 1


class TestPostgresql:
    """What only PostgreSQL does: it can end a connection, a wait or a statement, or take nobody in."""

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
            assert holdings(client) == 1

    def test_what_is_not_safe_to_repeat_is_not_repeated_on_a_cut_connection(self, campus: Make, admin: Make) -> None:
        client, bob = campus(), {"name": "Bob", "email": "bob@example.edu"}
        admin(self.END)
        assert is_503(client.post("/students", json=bob))
        assert client.post("/students", json=bob).status_code == 201

    def test_while_the_database_takes_nobody_in_the_answer_is_503(self, campus: Make, admin: Make) -> None:
        client = campus()
        admin('ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin(self.END)
        for _ in range(3):
            assert not is_up(client)
            assert is_503(enroll(client))
            assert is_503(client.get("/students"))
        admin('ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert is_up(client)
        assert holdings(client) == 0
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
    def test_behind_a_lock_that_is_not_given_back_the_answer_is_503(
        self, campus: Make, database: URL, capsys: pytest.CaptureFixture[str], limit: str, kind: str
    ) -> None:
        client = campus(**{limit: 100}, log_level="warning")
        with elsewhere(database, "SELECT 1 FROM courses WHERE id = 1 FOR UPDATE"):
            assert is_503(enroll(client))
            assert is_503(client.patch("/courses/1", json={"title": "Programming II"}))
            assert is_503(client.delete("/courses/1"))
            assert capsys.readouterr().out.count(f'"kind":"{kind}"') == 3
            assert is_up(client)
            assert holdings(client) == 0
        assert enroll(client).status_code == 201
        assert holdings(client) == 1

    def test_a_database_that_only_reads_is_503_for_writes(self, campus: Make, admin: Make) -> None:
        client = campus()
        admin('ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        admin(self.END)
        assert is_up(client)
        assert is_503(enroll(client))
        assert holdings(client) == 0
        admin('ALTER DATABASE "{name}" RESET default_transaction_read_only')
        admin(self.END)
        assert enroll(client).status_code == 201


# --- the rules behind it ----------------------------------------------------------------------------------


class Said(Exception):
    """A driver's error, as far as the rules look at it."""

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        vars(self).update(attributes)


def failed(message: str = "", *, lost: bool = False, **attributes: Any) -> DBAPIError:
    """SQLAlchemy's error around a driver's."""
    return OperationalError("SELECT 1", {}, Said(message, **attributes), connection_invalidated=lost)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PoolTimeout(), True),
        (SQLAlchemyError(), False),
        (failed(sqlstate=None), True),
        (failed(sqlstate="42P01"), False),
        (failed(sqlstate="42P01", lost=True), True),
        *((failed(sqlstate=code), True) for code in ("08006", "53300", "55P03", "57014", "57P01", "58030", "25006")),
        *((failed(sqlstate=code), True) for code in ("40001", "40P01")),
        *((failed(sqlstate=code), False) for code in ("23505", "22001", "25P02", "55006", "40002", "XX000")),
        *(
            (failed(sqlite_errorname=f"SQLITE_{name}"), True)
            for name in ("BUSY_SNAPSHOT", "LOCKED", "FULL", "CANTOPEN")
        ),
        *((failed(sqlite_errorname=f"SQLITE_{name}"), False) for name in ("ERROR", "MISUSE", "TOOBIG")),
        (IntegrityError("", {}, Said(sqlstate="23505")), False),
        (IntegrityError("", {}, Said(sqlite_errorname="SQLITE_CONSTRAINT_UNIQUE")), False),
    ],
    ids=lambda value: kind_of(value) if isinstance(value, Exception) else "",
)
def test_only_what_is_no_mistake_of_ours_is_unavailable(error: SQLAlchemyError, expected: bool) -> None:
    assert is_unavailable(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Said("nobody reads this", diag=SimpleNamespace(constraint_name="uq_students_email")), "uq_students_email"),
        (
            Said('… unique constraint "uq_students_email_102008"', diag=SimpleNamespace(constraint_name=None)),
            "uq_students_email",
        ),
        (Said('… violates check constraint "ck_courses_capacity"', diag=None), "ck_courses_capacity"),
        (Said("UNIQUE constraint failed: students.email"), "uq_students_email"),
        (Said("CHECK constraint failed: ck_courses_capacity"), "ck_courses_capacity"),
        (Said("student_courses_held_rows_stay: a seat is held"), "student_courses_held_rows_stay"),
        (Said("FOREIGN KEY constraint failed", diag=SimpleNamespace(constraint_name=None)), ""),
        (Said(""), ""),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_the_constraint_that_refused_has_its_name_from_the_models(error: Said, expected: str) -> None:
    assert broken_constraint(IntegrityError("INSERT", {}, error)) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (failed("secret", sqlstate="40001"), "40001"),
        (failed("secret", sqlite_errorname="SQLITE_BUSY"), "SQLITE_BUSY"),
        (failed("secret"), "Said"),
        (PoolTimeout("secret"), "TimeoutError"),
        (Raced("secret"), "Raced"),
    ],
)
def test_an_error_is_logged_by_its_kind_and_not_by_its_text(error: Exception, expected: str) -> None:
    assert kind_of(error) == expected


class Tries:
    """Work that fails with these errors, one a try, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.made = errors, 0

    def __call__(self) -> str:
        self.made += 1
        if self.made <= len(self.errors):
            raise self.errors[self.made - 1]
        return "done"


@pytest.fixture
def deadline() -> Iterator[Callable[[float], None]]:
    """Sets how many seconds a request may try; an hour at first."""
    app = Flask("tries")

    def put(seconds: float) -> None:
        app.extensions["database_deadline"] = seconds

    put(3600)
    with app.app_context():
        yield put


LOST = failed(sqlstate="57P01", lost=True)
HELPED = [Raced(), failed(sqlstate="40001"), failed(sqlstate="40P01"), failed(sqlite_errorname="SQLITE_BUSY_SNAPSHOT")]


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("error", HELPED, ids=kind_of)
@pytest.mark.parametrize("repeatable", [True, False])
def test_what_was_rolled_back_is_tried_5_times_more(error: Exception, repeatable: bool) -> None:
    work = Tries(*[error] * MAX_RETRIES)
    assert retry(work, repeatable=repeatable) == "done"
    work = Tries(*[error] * 99)
    with pytest.raises(type(error)):
        retry(work, repeatable=repeatable)
    assert work.made == 1 + MAX_RETRIES == 6


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize(("repeatable", "tries"), [(True, 2), (False, 1)])
def test_a_lost_connection_is_tried_once_more_and_only_if_that_is_safe(repeatable: bool, tries: int) -> None:
    work = Tries(LOST, LOST, LOST)
    with pytest.raises(OperationalError):
        retry(work, repeatable=repeatable)
    assert work.made == tries


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("error", [failed(sqlstate="55P03"), failed(sqlstate="42P01"), PoolTimeout(), ValueError()])
def test_what_trying_again_does_not_help_is_not_tried_again(error: Exception) -> None:
    work = Tries(error)
    with pytest.raises(type(error)):
        retry(work, repeatable=True)
    assert work.made == 1


@pytest.mark.parametrize("error", [*HELPED, LOST], ids=kind_of)
def test_after_the_deadline_nothing_is_tried(deadline: Callable[[float], None], error: Exception) -> None:
    deadline(-1)
    work = Tries(error)
    with pytest.raises(type(error)):
        retry(work, repeatable=True)
    assert work.made == 1


def test_the_deadline_of_a_call_inside_a_call_is_the_outer_one(deadline: Callable[[float], None]) -> None:
    outer = inner = 0

    def within() -> None:
        nonlocal inner
        inner += 1
        if inner == 1:
            raise Raced

    def around() -> None:
        nonlocal outer
        outer += 1
        deadline(-1)  # a call that had a deadline of its own would have this one
        retry(within, repeatable=True)

    retry(around, repeatable=True)
    assert (outer, inner) == (1, 2)
    with pytest.raises(Raced):  # the next call has it
        retry(Tries(Raced()), repeatable=True)
