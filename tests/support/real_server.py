"""Start the server as a real process on a real port, and communicate with it byte by byte."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from course_management import create_app
from course_management.database import db

from . import grouping
from .databases import PATIENCE_S, migrate

COMMAND = grouping.command("serve")
MIB = 1024 * 1024


def until(found: Callable[[], Any], what: str) -> Any:
    """Call `found` until it returns something true, and return that. Fails when `what` does not happen."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if response := found():
            return response
        time.sleep(0.02)
    raise AssertionError(f"{what} never happened")


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and the processes that it has started."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


PATIENT = {
    "DATABASE_DEADLINE_MS": "60000",
    "DATABASE_LOCK_TIMEOUT_MS": "60000",
    "DATABASE_POOL_TIMEOUT_MS": "60000",
    "DATABASE_STATEMENT_TIMEOUT_MS": "60000",
    "MAX_WAIT_MS": "60000",
}
"""Settings with which no request fails because the machine is slow."""


def environment(database: URL, port: int, **settings: str) -> dict[str, str]:
    """Return the environment variables for a server on a database."""
    chosen = {
        "DATABASE_URL": database.render_as_string(hide_password=False),
        "PORT": str(port),
        "WORKERS": "2",
        "PYTHON_DOTENV_DISABLED": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **chosen, **grouping.server_settings(), **settings}


class Server:
    """A server process with two workers on an existing database."""

    def __init__(
        self,
        folder: Path,
        database: URL,
        command: Sequence[str] = COMMAND,
        output: int | None = None,
        /,
        **settings: str,
    ) -> None:
        self.folder, self.log, self.command = folder, folder / "server.log", command
        self.output = output
        self.port = free_port()
        self.environment = environment(database, self.port, **settings)
        self.start()

    def start(self) -> None:
        """Start the server, also again on the same port. It writes to `output` (a descriptor) or to its log file."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - a fixed command
                self.command,
                env=self.environment,
                cwd=self.folder,
                stdout=log if self.output is None else self.output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that the workers can be ended with it, whatever happened
            )

    def wait(self) -> None:
        """Wait until the server responds."""
        until(lambda: self.process.poll() is not None or self.responds(), "a response")
        assert self.process.poll() is None, self.log.read_text()

    def end(self) -> None:
        """End the server and its workers, if they still run."""
        end(self.process)

    def kill(self) -> None:
        """Kill the server and all its workers with SIGKILL."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def responds(self) -> bool:
        """Return whether the server responds on a new connection."""
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send one request on a new connection. Return the status and the JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    def connect(self) -> Connection:
        """Return a connection to write to byte by byte."""
        return Connection(self.port)

    def group(self, number: signal.Signals) -> None:
        """Send a signal to the server and all its workers, as a terminal does."""
        os.killpg(self.process.pid, number)

    def workers(self) -> list[int]:
        """Return the process ids of all workers so far, from the log."""
        return [int(pid) for pid in re.findall(r"Spawning worker-\d+ with PID: (\d+)", self.log.read_text())]


class Connection:
    """A connection to write to byte by byte, and to read responses from."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, line: str, *headers: str, body: bytes = b"") -> None:
        """Send the head of a request, and bytes of its body."""
        head = "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""])
        self.socket.sendall(head.encode("latin-1") + body)

    def read(self) -> tuple[int, bytes]:
        """Read a response. Return its status and body; the status is 0 if the server has closed the connection."""
        try:
            status = self.file.readline()
            if not status:
                return 0, b""
            headers = http.client.parse_headers(self.file)
            return int(status.split()[1]), self.file.read(int(headers["Content-Length"] or 0))
        except ConnectionError:
            return 0, b""


@contextmanager
def serving(folder: Path, kind: type[Server] = Server, **settings: str) -> Iterator[Server]:
    """Start a server on a new SQLite database with student 1 and course 1."""
    url = sqlite(folder)
    migrate(url)
    app = create_app({"DATABASE_URL": url.render_as_string(), "LOG_LEVEL": "error", **PATIENT})
    client = app.test_client()
    client.post("/students", json={"name": "Ada", "email": "ada@example.edu"})
    client.post("/courses", json={"code": "CS101", "title": "Programming"})
    with app.app_context():
        db.engine.dispose()
    server = kind(folder, url, **(PATIENT | settings))
    try:
        server.wait()
        yield server
    finally:
        server.end()


def sqlite(folder: Path) -> URL:
    """Return the address of the SQLite database in a folder."""
    return make_url(f"sqlite:///{folder / 'enrollment.db'}")
