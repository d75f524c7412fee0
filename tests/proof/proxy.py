"""A TCP proxy in front of PostgreSQL that can cut a connection at the very moment of a commit.

It reads the frontend's messages as the protocol frames them (a type, a length, a payload), so it knows which of them
commits, and how many statements: a COMMIT, or the Sync behind statements that change something outside of a
transaction. Several of them are a wave.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from io import BufferedReader
from typing import Literal

Moment = Literal["before", "during", "after"]
"""The commit never reaches the database; is sent, and its result is not awaited; is done, and its response is lost."""
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
CHANGE = re.compile(rb"\b(INSERT INTO|UPDATE \S+ SET|DELETE FROM)\b", re.IGNORECASE)


class Proxy:
    """Passes connections on to a PostgreSQL on a Unix socket; cuts those that `arm` asks for."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._armed: list[Moment] = []
        self._of_changes = 1
        self._lock = threading.Lock()
        self.cut_changes: list[int] = []
        """How many statements that change something each commit had that was cut; 1 for a COMMIT."""
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, *moments: Moment, of_changes: int = 1) -> None:
        """Cut the next commits, one at each of these moments; the first is one of so many changes at least."""
        with self._lock:
            self._armed[:], self._of_changes = moments, of_changes

    @property
    def armed(self) -> int:
        """Return the number of cuts that are still to come."""
        return len(self._armed)

    @property
    def cuts(self) -> int:
        """Return the number of cuts so far."""
        return len(self.cut_changes)

    def take(self, changes: int) -> Moment | None:
        """Return what happens to the next commit, which is one of so many changes."""
        with self._lock:
            if not self._armed or changes < self._of_changes:
                return None
            self._of_changes = 1
            self.cut_changes.append(changes)
            return self._armed.pop(0)

    def close(self) -> None:
        """Accept no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who accepts
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                Passage(self, client, server)


class Passage:
    """One connection through the proxy: a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._in_transaction = False
        self._holding_back = False
        self._unanswered = 1
        """Batches whose end the server has not confirmed; the first is the start of the session."""
        self._counting = threading.Lock()
        self._responded = threading.Event()
        for direction in (self._forth, self._back):
            threading.Thread(target=self._pass, args=(direction,), daemon=True).start()

    def _pass(self, direction: object) -> None:
        assert callable(direction)
        with contextlib.suppress(OSError, EOFError):
            direction()
        self._cut()

    def _cut(self) -> None:
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._responded.set()

    def _forth(self) -> None:
        """Pass on the client's messages one by one; at a commit, do what the proxy decides."""
        stream = self._client.makefile("rb")
        self._server.sendall(_untyped(stream))
        statements: dict[bytes, bytes] = {}
        changes = 0
        batch = b""
        while True:
            kind, payload, raw = _message(stream)
            batch += raw
            if kind == b"P":  # Parse: name, query
                name, query, _ = payload.split(b"\0", 2)
                statements[name] = query
            elif kind == b"B":  # Bind: portal, name of the statement
                changes += bool(CHANGE.search(statements.get(payload.split(b"\0", 2)[1], b"")))
            elif kind in {b"S", b"Q", b"X"}:  # Sync and Query end a batch
                commits = payload.startswith(b"COMMIT") if kind == b"Q" else changes and not self._in_transaction
                self._send(batch, self._proxy.take(max(changes, 1)) if commits else None)
                changes, batch = 0, b""

    def _send(self, batch: bytes, moment: Moment | None) -> None:
        if moment == "before":
            raise EOFError
        with self._counting:
            self._unanswered += 1
            self._responded.clear()
        if moment == "after":
            self._holding_back = True
        self._server.sendall(batch)
        if moment == "after":
            self._responded.wait()
        if moment:
            raise EOFError

    def _back(self) -> None:
        """Pass on the server's messages unless they are held back; note whether a transaction is open."""
        stream = self._server.makefile("rb")
        while True:
            kind, payload, raw = _message(stream)
            if not self._holding_back:
                self._client.sendall(raw)
            if kind == b"Z":  # ReadyForQuery
                self._in_transaction = payload != b"I"
                with self._counting:
                    self._unanswered -= 1
                    if not self._unanswered:  # the Sync behind the reads of a wave is answered before its commit
                        self._responded.set()


def _message(stream: BufferedReader) -> tuple[bytes, bytes, bytes]:
    """Read the next message: its type, its payload, and all of it."""
    head = _read(stream, 5)
    payload = _read(stream, int.from_bytes(head[1:], "big") - 4)
    return head[:1], payload, head + payload


def _untyped(stream: BufferedReader) -> bytes:
    """Read the first message of a connection, which has no type."""
    length = _read(stream, 4)
    return length + _read(stream, int.from_bytes(length, "big") - 4)


def _read(stream: BufferedReader, count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found
