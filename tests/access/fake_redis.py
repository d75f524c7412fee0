"""As much of Redis as the rate limits need, so that their tests run where no Redis is installed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


class FakeRedis:
    """Counts; `commands` are the names of all the commands that came, `read_only` makes it a replica."""

    def __init__(self, password: str | None = None) -> None:
        self.password = password
        self.read_only = False
        self.port = 0
        self.commands: list[str] = []
        self._counts: dict[str, tuple[int, float]] = {}
        self._scripts: set[str] = set()
        self._connections: list[socket.socket] = []

    def serve(self, connection: socket.socket) -> None:
        """Respond to the commands of one connection until it ends."""
        self._connections.append(connection)
        known = self.password is None
        with connection, connection.makefile("rb") as file, suppress(OSError, ValueError):
            while words := _command(file):
                name = words[0].upper()
                self.commands.append(name)
                if name == "AUTH":
                    known = words[-1] == self.password
                    response = "+OK" if known else "-WRONGPASS invalid username-password pair or user is disabled."
                else:
                    response = self._respond(name, words[1:]) if known else "-NOAUTH Authentication required."
                connection.sendall(response.encode() + b"\r\n")

    def _respond(self, name: str, words: list[str]) -> str:
        if name in {"SELECT", "PING"}:
            return "+OK" if name == "SELECT" else "+PONG"
        if name == "SCRIPT":
            self._scripts.add("loaded")
            return "$40\r\n" + "0" * 40
        if name == "EVALSHA":
            if not self._scripts:
                return "-NOSCRIPT No matching script. Please use EVAL."
            if self.read_only:
                return "-READONLY You can't write against a read only replica."
            key, expiry, amount = words[2:]
            count, ends = self._counts.get(key, (0, time.time() + float(expiry)))
            self._counts[key] = count + int(amount), ends
            return f":{self._counts[key][0]}"
        count, ends = self._counts[words[0]]
        return f":{int(ends - time.time())}" if name == "TTL" else f"${len(str(count))}\r\n{count}"

    def drop_connections(self) -> None:
        """End all connections, as a restart does."""
        for each in self._connections:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _command(file: BinaryIO) -> list[str]:
    """Return the next command, an array of strings; empty at the end."""
    head = file.readline()
    if not head:
        return []
    words = []
    for _ in range(int(head[1:])):
        length = int(file.readline()[1:])
        words.append(file.read(length).decode())
        file.readline()
    return words


@contextmanager
def fake_redis(password: str | None = None, port: int = 0) -> Iterator[FakeRedis]:
    """Run a fake Redis on a free port, or on this one."""
    redis = FakeRedis(password)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=redis.serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        redis.port = listener.getsockname()[1]
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield redis
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            redis.drop_connections()
