"""When keys were last used: noted beside the requests, as well as it can be.

Nothing waits for it and nothing depends on it: a thread with a database connection of its own writes what has come
together, and ends. On a read-only database, or while SQLite's writer is busy, the note is lost and the request is not.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from cachetools import TTLCache
from flask import Flask

from .. import database
from ..config import Settings
from ..database.types import utcnow
from . import keys

EVERY = timedelta(minutes=1)
"""How exact `last_used_at` is: a key in constant use costs one update in this time."""
REMEMBERED = 10_000
"""Keys whose notes a process remembers at once."""

log = structlog.get_logger(__name__)


class KeyUse:
    """The notes of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Flask | None = None
        self._tried: TTLCache[str, bool] = TTLCache(REMEMBERED, EVERY.total_seconds())
        """So that a note that cannot be written is not tried for each request either."""
        self._pending: dict[str, datetime] = {}
        self._fails = False
        self._lock = threading.Lock()
        self.idle = threading.Event()
        """Set while no thread is writing."""
        self.idle.set()

    def note(self, prefix: str, last_used_at: datetime | None) -> None:
        """Have it written down that a key is used now, unless that was done less than a minute ago."""
        now = utcnow()
        if last_used_at is not None and now - last_used_at <= EVERY:
            return
        with self._lock:
            if prefix in self._tried:
                return
            self._tried[prefix] = True
            self._pending[prefix] = now
            if self.idle.is_set():
                with suppress(RuntimeError):  # no thread can be started now: with the next note
                    threading.Thread(target=self._write, name="key-use", daemon=True).start()
                    self.idle.clear()

    def _write(self) -> None:
        """Write all notes; the connection is closed after the last one."""
        while notes := self._take():
            try:
                self._app = self._app or database.app_with_one_connection(self._settings)
                with self._app.app_context():
                    try:
                        for prefix, at in notes.items():
                            with database.time_limit(self._settings.database_deadline_ms / 1000):
                                keys.write_use(prefix, at)
                    finally:
                        database.db.engine.dispose()
            except Exception as error:  # noqa: BLE001 - nothing depends on a note
                if not self._fails:  # one line per outage
                    log.warning("key_use.not_noted", kind=database.kind_of(error))
                self._fails = True
            else:
                self._fails = False

    def _take(self) -> dict[str, datetime]:
        with self._lock:
            notes, self._pending = self._pending, {}
            if not notes:
                self.idle.set()
            return notes
