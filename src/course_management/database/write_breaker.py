"""Pause writes after one of them was cut off, so that reads go on while writes cannot be committed.

A COMMIT that waits for a lost standby ends only when the watchdog cuts it off. Without the pause, every thread would
soon wait in one. Afterwards one write at a time probes whether writes are possible again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol

from .failures import WritesStopped
from .watchdog import WatchedCall

PAUSE_S = 1.0


class Guard(Protocol):
    """What a connection calls before it changes data: `info["guard"]` of one that a request uses.

    On PostgreSQL it is the `ConnectionUse` of the request, on SQLite the connection itself.
    """

    has_written: bool
    """Whether the connection has changed data, and is committing."""
    is_cut_off: bool
    """Whether the watchdog has cut the connection off."""

    def begin_to_write(self) -> None:
        """Announce that the connection is about to change data.

        Raises `WritesStopped` (PostgreSQL) and `FileReplaced` (SQLite).
        """


class WriteBreaker:
    """What one process knows about writes to one database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped_until: float | None = None
        """None while writes are possible."""
        self._is_probing = False

    def admit(self, use: ConnectionUse) -> None:
        """Let a write begin, or raise `WritesStopped`."""
        if self._stopped_until is not None:
            with self._lock:
                if self._stopped_until is not None:
                    if self._is_probing or time.monotonic() < self._stopped_until:
                        raise WritesStopped
                    self._is_probing = use.is_probe = True
        use.writes = True

    def ended(self, use: ConnectionUse) -> None:
        """Learn from a use that has ended. One that had nothing to write in the end proves nothing."""
        if not use.writes or not (use.is_probe or use.is_cut_off or self._stopped_until is not None):
            return
        with self._lock:
            if use.is_probe:
                self._is_probing = False
            if use.is_cut_off:
                self._stopped_until = time.monotonic() + PAUSE_S
            elif use.has_written:
                self._stopped_until = None


@dataclass(slots=True, eq=False, kw_only=True)
class ConnectionUse(WatchedCall):
    """A request's use of a connection, with what the breaker needs to know."""

    breaker: WriteBreaker
    writes: bool = False
    has_written: bool = False
    is_probe: bool = False

    def begin_to_write(self) -> None:
        """Announce that the connection is about to change data. Raises `WritesStopped`."""
        self.breaker.admit(self)
