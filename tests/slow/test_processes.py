"""The processes of the server: tests that take seconds."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_management import create_app
from course_management.server import supervisor

from ..support.keys import create_key
from ..support.processes import is_alive, stops_gracefully, two_workers, wait_for_the_end
from ..support.real_server import Server, serving, sqlite, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with two_workers(tmp_path) as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_to_all_processes_ends_the_server_with_0(server: Server, number: signal.Signals) -> None:
    """As systemd sends it."""
    stops_gracefully(server, number)


def test_a_stopped_worker_is_replaced(server: Server) -> None:
    stopped = server.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: len(server.workers()) == 3, "a new worker")
    until(lambda: server.log.read_text().count("Started worker-") == 3, "its start")
    assert not is_alive(stopped)
    assert all(server.responds() for _ in range(20))
    assert "worker.unresponsive" in server.log.read_text()


def test_after_a_pause_of_all_processes_no_worker_is_replaced(server: Server) -> None:
    server.group(signal.SIGSTOP)
    threading.Event().wait(supervisor.ABSENT_S + 11)  # longer than WORKER_TIMEOUT_S, too
    server.group(signal.SIGCONT)
    threading.Event().wait(2)
    assert server.responds()
    assert len(server.workers()) == 2


def test_a_worker_that_dies_twice_within_seconds_ends_the_server_and_frees_the_port(server: Server) -> None:
    os.kill(server.workers()[0], signal.SIGKILL)
    until(lambda: len(server.workers()) == 3, "a new worker")
    os.kill(server.workers()[2], signal.SIGKILL)
    assert wait_for_the_end(server) == 1
    assert not any(is_alive(pid) for pid in server.workers())
    server.start()
    server.wait()


def test_a_request_that_does_not_end_keeps_no_worker_without_a_parent(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="1", STOP_TIMEOUT_S="1") as server, server.connect() as connection:
        connection.send("POST /students/1/enroll", "Content-Length: 15", "Expect: 100-continue")
        assert connection.read()[0] == 100
        server.process.kill()
        server.process.wait()
        until(lambda: not any(is_alive(pid) for pid in server.workers()), "the end of the worker")


def test_a_server_can_be_restarted_while_the_workers_of_the_last_one_end(server: Server) -> None:
    server.process.kill()
    server.process.wait()
    server.start()
    server.wait()
    assert server.process.poll() is None


def test_the_command_in_the_banner_has_a_key_once_there_are_keys(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="1") as server:
        assert "Authorization" not in server.log.read_text()
        server.end()
        with create_app({"DATABASE_URL": sqlite(tmp_path).render_as_string()}).app_context():
            create_key("portal", ["admin"])
        server.start()
        server.wait()

        assert "-H 'Authorization: Bearer KEY'" in server.log.read_text()
