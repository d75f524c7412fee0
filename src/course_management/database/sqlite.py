"""Connections to SQLite: how they are set up, their time limit, and whether their file was replaced."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from ..config import Settings
from ..context import current
from .failures import FileReplaced, UnusableDatabase, kind_of

INSTRUCTIONS = 500_000
"""Instructions of SQLite's virtual machine between two time checks; most statements here need a hundredth of that."""
POLL_S = 0.001
"""Seconds between two attempts to begin a wave. SQLite itself waits longer after each attempt, up to 100 ms, and is
asleep when the file is free."""
CHECK_INTERVAL_S = 0.1
"""How often reads check the files, at most. A check is 3 stat calls: 4 % of an enrollment request."""
SERVED_FILE = "COURSE_MANAGEMENT_SQLITE_FILE"
"""Environment variable in which `serve` identifies the file to its workers, also to those that it starts later."""

Identity = tuple[int, int]
"""Device and inode of a file."""


def install_listeners(engine: Engine, settings: Settings) -> None:
    """Give an engine connections to the one file that exists now, with a time limit for statements."""
    file = DatabaseFile(str(settings.database_url.database))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("autocommit"):
            connection.info["guard"].begin_to_write()

    set_up_connections(engine, settings.database_lock_timeout_ms)

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, __: Any, ___: Any, how: dict[str, Any]) -> None:
        file.check_before_open()
        how["factory"] = TimedConnection

    one_waits = threading.Lock()

    @event.listens_for(engine, "connect")
    def opened(connection: TimedConnection, entry: ConnectionPoolEntry) -> None:
        connection.limit_statements(settings.database_statement_timeout_ms / 1000)
        connection.lock_timeout_ms, connection.one_waits = settings.database_lock_timeout_ms, one_waits
        file.opened(connection)
        entry.info["guard"] = connection

    @event.listens_for(engine, "checkout")
    def lend(*_: Any) -> None:
        try:
            file.check()
        except FileReplaced:
            engine.pool.dispose()  # when its last connection closes, SQLite moves the content of the -wal to the file
            raise


