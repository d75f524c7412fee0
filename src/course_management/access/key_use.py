"""Store when keys were last used, on a best-effort basis.

No request waits for it or depends on it: a thread with its own database connection writes the collected times and ends.
On a read-only database, or while SQLite's writer is busy, a time is lost and the request succeeds.
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
"""The precision of `last_used_at`: a key that is used all the time costs one update in this period."""
REMEMBERED = 10_000
"""How many keys a process remembers as stored lately."""

log = structlog.get_logger(__name__)


class KeyUse:
    """The times that one process has to store."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Flask | None = None
        self._tried: TTLCache[str, bool] = TTLCache(REMEMBERED, EVERY.total_seconds())
        """Keys tried in this period, so that a time that cannot be written is not tried again for each request."""
        self._pending: dict[str, datetime] = {}
        self._fails = False
        self._lock = threading.Lock()
        self.idle = threading.Event()
        """Set while no thread is writing."""
        self.idle.set()

    def note(self, prefix: str, last_used_at: datetime | None) -> None:
        """Store in the background that a key is used now, unless that was done less than a minute ago."""
        now = utcnow()
        if last_used_at is not None and now - last_used_at <= EVERY:
            return
        with self._lock:
            if prefix in self._tried:
                return
            self._tried[prefix] = True
            self._pending[prefix] = now
            if self.idle.is_set():
                with suppress(RuntimeError):  # no thread can be started now; the next use tries again
                    threading.Thread(target=self._write, name="key-use", daemon=True).start()
                    self.idle.clear()

    def _write(self) -> None:
        """Write all times, then close the connection."""
        while notes := self._take_pending():
            try:
                self._app = self._app or database.app_with_one_connection(self._settings)
                with self._app.app_context():
                    try:
                        for prefix, at in notes.items():
                            with database.time_limit(self._settings.database_deadline_ms / 1000):
                                keys.write_use(prefix, at)
                    finally:
                        database.db.engine.dispose()
            except Exception as error:  # noqa: BLE001 - no request depends on it
                if not self._fails:  # one line per outage
                    log.warning("key_use.not_noted", kind=database.kind_of(error))
                self._fails = True
            else:
                self._fails = False

    def _take_pending(self) -> dict[str, datetime]:
        with self._lock:
            notes, self._pending = self._pending, {}
            if not notes:
                self.idle.set()
            return notes
