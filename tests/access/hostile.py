"""Servers that do everything a client fears; each listens on a port of its own until the test is over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behavior = Callable[[socket.socket, threading.Event], None]
"""What a server does with a connection, until the event says that the test is over."""


class HostileServer:
    """Where it listens, and how many connections came."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0


@contextmanager
def hostile_server(behave: Behavior) -> Iterator[HostileServer]:
    """Run a server that does this with every connection."""
    over = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection, over)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                found.connections += 1
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = HostileServer(listener.getsockname()[1])
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield found
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


def never_responds(_: socket.socket, over: threading.Event) -> None:
    """Accept and say nothing."""
    over.wait()


def hangs_up(connection: socket.socket, _: threading.Event) -> None:
    """Read a little and close."""
    connection.recv(1)


def drips(*parts: bytes, pause_s: float = 0.05) -> Behavior:
    """Send some bytes, then single bytes for as long as the client reads them: no operation ever times out."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        for part in parts:
            connection.sendall(part)
        while not over.wait(pause_s):
            connection.sendall(b"x")

    return behave


def says(response: bytes) -> Behavior:
    """Read a request and send these bytes."""

    def behave(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(response)

    return behave
