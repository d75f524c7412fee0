"""Every database call of a request ends, whatever the server or the network does: 503, then normal service."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from course_management import create_app
from course_management.background.jobs import Job
from course_management.background.worker import Worker
from course_management.config import Settings
from course_management.database import autocommit, db, is_unavailable, time_limit, watchdog, write_breaker
from course_management.maintenance.verify import verify

from ..support.contract import ContractClient
from ..support.databases import PATIENCE_S, Databases, PostgreSQL
from ..support.real_server import until
from ..support.responses import is_503, is_up

DEADLINE_MS = 1000


class Campus:
    """An app on a server of its own, with students and courses, and many clients at once."""

    def __init__(self, url: URL, **settings: Any) -> None:
        given = {
            "THREADS": 8,
            "LOG_LEVEL": "error",
            "DATABASE_DEADLINE_MS": DEADLINE_MS,
            "DATABASE_POOL_TIMEOUT_MS": DEADLINE_MS,
            **settings,
        }
        self.app = create_app({"DATABASE_URL": url.render_as_string(hide_password=False), **given})
        self.app.test_client_class = ContractClient
        self.acknowledged: set[int] = set()
        self.responses: list[Any] = []

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def populate(self) -> None:
        """Students 1 to 40 and course 1; past the requests, which have little time here."""
        with self.app.app_context(), db.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO students (name, email, created_at)"
                " SELECT 'Ada', 'ada' || i || '@example.edu', now() FROM generate_series(1, 40) AS i"
            )
            connection.exec_driver_sql("INSERT INTO courses (code, title, created_at) VALUES ('CS101', 'CS', now())")

    def enroll(self, student: int) -> Any:
        """Enroll one in course 1; the response."""
        response = self.client.post(f"/students/{student}/enroll", json={"course_id": 1})
        if response.status_code == 201:
            self.acknowledged.add(student)
        return response

    def rename(self, student: int) -> Any:
        """Change one in a transaction of two statements; the response."""
        return self.client.patch(f"/students/{student}", json={"name": "Ada King"})

    def read(self, student: int) -> Any:
        """List one's courses; the response."""
        return self.client.get(f"/students/{student}/courses")

    def settled(self) -> None:
        """Check that everything works again, and that all acknowledged changes are there."""
        until(lambda: is_up(self.client), "readiness")
        until(lambda: self.enroll(40).status_code in {200, 201}, "an enrollment")
        roster = until(lambda: self.client.get("/courses/1/students?limit=100").get_json().get("items"), "a roster")
        assert self.acknowledged <= {each["student_id"] for each in roster}
        with self.app.app_context():
            assert not [finding for finding in verify() if finding.evidence]

    def end(self) -> None:
        with self.app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """Run a server for one test."""
    server = PostgreSQL(fsync="off")
    yield server
    server.end()


