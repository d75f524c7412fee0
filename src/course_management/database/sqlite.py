"""Connections to SQLite: how each is made fit for this work, and whether its file is still the one of DATABASE_URL."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import Any

from sqlalchemy.pool import ConnectionPoolEntry

from .deadlines import deadline
from .failures import FileReplaced, UnusableDatabase

OPERATIONS = 500_000
"""SQLite's own instructions between two looks at the clock; most statements here need a hundredth of that."""

LOOK_S = 0.1
"""How often the files are looked at while they are read, at most. It is 3 stat calls: 4 % of an enroll."""

SERVED_FILE = "COURSE_MANAGEMENT_SQLITE_FILE"
"""The environment variable in which `serve` names the file for its workers, also those that it starts later."""

Identity = tuple[int, int]
"""Device and number of a file."""


class Connection(sqlite3.Connection):
    """A connection whose statements have a time limit in requests, as they have on PostgreSQL."""

    file: File | None = None
    statement_timeout_s = 0.0
    _started = 0.0

    def close(self) -> None:
        """Close the connection."""
        if self.file:
            self.file.is_closed()
            self.file = None
        super().close()

    def limit_statements(self, seconds: float) -> None:
        """End each statement after so many seconds, or at the deadline of the request; without a deadline, never."""
        self.statement_timeout_s = seconds
        self.set_progress_handler(self._is_over, OPERATIONS)

    def cursor(self, *args: Any) -> Any:
        """Make a cursor. A statement starts with it: each has one of its own."""
        self._started = time.monotonic()
        return super().cursor(*args)

    def _is_over(self) -> bool:
        limit = deadline()
        return limit is not None and time.monotonic() > min(limit, self._started + self.statement_timeout_s)


class File:
    """The database file that the connections of one process have open, with its -wal and -shm.

    When the path leads to another file, what is written is lost, and what is read may be. A new file must not even be
    opened: SQLite would write the -wal of the old one into it. When only the -wal is gone, the next one who opens the
    file would not see what is in it, and the two would destroy each other's work. So from then on nobody is served,
    until the service is started again.
    """

    def __init__(self, path: str) -> None:
        self._paths = (path, f"{path}-wal", f"{path}-shm")
        self._lock = threading.Lock()
        self._open = 0
        self._served = _named_by_parent() or _identity(path)
        """The database file itself; None until there is one."""
        self._identities: tuple[Identity | None, ...] = ()
        """All three files, while a connection is open."""
        self._is_replaced = False
        self._look_at = 0.0

    def check_before_open(self) -> None:
        """Raise `FileReplaced` when the path leads to another file than the one that this service began with."""
        self.check()
        found = _identity(self._paths[0])
        with self._lock:
            if self._served is None:  # it was made after this process started
                self._served = found
            elif found != self._served:
                self._is_replaced = True
        if self._is_replaced:
            raise FileReplaced

    def is_open(self, connection: Connection) -> None:
        """Count a connection that has the file open."""
        with self._lock:
            if not self._open:
                self._identities = self._found()
            self._open += 1
        connection.file = self

    def is_closed(self) -> None:
        """Count one less. With the last one, SQLite removes the -wal, and the next one makes another."""
        with self._lock:
            self._open -= 1

    def check(self) -> None:
        """Raise `FileReplaced` when the paths lead to other files than those open, or did so before.

        Looks ten times a second at most; `check_for_write` looks at once.
        """
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            if self._open and self._found() != self._identities:
                with self._lock:  # the first connection may have been opened meanwhile
                    self._is_replaced |= bool(self._open) and self._found() != self._identities
        if self._is_replaced:
            raise FileReplaced

    def check_for_write(self) -> None:
        """Raise `FileReplaced` when the file itself is another one, at this moment.

        A change that goes into a -wal that was just removed is not lost: it is moved to the file in the end.
        """
        if _identity(self._paths[0]) != self._served:
            self._look_at = 0.0
            self.check()

    def lend(self, _: ConnectionPoolEntry, __: float) -> None:
        """Nothing to do: SQLite ends its statements itself, see `Connection`."""

    def take_back(self, _: ConnectionPoolEntry) -> None:
        """Nothing to do."""

    def _found(self) -> tuple[Identity | None, ...]:
        return tuple(map(_identity, self._paths))


def name_for_workers(path: str) -> None:
    """Have all worker processes, also later ones, serve the file that is at this path now, and no other."""
    if found := _identity(path):
        os.environ[SERVED_FILE] = f"{found[0]}:{found[1]}"


def _named_by_parent() -> Identity | None:
    device, _, number = os.environ.get(SERVED_FILE, "").partition(":")
    return (int(device), int(number)) if number else None


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - for each request; a Path costs more than the look
    except OSError:
        return None
    return found.st_dev, found.st_ino


def settle(connection: sqlite3.Connection, busy_timeout_ms: int, *, foreign_keys: bool) -> None:
    """Set up a connection: with its defaults, SQLite loses updates and ignores foreign keys, without an error."""
    connection.isolation_level = None  # the driver must not start transactions behind our back
    for pragma in (
        f"busy_timeout={busy_timeout_ms}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        "recursive_triggers=ON",  # else INSERT OR REPLACE would slip by the triggers
        "schema_version",  # reads the file, which makes a -wal that is missing: see `File`
    ):
        connection.execute(f"PRAGMA {pragma}")
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        raise UnusableDatabase(
            f"The encoding of the SQLite file is {encoding}, but must be UTF-8. Make a new file with "
            "`course-management migrate`, and copy the rows."
        )
