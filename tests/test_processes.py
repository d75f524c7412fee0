"""The processes of the server: signals, workers that hang, and workers whose parent is gone."""

from __future__ import annotations

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
from course_management.config import ConfigurationError, Settings
from course_management.server import worker
from course_management.server.supervisor import Supervisor, check_granian

from .databases import PATIENCE_S
from .real_server import Server, until
from .test_request_queue import Clock
from .test_server import serving

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
    with serving(tmp_path, WORKER_TIMEOUT_S="3") as server:
        until(lambda: server.log.read_text().count("Started worker-") == 2, "both workers")
        yield server


def wait_for_the_end(server: Server) -> int:
    """Its exit code, once it has ended."""
    return server.process.wait(PATIENCE_S)


def is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie, which nobody waits for in some containers, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- signals ----------------------------------------------------------------------------------------------


def test_signals_of_terminals_and_tools_stop_nothing(server: Server) -> None:
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


def test_sighup_replaces_the_workers_and_service_goes_on(server: Server) -> None:
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.log.read_text().count("Stopped old worker-") == 2, "new workers")
    assert not any(is_alive(pid) for pid in server.workers()[:2])
    assert server.ask("POST", "/students/1/enroll", {"course_id": 1})[0] == 201


def stops_gracefully(server: Server, number: signal.Signals) -> None:
    """Fail unless the signal to all processes lets the request end, and then the server, without a failure."""
    with server.connect() as connection:
        connection.send("POST /students/1/enroll", "Content-Length: 15", "Expect: 100-continue")
        assert connection.read()[0] == 100
        server.group(number)
        until(lambda: not server.answers(), "the closing of the port")
        connection.socket.sendall(b'{"course_id":1}')
        assert connection.read()[0] == 201
    assert wait_for_the_end(server) == 0


def test_ctrl_c_finishes_the_requests_and_ends_without_a_failure(server: Server) -> None:
    stops_gracefully(server, signal.SIGINT)
    assert "Unexpected exit" not in server.log.read_text()


# --- a worker that hangs ----------------------------------------------------------------------------------


def test_a_worker_that_is_stopped_is_replaced(server: Server) -> None:
    stopped = server.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: len(server.workers()) == 3, "a new worker")
    until(lambda: server.log.read_text().count("Started worker-") == 3, "its start")
    assert not is_alive(stopped)
    assert all(server.answers() for _ in range(20))
    assert "worker.unresponsive" in server.log.read_text()


class Worker:
    """A worker as the supervisor sees it."""

    def __init__(self) -> None:
        self.idx, self.killed, self.is_dead = 0, 0, False
        self.inner = SimpleNamespace(pid=1, kill=self.kill, is_alive=lambda: not self.is_dead)

    def kill(self) -> None:
        self.killed += 1


class Workshop:
    """A supervisor with a clock and one worker of the test's."""

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
        """How often the worker has been killed after so many seconds, in each of which there is a check."""
        for _ in range(seconds):
            self.clock.now += 1
            self.supervisor.check_workers()
        return self.worker.killed


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return Workshop(monkeypatch)


def test_a_worker_without_a_sign_of_life_is_killed_after_the_timeout(workshop: Workshop) -> None:
    assert workshop.parent == os.getpid()
    workshop.beat()
    assert workshop.checks(31) == 0
    workshop.beat()
    assert workshop.checks(31) == 0
    assert workshop.checks(1) == 1


def test_a_parent_that_did_not_run_itself_kills_nobody(workshop: Workshop) -> None:
    assert workshop.checks(30) == 0
    workshop.clock.now += 3600  # suspended
    assert workshop.checks(31) == 0
    assert workshop.checks(1) == 1


def test_a_worker_whose_end_was_missed_is_respawned(workshop: Workshop) -> None:
    workshop.worker.is_dead = True
    assert workshop.checks(32) == 0
    assert workshop.supervisor.interrupt_children == [0]
    assert workshop.supervisor.main_loop_interrupt.is_set()


def life(workshop: Workshop, stuck_s: float, parent: int) -> worker.Life:
    queue: Any = SimpleNamespace(stuck_s=lambda: stuck_s)
    return worker.Life(queue, workshop.heartbeat, parent, Settings.load(environ={}))


@pytest.mark.parametrize(("stuck_s", "killed"), [(0, 0), (59, 0), (61, 1)])
def test_a_worker_whose_threads_are_all_stuck_for_a_minute_gives_no_sign_of_life(
    workshop: Workshop, stuck_s: float, killed: int
) -> None:
    alive = life(workshop, stuck_s, os.getppid())
    for _ in range(40):
        alive.beat()
        workshop.checks(1)
    assert workshop.worker.killed == killed


# --- a parent that is gone --------------------------------------------------------------------------------


def test_workers_whose_parent_is_gone_finish_their_requests_and_free_the_port(server: Server) -> None:
    with server.connect() as connection:
        connection.send("POST /students/1/enroll", "Content-Length: 15", "Expect: 100-continue")
        assert connection.read()[0] == 100
        server.process.kill()
        server.process.wait()
        until(lambda: not server.answers(), "the closing of the port")
        connection.socket.sendall(b'{"course_id":1}')
        assert connection.read()[0] == 201
    until(lambda: not any(is_alive(pid) for pid in server.workers()), "the end of the workers")
    server.start()
    server.wait()
    with closing(sqlite3.connect(server.folder / "enrollment.db")) as database:
        assert database.execute("SELECT student_id, course_id FROM student_courses").fetchall() == [(1, 1)]


# --- where it is started ----------------------------------------------------------------------------------


def test_it_serves_from_a_folder_whose_files_are_called_like_modules(tmp_path: Path) -> None:
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


# --- granian ----------------------------------------------------------------------------------------------


def test_a_granian_without_the_function_that_is_replaced_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_granian()
    for name, owner in (("_wsgi_call_wrap", mp), ("_spawn_worker", mp.MPServer), ("_spawn_wsgi_worker", mp.MPServer)):
        with monkeypatch.context() as patch:
            if name == "_spawn_worker":
                patch.delattr(mp.MPServer.__base__, name)
            patch.delattr(owner, name)
            with pytest.raises(ConfigurationError, match="lacks functions that course-management replaces"):
                check_granian()
