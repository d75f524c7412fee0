"""Ends connections that make no progress, and bounds what the kernel keeps for a client that does not read.

granian limits the time of a header, and with it of an idle connection. It has no limit for a body that never ends, nor
for a client that does not read its response: a thread, or memory, would be held until the client goes. The kernel knows
how many bytes of each connection were received and acknowledged. A connection lives as long as these numbers rise, or
responses are delivered; how old it is does not matter.
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
"""A body or a response that moves more slowly than this makes no progress."""
SEND_BUFFER = 64 * 1024
"""Bytes that the kernel keeps for a client to read; Linux doubles it. Without it, 1,000 clients
that do not read hold 1.1 GiB."""
START_S = 0.1
"""Between two looks for the listening socket, until it is there."""
LISTENING = 10
# `struct tcp_info` of Linux: the state; segments not acknowledged; bytes acknowledged, bytes received; bytes not sent.
_INFO = struct.Struct("=B23xI92xQQ8xI")

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)

log = structlog.get_logger(__name__)


def watch(port: int, client_timeout_s: float) -> None:
    """Watch the connections to a port of this process, in a thread of its own. Only Linux has what that needs."""
    if hasattr(socket, "TCP_INFO") and DESCRIPTORS.is_dir():
        threading.Thread(target=_watch, args=(SlowClients(port, client_timeout_s),), daemon=True).start()


def _watch(clients: SlowClients) -> None:
    while True:
        time.sleep(clients.client_timeout_s / 4 if clients.is_listening else START_S)
        with contextlib.suppress(Exception):  # neither a full table of files nor a broken log may end the watch
            if ended := clients.end(time.monotonic()):
                log.info("connections.ended", count=ended)


class Progress(NamedTuple):
    """How far a connection had come when it last made progress."""

    inode: int
    acknowledged: int
    received: int
    at: float


class SlowClients:
    """The connections to one port, and what is known of their progress. Used by one thread."""

    def __init__(self, port: int, client_timeout_s: float) -> None:
        self.client_timeout_s = client_timeout_s
        self.is_listening = False
        """Whether the listening socket was found, and so new connections have the small send buffer."""
        self._port = port
        self._progress: dict[int, Progress] = {}

    def end(self, now: float) -> int:
        """End the connections that made no progress until `now`, in seconds of any clock; how many those were.

        With a response to read, `client_timeout_s` is enough; else it takes twice that, because a client may send a
        request at the end of the time that it has for a header, and then has the same time for its body.
        """
        before, self._progress = self._progress, {}
        ended = 0
        for name in os.listdir(DESCRIPTORS):  # noqa: PTH208 - a Path for each of thousands costs more than the look
            # Others are no sockets, or were closed meanwhile.
            with contextlib.suppress(OSError), _borrowed(int(name)) as found:
                ended += self._end_if_slow(found, before.get(int(name)), now)
        return ended

    def _end_if_slow(self, found: socket.socket, last: Progress | None, now: float) -> bool:
        if found.family not in {socket.AF_INET, socket.AF_INET6} or found.getsockname()[1] != self._port:
            return False
        info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        state, in_flight, acknowledged, received, unsent = _INFO.unpack(info)
        if state == LISTENING:
            if not self.is_listening:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections inherit it
                self.is_listening = True
            return False
        inode = os.fstat(found.fileno()).st_ino
        is_reading = bool(in_flight or unsent)
        limit_s = self.client_timeout_s if is_reading else 2 * self.client_timeout_s
        if (
            last is None
            or last.inode != inode  # another connection with the same number
            # A client that has a response to read must read it, whatever it sends meanwhile.
            or acknowledged - last.acknowledged + (0 if is_reading else received - last.received)
            >= LEAST_BYTES_PER_S * limit_s
            or (acknowledged > last.acknowledged and not is_reading)  # a response was delivered
        ):
            last = Progress(inode, acknowledged, received, now)
        if now - last.at >= limit_s:
            # Without this, the kernel would keep what the client has not read for minutes after the close.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            found.shutdown(socket.SHUT_RDWR)
            return True
        self._progress[found.fileno()] = last
        return False


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """The socket behind a descriptor, which stays its owner's.

    Nothing is closed here, not even a copy: closing any descriptor of a file takes away the locks that the whole
    process has on it, and SQLite's file is one of those in the list.
    """
    found = socket.socket(fileno=descriptor)
    try:
        yield found
    finally:
        found.detach()
