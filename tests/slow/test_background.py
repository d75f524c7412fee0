"""Background work of real processes: several servers on one database, a leader that dies, and what is frozen.

Seats become free around the service here, so that no request does a part of the work.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from course_management import create_app
from course_management.database import db
from course_management.maintenance import verify
from course_management.services.enrollment.promotion import BATCH

from ..background.process import working
from ..support.databases import PATIENCE_S, Databases, PostgreSQL
from ..support.real_server import Server, until

WAITING = 5_000
Waitlist = Callable[[int], tuple[int, list[int]]]


@pytest.fixture
def shell(database: URL) -> Engine:
    """Return an engine for the database, as other programs use it."""
    return create_engine(database, poolclass=NullPool)


@pytest.fixture
def ask(shell: Engine) -> Callable[..., list[Any]]:
    """Runs a statement; its rows."""

    def run(statement: str, **values: Any) -> list[Any]:
        with shell.begin() as connection:
            result = connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

    return run


@pytest.fixture
def waitlist(ask: Any) -> Waitlist:
    """Makes a course without a seat that so many students wait for, the newest first: its id, and theirs in order."""
    numbers = itertools.count(1)

    def make(length: int) -> tuple[int, list[int]]:
        course = next(numbers)
        ask(
            "INSERT INTO courses (code, title, capacity, waitlist_capacity, created_at)"
            f" VALUES ('C{course}', 'Programming', 0, NULL, CURRENT_TIMESTAMP)"
        )
        ask(
            "INSERT INTO students (name, email, created_at)"
            f" WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {length})"
            f" SELECT 'Ada', n || '@{course}.example.edu', CURRENT_TIMESTAMP FROM n"
        )
        found = f"FROM students WHERE email LIKE '%@{course}.example.edu'"
        ids = [row.id for row in ask(f"SELECT id {found} ORDER BY id DESC")]
        ask(
            "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
            f" SELECT id, {course}, 'waitlisted', {ids[0] + 1} - id {found}"
        )
        return course, ids

    return make


@pytest.fixture
def servers(tmp_path: Path, database: URL) -> Iterator[Callable[..., list[Server]]]:
    """Starts two servers of four workers each on the database."""
    started: list[Server] = []

    def start(**settings: str) -> list[Server]:
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            started.append(Server(folder, database, WORKERS="4", THREADS="1", LOG_FORMAT="json", **settings))
        for each in started:
            each.wait()
        return started

    yield start
    for each in started:
        each.end()


def events(*logs: Path) -> list[dict[str, Any]]:
    """Return the lines of some logs, each log in order."""
    found = []
    for log in logs:
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):  # the banner, and a line that is being written
                found.append(json.loads(line))
    return [each for each in found if isinstance(each, dict)]


def leaders(*logs: Path) -> list[int]:
    """Return the running processes that reported to be the leader."""
    return [each["pid"] for each in events(*logs) if each["event"] == "background.leader" and is_alive(each["pid"])]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def assert_promoted_once_and_in_order(ask: Any, course: int, waiting: list[int]) -> None:
    """Assert that every student got a seat, in the order of the waitlist, with one line of the ledger each."""
    assert ask("SELECT seats_taken, waiting FROM courses WHERE id = :id", id=course) == [(len(waiting), 0)]
    lines = ask(
        "SELECT at, student_id, from_status, to_status FROM enrollment_events"
        " WHERE course_id = :id AND actor = 'promotion' ORDER BY id",
        id=course,
    )
    assert {(line.from_status, line.to_status) for line in lines} == {("waitlisted", "enrolled")}
    done = 0
    for _, group in itertools.groupby(lines, lambda line: line.at):
        batch = [line.student_id for line in group]
        assert len(batch) <= BATCH
        assert {*batch} == {*waiting[done : done + len(batch)]}
        done += len(batch)
    assert done == len(waiting)


def assert_sound(database: URL) -> None:
    """Assert that `verify` finds nothing."""
    app = create_app({"DATABASE_URL": database.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
    with app.app_context():
        assert {each.name: each.evidence for each in verify.verify() if each.evidence} == {}
        db.engine.dispose()


def test_of_two_servers_of_four_workers_one_process_promotes_each_student_once_and_in_order(
    database: URL, servers: Any, waitlist: Waitlist, ask: Any
) -> None:
    full, waiting = waitlist(WAITING)
    logs = [each.log for each in servers()]
    until(lambda: leaders(*logs), "a leader")

    ask("UPDATE courses SET capacity = :seats", seats=WAITING)

    until(lambda: ask("SELECT waiting FROM courses") == [(0,)], "the end of the promotion")
    assert_promoted_once_and_in_order(ask, full, waiting)
    assert_sound(database)
    until(lambda: len([each for each in events(*logs) if each["event"] == "enrollment.promoted"]) >= WAITING, "lines")
    told = [each["student_id"] for each in events(*logs) if each["event"] == "enrollment.promoted"]
    assert sorted(told) == sorted(waiting)
    assert len(leaders(*logs)) == 1


def test_a_request_and_the_background_work_together_promote_each_student_once(
    database: URL, servers: Any, waitlist: Waitlist, ask: Any
) -> None:
    full, waiting = waitlist(WAITING)
    first, second = servers()

    responses = [each.ask("PATCH", f"/courses/{full}", {"capacity": WAITING}) for each in (first, second)]

    assert [status for status, _ in responses] == [200, 200]
    until(lambda: ask("SELECT waiting FROM courses") == [(0,)], "the end of the promotion")
    assert_promoted_once_and_in_order(ask, full, waiting)
    assert_sound(database)


def test_when_the_leader_is_killed_another_one_continues(
    database: URL, servers: Any, waitlist: Waitlist, ask: Any
) -> None:
    (first, early), (second, late) = waitlist(WAITING), waitlist(WAITING)
    logs = [each.log for each in servers()]
    (leader, *_) = until(lambda: leaders(*logs), "a leader")
    ask("UPDATE courses SET capacity = :seats WHERE id = :id", seats=WAITING, id=first)
    until(lambda: ask("SELECT seats_taken > 0 FROM courses WHERE id = :id", id=first)[0][0], "a first batch")

    os.kill(leader, signal.SIGKILL)
    ask("UPDATE courses SET capacity = :seats WHERE id = :id", seats=WAITING, id=second)

    until(lambda: ask("SELECT sum(waiting) FROM courses")[0][0] == 0, "the end of the promotion")
    assert leader not in leaders(*logs)
    assert len(leaders(*logs)) == 1
    assert_promoted_once_and_in_order(ask, first, early)
    assert_promoted_once_and_in_order(ask, second, late)
    assert_sound(database)


def test_with_background_off_the_servers_leave_the_work_to_the_worker(
    tmp_path: Path, database: URL, servers: Any, waitlist: Waitlist, ask: Any
) -> None:
    full, waiting = waitlist(WAITING)
    logs = [each.log for each in servers(BACKGROUND="off")]
    ask("UPDATE courses SET capacity = :seats", seats=WAITING)

    with working(tmp_path, database) as (process, log):
        until(lambda: ask("SELECT waiting FROM courses") == [(0,)], "the end of the promotion")
        assert leaders(log) == [process.pid]

    assert [each for each in events(*logs) if each["event"].startswith("background.")] == []
    assert_promoted_once_and_in_order(ask, full, waiting)


def test_a_leader_that_was_frozen_does_no_harm_when_it_continues(
    backend: str, tmp_path: Path, database: URL, waitlist: Waitlist, ask: Any
) -> None:
    if backend == "sqlite":
        pytest.skip("a frozen process keeps its lock on a file: `serve` replaces it")
    (first, early), (second, late) = waitlist(WAITING), waitlist(WAITING)
    with working(tmp_path, database, "first") as one, working(tmp_path, database, "second") as two:
        (leader, *_) = until(lambda: leaders(one[1], two[1]), "a leader")
        (process, log), (_, other_log) = (one, two) if leader == one[0].pid else (two, one)
        ask("UPDATE courses SET capacity = :seats WHERE id = :id", seats=WAITING, id=first)
        until(lambda: ask("SELECT seats_taken > 0 FROM courses WHERE id = :id", id=first)[0][0], "a first batch")

        process.send_signal(signal.SIGSTOP)
        until(lambda: leaders(other_log), "a takeover")
        ask("UPDATE courses SET capacity = :seats WHERE id = :id", seats=WAITING, id=second)
        process.send_signal(signal.SIGCONT)

        until(lambda: "background.leader_lost" in [each["event"] for each in events(log)], "its step down")
        until(lambda: ask("SELECT sum(waiting) FROM courses")[0][0] == 0, "the end of the promotion")

    assert_promoted_once_and_in_order(ask, first, early)
    assert_promoted_once_and_in_order(ask, second, late)
    assert_sound(database)


def test_a_server_that_is_stopped_gives_the_lease_back(servers: Any, backend: str, ask: Any) -> None:
    if backend == "sqlite":
        pytest.skip("a lock on a file ends with its process")
    started = servers()
    until(lambda: ask("SELECT holder FROM leases"), "a leader")

    for each in started:
        each.process.terminate()
    for each in started:
        assert each.process.wait(PATIENCE_S) == 0

    assert ask("SELECT holder FROM leases") == []


@pytest.mark.parametrize("end_while_frozen", [True, False])
def test_a_database_that_is_frozen_hangs_no_worker(tmp_path: Path, end_while_frozen: bool) -> None:
    server = PostgreSQL(fsync="off")
    url = Databases("postgresql", tmp_path, server.url).migrated()
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("INSERT INTO courses (code, title, capacity, created_at) VALUES ('C', 'C', 0, now())"))
        connection.execute(text("UPDATE courses SET waitlist_capacity = NULL"))
        connection.execute(text("INSERT INTO students (name, email, created_at) VALUES ('A', 'a@example.edu', now())"))
        connection.execute(
            text(
                "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
                " SELECT students.id, courses.id, 'waitlisted', 1 FROM students, courses"
            )
        )
    try:
        with working(tmp_path, url) as (process, log):
            until(lambda: leaders(log), "a leader")
            backends = frozen(server)
            try:
                until(lambda: "background.unavailable" in [each["event"] for each in events(log)], "a line")
                if end_while_frozen:
                    process.terminate()
                    assert process.wait(PATIENCE_S) == 0
                    return
            finally:
                for each in backends:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.resume()
            with create_engine(url, poolclass=NullPool).begin() as connection:
                connection.execute(text("UPDATE courses SET capacity = 1"))
            until(lambda: "enrollment.promoted" in [each["event"] for each in events(log)], "the promotion")
    finally:
        server.end()


def frozen(server: PostgreSQL) -> list[psutil.Process]:
    """Stop every process of the server where it is, as when its machine hangs; the processes."""
    postmaster = psutil.Process(server._server.get_pid())  # noqa: SLF001
    processes = [postmaster, *postmaster.children(recursive=True)]
    for each in processes:
        each.suspend()
    return processes
