"""End calls of the PostgreSQL driver that take too long: a thread shuts their sockets down.

libpq waits without a limit: a frozen server, a lost network path, or a COMMIT that waits for a lost standby would block
a request and its thread forever.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import generators, waiting
from psycopg.pq.abc import PGcancelConn, PGconn
from psycopg.rows import RowFactory, tuple_row

INTERVAL_S = 0.1
CANCEL_TIMEOUT_S = 2.0

_calls: set[WatchedCall] = set()
_cutting = threading.Lock()
"""Held while a socket is shut down or closed, so that no other connection is cut off instead."""
_thread = threading.Thread()


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that the watchdog can cut off.

    `socket` is a second descriptor of the connection's socket. libpq closes its own descriptor when the connection is
    lost, and its number may belong to another file a moment later.
    """

    def __init__(self, pgconn: PGconn, row_factory: RowFactory[Any] = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        try:
            self.socket = socket.socket(fileno=os.dup(pgconn.socket))
        except OSError as error:  # no descriptor is left
            pgconn.finish()
            raise psycopg.OperationalError(str(error)) from None
        _start()

    def close(self) -> None:
        """Close the connection, but not while it is being cut off."""
        with _cutting:
            self.socket.close()
            for call in list(_calls):
                if call.connection is self:
                    _calls.discard(call)
        super().close()


@dataclass(slots=True, eq=False, kw_only=True)
class WatchedCall:
    """One use of a connection, which must end at `ends` on the clock of `time.monotonic`."""

    connection: WatchedConnection
    ends: float
    is_cut_off: bool = False


def begin(call: WatchedCall) -> None:
    """Watch a call until `end`."""
    _calls.add(call)


def end(call: WatchedCall) -> None:
    """Stop watching a call. Afterwards it is cut off, or will not be."""
    try:
        _calls.remove(call)
    except KeyError:  # the watchdog is cutting it off, and may not have finished
        with _cutting:
            pass


def _start() -> None:
    global _thread  # noqa: PLW0603 - one per process, also after a fork, which does not copy threads
    with _cutting:
        if not _thread.is_alive():
            _thread = threading.Thread(target=_watch, name="database-watchdog", daemon=True)
            _thread.start()


def _watch() -> None:
    while True:
        time.sleep(INTERVAL_S)
        now = time.monotonic()
        for call in list(_calls):
            if call.ends <= now:
                with suppress(Exception):  # the thread must go on
                    _cut(call)


def _cut(call: WatchedCall) -> None:
    with _cutting:
        try:
            _calls.remove(call)
        except KeyError:
            return
        call.is_cut_off = True
        cancellation = None
        with suppress(psycopg.Error):  # libpq before 17 has no such call
            cancellation = call.connection.pgconn.cancel_conn()
        with suppress(OSError):
            call.connection.socket.shutdown(socket.SHUT_RDWR)
    if cancellation:
        threading.Thread(target=_cancel, args=(cancellation,), daemon=True).start()


def _cancel(cancellation: PGcancelConn) -> None:
    """Ask the server to cancel the abandoned statement.

    A COMMIT that waits for a standby does not notice that its client is gone: it would keep its locks and its
    connection slot. This must happen after the cut: a canceled COMMIT reports success though no standby has the data,
    and that result must not reach the client.
    """
    with suppress(psycopg.Error, OSError):
        cancellation.start()
        waiting.wait_conn(generators.cancel(cancellation), interval=INTERVAL_S, timeout=CANCEL_TIMEOUT_S)
    cancellation.finish()
