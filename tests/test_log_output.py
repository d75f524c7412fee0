"""Log output: no failure of it changes a response or blocks a request."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
import structlog
from flask import Flask

from course_management import log_output
from course_management.config import Settings
from course_management.log_output import ThreadedOutput
from course_management.logs import configure

from .support.databases import PATIENCE_S
from .support.real_server import COMMAND, Server, serving, until


class Broken(StringIO):
    """A stream that raises until it is repaired."""

    error: Exception | None = None

    def write(self, text: str) -> int:
        if self.error:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("I/O on closed file")])
def test_a_line_that_cannot_be_written_changes_no_response_and_is_counted(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    output = Broken()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", output)
        client = make_app(log_level="info", log_format="json").test_client()
    client.post("/students", json={"name": "Ada", "email": "ada@example.edu"})
    client.post("/courses", json={"code": "CS101", "title": "Programming"})

    output.error = error
    assert client.post("/students/1/enroll", json={"course_id": 1}).status_code == 201
    assert client.get("/healthz").status_code == 200
    output.error = None
    output.truncate(0)
    output.seek(0)
    assert client.get("/students/1/courses").get_json()["courses"][0]["status"] == "enrolled"

    lost, request = map(json.loads, output.getvalue().splitlines())
    assert (lost["event"], lost["count"], lost["level"]) == ("logs.lost", 3, "warning")
    assert (request["event"], request["status"]) == ("request", 200)


@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.parametrize("value", ["\ud800", 2**70, object()], ids=["a lone surrogate", "a huge number", "an object"])
def test_a_line_that_cannot_be_rendered_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, form: str, value: object
) -> None:
    class Nameless:
        def __repr__(self) -> str:
            raise RuntimeError

    output = StringIO()
    monkeypatch.setattr("sys.stdout", output)
    configure(Settings.load({"LOG_FORMAT": form}, environ={}))
    structlog.get_logger("test").warning("odd", value=value)
    structlog.get_logger("test").warning("odder", value=Nameless())
    first, second = output.getvalue().splitlines()
    assert "odd" in first
    assert "odder" in second


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the reading and the writing end of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def drained(output: ThreadedOutput) -> ThreadedOutput:
    """Return the output when its thread has written or lost all lines."""
    output.drain(PATIENCE_S)
    return output


def read_now(descriptor: int) -> bytes:
    """Return the bytes in a pipe."""
    os.set_blocking(descriptor, False)
    found = b""
    with contextlib.suppress(BlockingIOError):
        while more := os.read(descriptor, 65_536):
            found += more
    return found


def read_lines(descriptor: int) -> list[str]:
    """Return the lines in a pipe."""
    return read_now(descriptor).decode().splitlines()


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    output = ThreadedOutput(pipe[1])
    for number in range(5 * log_output.MAX_BATCH):
        output.write(f"{number}\n")
    drained(output)
    assert read_lines(pipe[0]) == [str(number) for number in range(5 * log_output.MAX_BATCH)]


def no_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def terminal_gone() -> int:
    leader, follower = os.openpty()
    os.close(leader)
    return follower


def reading_only() -> int:
    return os.open(os.devnull, os.O_RDONLY)


@pytest.mark.parametrize("broken", [no_reader, full_disk, terminal_gone, reading_only])
def test_lines_that_cannot_be_written_are_counted_and_reported_later(
    pipe: tuple[int, int], broken: Callable[[], int]
) -> None:
    descriptor = broken()
    output = ThreadedOutput(descriptor)
    for _ in range(3):
        output.write("lost\n")
        drained(output)
    os.dup2(pipe[1], descriptor)
    output.write("kept\n")
    drained(output)
    output.write("kept, too\n")
    drained(output)
    os.close(descriptor)
    assert read_lines(pipe[0]) == ["3 lines could not be written.", "kept", "kept, too"]


def read_to_the_end(descriptor: int, writer: Callable[[], object]) -> list[str]:
    """Return the lines in a pipe, read while the writer continues."""
    thread = threading.Thread(target=writer, daemon=True)
    thread.start()
    found = b""

    def is_over() -> bool:
        nonlocal found
        is_last = not thread.is_alive()
        found += read_now(descriptor)
        return is_last

    until(is_over, "the end of the lines")
    return found.decode().splitlines()


def test_a_reader_that_does_not_read_blocks_no_writer(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "MAX_LINES", 100)
    output, line = ThreadedOutput(pipe[1]), "x" * 5000
    for _ in range(1000):  # five megabytes, where a pipe holds 64 KiB
        output.write(f"{line}\n")
    output.drain(0.01)  # a process that ends waits for a bounded time, too

    def go_on() -> None:
        drained(output)
        output.write("the last\n")
        drained(output)

    *found, last = read_to_the_end(pipe[0], go_on)
    # One report, or two if the thread wrote its first batch after some lines had been lost.
    lost = [int(report.removesuffix(" lines could not be written.")) for report in found if report != line]
    assert sum(lost) == 1000 - (len(found) - len(lost))
    assert 100 < len(found) < 1000
    assert last == "the last"


def test_no_line_is_lost_on_a_non_blocking_descriptor(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    output, line = ThreadedOutput(pipe[1]), "x" * 5000
    for _ in range(100):
        output.write(f"{line}\n")
    assert read_to_the_end(pipe[0], lambda: drained(output)) == [line] * 100


@pytest.mark.parametrize("end", ["log_output.drain_all(); os._exit(0)", "sys.exit()", "in_worker()"])
def test_each_process_writes_its_own_lines_before_it_ends(end: str) -> None:
    script = f"""
