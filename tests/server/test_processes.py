"""The processes of the server: signals, workers that hang, and workers without a parent."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from granian.server import mp

import course_management
from course_management.config import Settings
from course_management.server import worker
from course_management.server.supervisor import Supervisor

from ..support.clock import Clock
from ..support.processes import is_alive, stops_gracefully, two_workers
from ..support.real_server import Server, serving, until

HARMLESS = [
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGPIPE,
    signal.SIGCONT,
    signal.SIGTTOU,
    signal.SIGCHLD,
    signal.SIGURG,
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with two_workers(tmp_path) as server:
        yield server


# --- signals ----------------------------------------------------------------------------------------------


def test_harmless_signals_stop_no_process(server: Server) -> None:
    for number in HARMLESS:
        if number != signal.SIGHUP:
            server.group(number)
    for pid in server.workers():
        os.kill(pid, signal.SIGHUP)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGQUIT)
    assert server.ask("POST", "/students/1/enroll", {"course_id": 1})[0] == 201
    assert server.process.poll() is None
    assert len(server.workers()) == 2, "no worker was replaced"


def test_sighup_replaces_the_workers_without_an_interruption(server: Server) -> None:
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.log.read_text().count("Stopped old worker-") == 2, "new workers")
    assert not any(is_alive(pid) for pid in server.workers()[:2])
    assert server.ask("POST", "/students/1/enroll", {"course_id": 1})[0] == 201


def test_ctrl_c_finishes_the_requests_and_exits_with_0(server: Server) -> None:
    stops_gracefully(server, signal.SIGINT)
    assert "Unexpected exit" not in server.log.read_text()


# --- workers that hang ------------------------------------------------------------------------------------


class Worker:
    """A worker as the supervisor sees it."""

    def __init__(self) -> None:
        self.idx, self.killed, self.is_dead = 0, 0, False
        self.inner = SimpleNamespace(pid=1, kill=self.kill, is_alive=lambda: not self.is_dead)

    def kill(self) -> None:
        self.killed += 1


class SupervisedWorker:
    """A supervisor with a clock that the test sets, and one worker that is not a process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.worker, self.clock = Worker(), Clock()
        monkeypatch.setattr(mp.MPServer, "_spawn_worker", self._spawn)
        self.supervisor = Supervisor(30, self.clock, interface="wsgi")
        self.supervisor.wrks = [self.supervisor._spawn_worker(0, None, lambda *_: None)]  # noqa: SLF001

    def _spawn(self, _: int, __: Any, callback_loader: Any) -> Any:
        self.heartbeat, self.parent = callback_loader.args
        return self.worker

    def beat(self) -> None:
        os.write(self.heartbeat.fileno(), b".")

    def checks(self, seconds: int) -> int:
        """Check once per second for this time. Return how often the worker was killed so far."""
        for _ in range(seconds):
            self.clock.now += 1
            self.supervisor.check_workers()
        return self.worker.killed


@pytest.fixture
def supervised(monkeypatch: pytest.MonkeyPatch) -> SupervisedWorker:
    return SupervisedWorker(monkeypatch)


def test_a_worker_whose_end_another_thread_has_noticed_is_not_reported_as_one_that_refuses_to_stop(
    supervised: SupervisedWorker,
) -> None:
    """Two threads wait for the process, and the kernel tells one of them only."""
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    supervised.worker.inner = process  # type: ignore[assignment]
    running: Any = supervised.worker
    assert running.is_alive()

    os.waitpid(process.pid or 0, 0)

    assert process.is_alive(), "the control: multiprocessing does not know yet"
    assert not running.is_alive()


def test_a_worker_without_a_heartbeat_is_killed_after_the_timeout(supervised: SupervisedWorker) -> None:
    assert supervised.parent == os.getpid()
    supervised.beat()
    assert supervised.checks(31) == 0
    supervised.beat()
    assert supervised.checks(31) == 0
    assert supervised.checks(1) == 1


def test_a_parent_that_was_suspended_kills_no_worker(supervised: SupervisedWorker) -> None:
    assert supervised.checks(30) == 0
    supervised.clock.now += 3600  # suspended
    assert supervised.checks(31) == 0
    assert supervised.checks(1) == 1


def test_a_worker_whose_end_granian_has_missed_is_respawned(supervised: SupervisedWorker) -> None:
    supervised.worker.is_dead = True
    assert supervised.checks(32) == 0
    assert supervised.supervisor.interrupt_children == [0]
    assert supervised.supervisor.main_loop_interrupt.is_set()


def heartbeat(supervised: SupervisedWorker, stuck_s: float, parent: int) -> worker.Heartbeat:
    queue: Any = SimpleNamespace(stuck_s=lambda: stuck_s)
    return worker.Heartbeat(queue, supervised.heartbeat, parent, Settings.load(environ={}))


@pytest.mark.parametrize(("stuck_s", "killed"), [(0, 0), (59, 0), (61, 1)])
def test_a_worker_whose_threads_are_all_stuck_for_a_minute_sends_no_heartbeat(
    supervised: SupervisedWorker, stuck_s: float, killed: int
) -> None:
    beating = heartbeat(supervised, stuck_s, os.getppid())
    for _ in range(40):
        beating.beat()
        supervised.checks(1)
    assert supervised.worker.killed == killed


# --- workers without a parent -----------------------------------------------------------------------------


def test_workers_without_a_parent_finish_their_requests_and_free_the_port(server: Server) -> None:
    with server.connect() as connection:
        connection.send("POST /students/1/enroll", "Content-Length: 15", "Expect: 100-continue")
        assert connection.read()[0] == 100
        server.process.kill()
        server.process.wait()
        until(lambda: not server.responds(), "the closing of the port")
        connection.socket.sendall(b'{"course_id":1}')
        assert connection.read()[0] == 201
    until(lambda: not any(is_alive(pid) for pid in server.workers()), "the end of the workers")
    server.start()
    server.wait()
    with closing(sqlite3.connect(server.folder / "enrollment.db")) as database:
        assert database.execute("SELECT student_id, course_id FROM student_courses").fetchall() == [(1, 1)]


# --- the working directory --------------------------------------------------------------------------------


def test_files_named_like_modules_in_the_working_directory_are_not_imported(tmp_path: Path) -> None:
    package = Path(course_management.__file__).parent
    for name in (
        "__init__",
        "logs",
        "server",
        "app",
        "random",
        "email",
        "course_management",
        "flask",
        "orjson",
        "queue",
    ):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    shutil.copytree(package / "api", tmp_path / "api")
    with serving(tmp_path) as server:
        until(lambda: server.log.read_text().count("Started worker-") == 2, "both workers")
        assert server.ask("POST", "/students/1/enroll", {"course_id": 1})[0] == 201
