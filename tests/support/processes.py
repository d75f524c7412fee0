"""Wait for the processes of a server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .databases import PATIENCE_S
from .real_server import Server, serving, until


@contextmanager
def two_workers(folder: Path) -> Iterator[Server]:
    """Run a server, and wait until both of its workers have started."""
    with serving(folder, WORKER_TIMEOUT_S="10") as server:  # several times what a worker needs to start
        until(lambda: server.log.read_text().count("Started worker-") == 2, "both workers")
        yield server


def wait_for_the_end(server: Server) -> int:
    """Wait until the server has ended. Return its exit code."""
    return server.process.wait(PATIENCE_S)


def is_alive(pid: int) -> bool:
    """Return whether a process runs. Zombies, which remain in some containers, do not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stops_gracefully(server: Server, number: signal.Signals) -> None:
    """Assert that after the signal to all processes the request is finished, and the exit code is 0."""
    with server.connect() as connection:
        connection.send("POST /students/1/enroll", "Content-Length: 15", "Expect: 100-continue")
        assert connection.read()[0] == 100
        server.group(number)
        until(lambda: not server.responds(), "the closing of the port")
        connection.socket.sendall(b'{"course_id":1}')
        assert connection.read()[0] == 201
    assert wait_for_the_end(server) == 0
