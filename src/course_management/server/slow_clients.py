"""End connections that make no progress, and limit the memory of the kernel for clients that do not read.

granian limits the time for a header, and thereby for an idle connection, but neither that for a body nor that for the
client to read the response: a thread or memory would be occupied until the client disconnects. The kernel counts the
bytes of each connection that were received and acknowledged. A connection stays open as long as these numbers rise or
responses are delivered, however old it is (decision 18).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import structlog

DESCRIPTORS = Path("/proc/self/fd")
LEAST_BYTES_PER_S = 512
"""Slowest transfer of a body or a response that counts as progress, in bytes per second."""
SEND_BUFFER = 64 * 1024
"""Bytes that the kernel buffers for a client; Linux doubles it. Without it, 1,000 clients that do not read occupy
1.1 GiB."""
START_S = 0.1
"""Seconds between two searches for the listening socket."""
LISTENING = 10
# `struct tcp_info` of Linux: the state; segments not acknowledged; bytes acknowledged, bytes received; bytes not sent.
_INFO = struct.Struct("=B23xI92xQQ8xI")

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)

log = structlog.get_logger(__name__)


def watch(port: int, client_timeout_s: float) -> None:
    """Start a thread that ends slow connections to a port of this process. Does nothing except on Linux."""
    if hasattr(socket, "TCP_INFO") and DESCRIPTORS.is_dir():
        threading.Thread(target=_watch, args=(SlowClients(port, client_timeout_s),), daemon=True).start()


def _watch(clients: SlowClients) -> None:
    while True:
        time.sleep(clients.client_timeout_s / 4 if clients.is_listening else START_S)
        with contextlib.suppress(
            Exception
        ):  # the thread must go on, also without free descriptors or with a broken log
            if ended := clients.end(time.monotonic()):
                log.info("connections.ended", count=ended)


class Progress(NamedTuple):
    """The state of a connection when it last made progress."""

    inode: int
    acknowledged: int
    received: int
    at: float
    """Time in seconds, on the clock of the caller."""


class SlowClients:
    """The progress of the connections to one port. Used by one thread."""

    def __init__(self, port: int, client_timeout_s: float) -> None:
        self.client_timeout_s = client_timeout_s
        self.is_listening = False
        """Whether the listening socket was found and given the small send buffer, which new connections inherit."""
        self._port = port
        self._progress: dict[int, Progress] = {}

    def end(self, now: float) -> int:
        """End the connections without progress until `now`, in seconds on any clock. Return their number.

        The limit is `client_timeout_s` while there is a response to read, and otherwise twice that: a client may use
        all of its time for the header, and then has the same time for the body.
        """
        before, self._progress = self._progress, {}
        ended = 0
        for name in os.listdir(DESCRIPTORS):  # noqa: PTH208 - thousands of `Path` objects would cost more than the check
            # Other descriptors are not sockets, or were closed meanwhile.
            with contextlib.suppress(OSError), _borrowed(int(name)) as connection:
                ended += self._end_if_slow(connection, before.get(int(name)), now)
        return ended

    def _end_if_slow(self, connection: socket.socket, last: Progress | None, now: float) -> bool:
        if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.getsockname()[1] != self._port:
            return False
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        state, in_flight, acknowledged, received, unsent = _INFO.unpack(info)
        if state == LISTENING:
            if not self.is_listening:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections inherit it
                self.is_listening = True
            return False
        inode = os.fstat(connection.fileno()).st_ino
        is_reading = bool(in_flight or unsent)
        limit_s = self.client_timeout_s if is_reading else 2 * self.client_timeout_s
        if (
            last is None
            or last.inode != inode  # another connection with the same number
            # While there is a response to read, what the client sends is no progress.
            or acknowledged - last.acknowledged + (0 if is_reading else received - last.received)
            >= LEAST_BYTES_PER_S * limit_s
            or (acknowledged > last.acknowledged and not is_reading)  # a response was delivered
        ):
            last = Progress(inode, acknowledged, received, now)
        if now - last.at >= limit_s:
            # Otherwise the kernel would keep the unread bytes for minutes after the close.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            connection.shutdown(socket.SHUT_RDWR)
            return True
        self._progress[connection.fileno()] = last
        return False


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """Return a descriptor as a socket for a moment, without owning it.

    Nothing is closed here, not even a duplicate: closing any descriptor of a file releases all locks that the process
    has on it, and the descriptors include those of the SQLite file.
    """
    connection = socket.socket(fileno=descriptor)
    try:
        yield connection
    finally:
        connection.detach()
