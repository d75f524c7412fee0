"""Verify the database in the background, and keep the last result of this process for the page of its health.

The job of the background work does it daily, and a registrar at any time. Other processes do not know the result; the
log has it as `verification.ended` or `verification.failed`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from .config import Settings
from .database import kind_of, own_connection
from .database.types import utcnow
from .verify import Finding, verify

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification that has ended. `error` is the kind of the error that ended it early."""

    ended_at: datetime
    seconds: float
    findings: Sequence[Finding]
    error: str | None = None

    @property
    def broken(self) -> Sequence[Finding]:
        """The findings of broken invariants."""
        return [each for each in self.findings if each.verdict == "BROKEN"]


class Verifier:
    """Verifies in a thread and with a connection of its own, once at a time."""

    def __init__(self) -> None:
        self.last: Verification | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether a verification is going on."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, settings: Settings) -> None:
        """Begin a verification, unless one is going on. It ends with the process."""
        with self._lock:
            if not self.is_running:
                self._thread = threading.Thread(target=self._run, args=(settings,), name="verification", daemon=True)
                self._thread.start()

    def wait(self, patience_s: float) -> bool:
        """Wait for the end of the verification that is going on. Returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(patience_s)
        return not self.is_running

    def _run(self, settings: Settings) -> None:
        started, findings, error = time.perf_counter(), list[Finding](), None
        try:
            with own_connection(settings):
                findings.extend(verify())
        except Exception as failure:  # noqa: BLE001 - the page reports it, and the next verification may succeed
            error = kind_of(failure)
        ended = Verification(utcnow(), time.perf_counter() - started, findings, error)
        self.last = ended
        broken = [each.name for each in ended.broken]
        if broken or error:
            log.error("verification.failed", seconds=round(ended.seconds, 1), broken=broken, error=error)
        else:
            log.info("verification.ended", seconds=round(ended.seconds, 1))


VERIFIER = Verifier()
"""The one of this process."""
STARTED_AT = utcnow()
"""When this process began."""