import multiprocessing, os, sys
from course_management import log_output
output = log_output.output_to(sys.stdout)
log_output.GATHER_S = 0.5  # so that lines wait when a process ends

def in_worker():
    worker = multiprocessing.get_context("fork").Process(target=output.write, args=("worker\\n",))
    worker.start()
    worker.join()

output.write("parent\\n")
if not os.fork():
    output.write("child\\n")
    {end}
else:
    os.wait()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    expected = ["child", "parent", "worker"] if "worker" in end else ["child", "parent"]
    assert sorted(done.stdout.splitlines()) == expected


# --- the real server --------------------------------------------------------------------------------------


TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class ServerWithOutput(Server):
    """A server whose output is of the kind `how`."""

    how = ""
    reading = -1

    def start(self) -> None:
        command, stdout = list(COMMAND), subprocess.DEVNULL
        if self.how == "no reader":
            self.reading, stdout = os.pipe()
        elif self.how == "a full disk":
            stdout = full_disk()
        elif self.how == "closed":
            command = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *command]
        elif self.how == "a terminal":
            self.reading, stdout = os.openpty()
            command = [sys.executable, "-c", TAKE_TERMINAL, *command]
        self.process = subprocess.Popen(  # noqa: S603 - a fixed command
            command,
            env=self.environment,
            cwd=self.folder,
            stdin=stdout if self.how == "a terminal" else subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.DEVNULL if self.how == "closed" else subprocess.STDOUT,
            start_new_session=True,
        )
        if stdout != subprocess.DEVNULL:
            os.close(stdout)

    def stop_listening(self) -> None:
        if self.reading >= 0:
            os.close(self.reading)


@pytest.mark.parametrize("how", ["no reader", "a full disk", "closed", "a terminal"])
def test_a_server_whose_output_fails_serves_requests(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServerWithOutput, "how", how)
    with serving(tmp_path, ServerWithOutput, WORKERS="1") as server:
        server.stop_listening()  # type: ignore[attr-defined]
        assert server.ask("POST", "/students/1/enroll", {"course_id": 1})[0] == 201
        assert server.ask("POST", "/students/1/enroll", {"course_id": 99})[0] == 404
        assert [server.ask("GET", path)[0] for path in ("/healthz", "/readyz", "/students/2")] == [200, 200, 404]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "enrollment.db")) as database:
        assert database.execute("SELECT status FROM student_courses").fetchall() == [("enrolled",)]