@pytest.fixture(scope="module")
def on_it(server: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with contextlib.closing(Databases("postgresql", tmp_path_factory.mktemp("time_limits"), server.url)) as databases:
        yield databases


@pytest.fixture
def url(on_it: Databases) -> Iterator[URL]:
    url = on_it.migrated()
    yield url
    on_it.drop(url)


@pytest.fixture
def campus(url: URL) -> Iterator[Campus]:
    campus = Campus(url)
    campus.populate()
    yield campus
    campus.end()


@pytest.fixture
def admin(server: PostgreSQL) -> Iterator[Callable[[str], Any]]:
    """Runs a statement on the server itself."""
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield lambda statement: connection.execute(text(statement))
    engine.dispose()


@contextlib.contextmanager
def without_standby(admin: Callable[[str], Any]) -> Iterator[None]:
    """While this lasts, every COMMIT waits for a standby that does not exist."""
    admin("ALTER SYSTEM SET synchronous_standby_names = 'lost'")
    admin("SELECT pg_reload_conf()")
    until(lambda: admin("SHOW synchronous_standby_names").scalar() == "lost", "the setting")
    try:
        yield
    finally:
        admin("ALTER SYSTEM RESET synchronous_standby_names")
        admin("SELECT pg_reload_conf()")


@contextlib.contextmanager
def at_once(*calls: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    """Make calls in a thread each. They are not waited for at the end: a server may have to go on first."""
    pool = ThreadPoolExecutor(len(calls))
    try:
        yield [pool.submit(each) for each in calls]
    finally:
        pool.shutdown(wait=False)


def responses(*calls: Callable[[], Any]) -> list[Any]:
    """Return the response of each of these concurrent calls, in order."""
    with at_once(*calls) as found:
        return [each.result(PATIENCE_S) for each in found]


# --- a server that stands still ---------------------------------------------------------------------------


def test_while_the_server_is_frozen_every_request_is_503(server: PostgreSQL, campus: Campus) -> None:
    until(lambda: campus.enroll(1).status_code == 201, "an enrollment")
    calls = [partial(each, number) for number in range(2, 6) for each in (campus.enroll, campus.rename, campus.read)]
    with server.frozen():
        assert all(map(is_503, responses(*calls)))
        assert not is_up(campus.client)
        assert all(map(is_503, responses(*calls)))  # of those that must connect first
    campus.settled()
    assert campus.acknowledged >= {1, 40}


def test_a_server_that_is_frozen_in_the_middle_of_many_requests_loses_nothing(
    server: PostgreSQL, campus: Campus
) -> None:
    seen: list[int] = []

    def enroll_some(first: int) -> None:
        seen.extend(campus.enroll(student).status_code for student in range(first, first + 9))
        for _ in range(10_000):  # on a fast machine, all were enrolled before the server was frozen
            if 503 in seen:
                break
            seen.append(campus.enroll(first).status_code)

    with at_once(*(partial(enroll_some, first) for first in (1, 10, 19, 28))) as running:
        until(lambda: campus.acknowledged, "an enrollment")
        with server.frozen():
            until(lambda: 503 in seen, "a 503")
        for each in running:
            each.result(PATIENCE_S)
    assert set(seen) <= {200, 201, 503}
    campus.settled()


def test_without_the_watchdog_a_request_would_wait_as_long_as_the_server_is_frozen(
    server: PostgreSQL, campus: Campus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the tests around this one see is the watchdog's doing."""
    monkeypatch.setattr(watchdog, "_cut", lambda _: None)
    campus.read(1)
    with ThreadPoolExecutor(1) as pool:
        with server.frozen():
            running = pool.submit(campus.read, 1)
            with pytest.raises(NotYet):
                running.result(4 * DEADLINE_MS / 1000)
        assert running.result(PATIENCE_S).status_code == 200


# --- a standby that is lost -------------------------------------------------------------------------------


def waiting_for_standby(admin: Callable[[str], Any]) -> int:
    """Return the number of sessions that wait for a standby."""
    return int(admin("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").scalar())


@pytest.mark.parametrize("write", [Campus.enroll, Campus.rename])
def test_while_a_standby_is_lost_writes_are_503_and_reads_go_on(
    campus: Campus, admin: Callable[[str], Any], write: Callable[[Campus, int], Any]
) -> None:
    with without_standby(admin):
        assert is_503(write(campus, 1))
        found = responses(*(partial(each, campus, number) for number in range(2, 8) for each in (write, Campus.read)))
        assert all(map(is_503, found[0::2]))
        assert {each.status_code for each in found[1::2]} == {200}
        until(lambda: not waiting_for_standby(admin), "the end of what was cut off")
    campus.settled()


def test_writes_are_refused_for_a_while_after_one_was_cut_off(
    campus: Campus, admin: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    with without_standby(admin):
        monkeypatch.setattr(write_breaker, "PAUSE_S", 10 * PATIENCE_S)
        assert is_503(campus.enroll(1))
        statements.clear()
        assert is_503(campus.enroll(2))
        assert is_503(campus.rename(2))
        assert not any(map(is_change, statements))


def test_after_the_pause_one_write_at_a_time_probes(
    campus: Campus, admin: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    with without_standby(admin):
        monkeypatch.setattr(write_breaker, "PAUSE_S", 0)
        assert is_503(campus.enroll(1))
        statements.clear()
        assert all(map(is_503, responses(*(partial(campus.enroll, number) for number in range(2, 6)))))
        assert len(list(filter(is_change, statements))) == 1
    campus.settled()


def test_a_write_that_changes_nothing_does_not_prove_that_writes_are_possible(
    campus: Campus, admin: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    with without_standby(admin):
        monkeypatch.setattr(write_breaker, "PAUSE_S", 0)
        assert is_503(campus.enroll(2))
        assert campus.client.post("/students/2/enroll", json={"course_id": 99}).status_code == 404
        statements.clear()
        assert all(map(is_503, responses(*(partial(campus.enroll, number) for number in range(2, 6)))))
        assert len(list(filter(is_change, statements))) == 1


def is_change(statement: str) -> bool:
    return "INSERT INTO student_courses" in statement or statement.startswith("UPDATE")


# --- a network path that is lost --------------------------------------------------------------------------


class Path:
    """A network path to a server on a Unix socket: a TCP proxy that can stop passing anything on, and go on later."""

    def __init__(self, target: URL) -> None:
        self._target = f"{target.query['host']}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._passes = threading.Event()
        self._passes.set()
        self.url = target.set(
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            query={"sslmode": "disable", "gssencmode": "disable"},
        )
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def lost(self) -> Iterator[None]:
        """Meanwhile, nothing arrives, and no error is reported."""
        self._passes.clear()
        try:
            yield
        finally:
            self._passes.set()

    def close(self) -> None:
        """Accept no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with source, contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._passes.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def path(url: URL) -> Iterator[Path]:
    path = Path(url)
    yield path
    path.close()


@pytest.fixture
def far_away(path: Path) -> Iterator[Campus]:
    """Provide a campus that reaches its database through the path."""
    campus = Campus(path.url)
    campus.populate()
    yield campus
    campus.end()


def test_while_the_network_path_is_lost_every_request_is_503(path: Path, far_away: Campus) -> None:
    until(lambda: far_away.enroll(1).status_code == 201, "an enrollment")
    calls = [partial(each, number) for number in range(2, 4) for each in (far_away.enroll, far_away.rename)]
    with path.lost():
        assert all(map(is_503, responses(*calls, *calls, partial(far_away.read, 1))))
        assert all(map(is_503, responses(*calls)))  # of those that must connect first
        assert not is_up(far_away.client)
    far_away.settled()


# --- connecting -------------------------------------------------------------------------------------------


def test_a_name_lookup_that_never_ends_does_not_block_a_request(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, lookups = threading.Event(), []
    real = socket.getaddrinfo

    def look_up(host: str, *args: Any, **more: Any) -> Any:
        if host != "database.example.edu":
            return real(host, *args, **more)
        lookups.append(host)
        found.wait(PATIENCE_S)
        return real("127.0.0.1", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    campus = Campus(path.url.set(host="database.example.edu"))
    calls = [partial(campus.read, number) for number in range(1, 7)]
    for _ in range(3):
        assert all(map(is_503, responses(*calls)))
        assert not is_up(campus.client)
    assert 1 <= len(lookups) <= 8, "a request that must wait again takes over what an earlier one has begun"
    found.set()
    until(lambda: is_up(campus.client), "readiness")
    campus.end()


def test_a_host_that_never_responds_does_not_hide_the_next_one(path: Path) -> None:
    """The first host's time limit is longer than a request may take: what comes too late serves the next request."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        both = f"127.0.0.1:{silent.getsockname()[1]}", f"127.0.0.1:{path.url.port}"
        url = URL.create("postgresql+psycopg", path.url.username, database=path.url.database)
        campus = Campus(url.set(query={**path.url.query, "host": both}))
        assert is_503(campus.read(1))
        until(lambda: is_up(campus.client), "readiness")
        campus.end()


# --- what the limit is for, and what not ------------------------------------------------------------------


@pytest.fixture
def engine(url: URL) -> Iterator[Engine]:
    """Return the engine of an app, outside of any request."""
    campus = Campus(url)
    with campus.app.app_context():
        yield db.engine
    campus.end()


def sleep(engine: Engine) -> None:
    """Keep the server busy for a second."""
    with engine.connect().execution_options(autocommit=True) as connection:
        connection.exec_driver_sql("SELECT pg_sleep(1)")


def test_the_work_of_a_command_is_not_cut_off(engine: Engine) -> None:
    with engine.connect():  # connecting belongs to the work
        pass
    sleep(engine)
    with pytest.raises(OperationalError) as error, time_limit(0.1):
        sleep(engine)
    assert is_unavailable(error.value)
    sleep(engine)  # on a new connection


def test_a_step_of_the_background_work_is_cut_off_as_a_request_is(url: URL) -> None:
    ended = threading.Event()

    def steps() -> Iterator[object]:
        try:
            yield autocommit(select(func.pg_sleep(10 * PATIENCE_S)))
        except OperationalError:
            ended.set()
            raise

    address = url.render_as_string(hide_password=False)
    limits = {"DATABASE_DEADLINE_MS": DEADLINE_MS, "DATABASE_STATEMENT_TIMEOUT_MS": 600_000}
    worker = Worker(Settings.load({"DATABASE_URL": address, **limits}), [Job("sleep", steps, 1.0)])
    worker.start()
    assert ended.wait(PATIENCE_S)
    worker.stop()
    assert worker.join(PATIENCE_S)


def test_a_transaction_that_is_cut_off_is_rolled_back(engine: Engine) -> None:
    with contextlib.suppress(SQLAlchemyError), time_limit(0.1), engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO leases VALUES ('name', 'holder', now())")
        with pytest.raises(OperationalError):
            connection.exec_driver_sql("SELECT pg_sleep(1)")
    with engine.connect().execution_options(autocommit=True) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM leases").scalar() == 0


def test_a_finished_call_is_not_cut_off_nor_is_the_next_one_on_its_connection(engine: Engine) -> None:
    with time_limit(PATIENCE_S), engine.connect() as connection:
        use = connection.info["guard"]
    watchdog._cut(use)  # noqa: SLF001 - the watchdog had looked at its time, and comes too late
    with engine.connect().execution_options(autocommit=True) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        assert not use.is_cut_off


def test_a_connection_that_was_cut_off_after_its_last_result_is_not_lent_again(engine: Engine) -> None:
    with time_limit(PATIENCE_S), engine.connect() as connection:
        first = connection.connection.driver_connection
        watchdog._cut(connection.info["guard"])  # noqa: SLF001
    with engine.connect() as connection:
        assert connection.connection.driver_connection is not first
