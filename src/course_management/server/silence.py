"""Ends connections that were sent nothing for long: whoever is slow gives the place back in the end.

granian limits the time of a header, and with it of an idle connection. It has no limit for a body that never ends, nor
for a client that does not read its answer: a thread, or memory, would be held until the client goes. But all these look
the same from the kernel: nothing was sent on the connection for some time. An honest request is answered in seconds.
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

import structlog

DESCRIPTORS = Path("/proc/self/fd")
LISTENING = 10
# `struct tcp_info` of Linux: the state, and the milliseconds since data was last sent, or since the connection began.
_INFO = struct.Struct("B43xI")

log = structlog.get_logger(__name__)


def watch(port: int, limit_s: float) -> None:
    """End silent connections to our port from now on, in a thread of its own. Only Linux tells how long they are."""
    if hasattr(socket, "TCP_INFO") and DESCRIPTORS.is_dir():
        threading.Thread(target=_watch, args=(port, limit_s), daemon=True).start()


def _watch(port: int, limit_s: float) -> None:
    while True:
        time.sleep(limit_s / 4)
        with contextlib.suppress(Exception):  # neither a full table of files nor a broken log shall end the watch
            if ended := end_silent(port, limit_s):
                log.info("connections.silent", ended=ended)


def end_silent(port: int, limit_s: float) -> int:
    """End the connections to our port that were sent nothing for so long; how many those were."""
    ended = 0
    for name in os.listdir(DESCRIPTORS):  # noqa: PTH208 - of thousands; a Path for each would cost more than the look
        with contextlib.suppress(OSError), _looked_at(int(name)) as found:  # it is no socket, or was closed meanwhile
            ended += _end_if_silent(found, port, limit_s * 1000)
    return ended


@contextlib.contextmanager
def _looked_at(descriptor: int) -> Iterator[socket.socket]:
    """The socket behind a descriptor, which stays its owner's.

    Nothing is closed here, not even a copy: whoever closes any descriptor of a file takes away the locks that the whole
    process has on it, and SQLite's file is one of those in the list.
    """
    found = socket.socket(fileno=descriptor)
    try:
        yield found
    finally:
        found.detach()


def _end_if_silent(connection: socket.socket, port: int, limit_ms: float) -> bool:
    if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.getsockname()[1] != port:
        return False
    state, silent_ms = _INFO.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
    if state == LISTENING or silent_ms < limit_ms:
        return False
    connection.shutdown(socket.SHUT_RDWR)
    return True