def set_up_connections(engine: Engine, busy_timeout_ms: int, *, foreign_keys: bool = True) -> None:
    """Set up the connections and transactions of an engine on SQLite; does nothing for another database."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "do_connect")
    def never_create(_: Any, __: Any, where: list[Any], how: dict[str, Any]) -> None:
        # SQLite would create a missing file as the umask allows; only migrations create it, with mode 600.
        where[0], how["uri"] = Path(where[0]).as_uri() + "?mode=rw", True

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: Any) -> None:
        _set_up(connection, busy_timeout_ms, foreign_keys=foreign_keys)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("autocommit"):
            # A deferred transaction that reads first would write on the basis of what others have changed since.
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set_up(connection: sqlite3.Connection, busy_timeout_ms: int, *, foreign_keys: bool) -> None:
    """Set up a connection: with its defaults, SQLite loses updates and ignores foreign keys, without an error."""
    connection.isolation_level = None  # the driver must not begin transactions itself
    for pragma in (
        f"busy_timeout={busy_timeout_ms}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        "recursive_triggers=ON",  # else INSERT OR REPLACE would not fire the delete triggers
        "schema_version",  # reads the file, which creates a missing -wal: see `DatabaseFile`
    ):
        connection.execute(f"PRAGMA {pragma}")
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        raise UnusableDatabase(
            f"The encoding of the SQLite file is {encoding}, but must be UTF-8. Create a new file with "
            "`course-management migrate`, and copy the rows."
        )


class TimedConnection(sqlite3.Connection):
    """A connection whose statements have a time limit in requests, as they have on PostgreSQL; its own `Guard`."""

    has_written = is_cut_off = False
    """Of no effect: only on PostgreSQL are connections cut off, and writes paused afterwards."""
    file: DatabaseFile | None = None
    one_waits: threading.Lock
    """Held by the thread of this process that waits for the lock of the file; the others wait for that thread."""
    lock_timeout_ms = 0
    statement_timeout_s = 0.0
    _started = 0.0

    def close(self) -> None:
        """Close the connection."""
        if self.file:
            self.file.closed()
            self.file = None
        super().close()

    def begin_to_write(self) -> None:
        """Raise `FileReplaced` when the database file is another one now."""
        if self.file:
            self.file.check_for_write()

    def begin_wave(self) -> None:
        """Begin a transaction that writes, as soon as the file is free. Raises SQLITE_BUSY when that is too late."""
        end = time.monotonic() + self.lock_timeout_ms / 1000
        if not self.one_waits.acquire(timeout=self.lock_timeout_ms / 1000):
            self.execute("BEGIN IMMEDIATE")  # after its own time; the error says what is wrong
            return
        try:
            self.execute("PRAGMA busy_timeout=0")
            while True:
                try:
                    self.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    if kind_of(error) != "SQLITE_BUSY" or time.monotonic() >= end:
                        raise
                    time.sleep(POLL_S)
                else:
                    return
        finally:
            self.one_waits.release()
            self.execute(f"PRAGMA busy_timeout={self.lock_timeout_ms}")

    def limit_statements(self, seconds: float) -> None:
        """End each statement after this time or at the deadline of the request; without a deadline, never."""
        self.statement_timeout_s = seconds
        self.set_progress_handler(self._is_over, INSTRUCTIONS)

    def cursor(self, *args: Any) -> Any:
        """Make a cursor. Each statement has its own, so a statement starts here."""
        self._started = time.monotonic()
        return super().cursor(*args)

    def _is_over(self) -> bool:
        context = current.get()
        if context is None or context.deadline is None:
            return False
        return time.monotonic() > min(context.deadline, self._started + self.statement_timeout_s)


class DatabaseFile:
    """The database file that the connections of one process have open, with its -wal and -shm files.

    When the path leads to another file, writes are lost, and reads may be outdated. The new file must not even be
    opened: SQLite would write the -wal of the old one into it. When only the -wal is missing, the next process that
    opens the file does not see its content, and both damage the database. So from then on every request is refused,
    until the service is restarted.
    """

    def __init__(self, path: str) -> None:
        self._paths = (path, f"{path}-wal", f"{path}-shm")
        self._lock = threading.Lock()
        self._open = 0
        self._served = _named_by_parent() or _identity(path)
        """The database file itself; None until it exists."""
        self._identities: tuple[Identity | None, ...] = ()
        """All three files, while a connection is open."""
        self._is_replaced = False
        self._check_at = 0.0

    def check_before_open(self) -> None:
        """Raise `FileReplaced` when the path leads to another file than at the start of this service."""
        self.check()
        identity = _identity(self._paths[0])
        with self._lock:
            if self._served is None:  # the file was created after this process started
                self._served = identity
            elif identity != self._served:
                self._is_replaced = True
        if self._is_replaced:
            raise FileReplaced

    def opened(self, connection: TimedConnection) -> None:
        """Count a connection that has the file open."""
        with self._lock:
            if not self._open:
                self._identities = self._found()
            self._open += 1
        connection.file = self

    def closed(self) -> None:
        """Count one connection less. The last one removes the -wal, and the next one creates another."""
        with self._lock:
            self._open -= 1

    def check(self) -> None:
        """Raise `FileReplaced` when the paths lead to other files than those open, or did so before.

        Checks every `CHECK_INTERVAL_S` at most; `check_for_write` checks each time.
        """
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + CHECK_INTERVAL_S
            if self._open and self._found() != self._identities:
                with self._lock:  # meanwhile the first connection may have been opened
                    self._is_replaced |= bool(self._open) and self._found() != self._identities
        if self._is_replaced:
            raise FileReplaced

    def check_for_write(self) -> None:
        """Raise `FileReplaced` when the database file itself is another one at this moment.

        A change written to a -wal that was just removed is not lost: the last connection moves it to the file.
        """
        if _identity(self._paths[0]) != self._served:
            self._check_at = 0.0
            self.check()

    def _found(self) -> tuple[Identity | None, ...]:
        return tuple(map(_identity, self._paths))


def name_for_workers(path: str) -> None:
    """Make all worker processes, also later ones, serve the file that is at this path now, and no other."""
    if identity := _identity(path):
        os.environ[SERVED_FILE] = f"{identity[0]}:{identity[1]}"


def _named_by_parent() -> Identity | None:
    device, _, inode = os.environ.get(SERVED_FILE, "").partition(":")
    return (int(device), int(inode)) if inode else None


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - for each request; a Path costs more than the call
    except OSError:
        return None
    return status.st_dev, status.st_ino
