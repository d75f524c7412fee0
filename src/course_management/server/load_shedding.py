"""Load shedding: refuse requests with 503 `overloaded`, in one thread, at a limited rate.

Clients that retry immediately send as many requests as get a response. Without a pause between refusals, thousands of
such clients would occupy the processors with refusals, and few requests would be served (decision 14).
"""

from __future__ import annotations

import time
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

import structlog

from .. import metrics
from ..errors import Overloaded
from ..threads import run_forever

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .application import Application, Transport

PAUSE_S = 0.0005
"""Seconds between two refusals."""
LOG_INTERVAL_S = 1.0
"""Seconds between two log lines: one line per refusal would add load."""

log = structlog.get_logger(__name__)


class LoadShedder:
    """Refuses requests, in order of arrival."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._queue: SimpleQueue[tuple[Transport, WSGIEnvironment]] = SimpleQueue()
        self._count, self._logged = 0, 0.0
        run_forever("load-shedder", self._refuse_next)

    def put(self, transport: Transport, environ: WSGIEnvironment) -> None:
        """Refuse a request soon, in the thread of the load shedder."""
        self._queue.put((transport, environ))

    def refuse(self, transport: Transport, environ: WSGIEnvironment) -> None:
        """Refuse a request now, in the calling thread. Never raises."""
        with suppress(BaseException):  # the connection may have ended; the thread must go on
            self._application.respond_with(Overloaded, transport, environ)
        metrics.request_refused()
        # Threads may lose each other's increments: an approximate number is enough.
        self._count += 1
        now = time.monotonic()
        if now - self._logged >= LOG_INTERVAL_S:
            count, self._count, self._logged = self._count, 0, now
            with suppress(Exception):
                log.warning("overloaded", refused=count)

    def _refuse_next(self) -> None:
        self.refuse(*self._queue.get())
        time.sleep(PAUSE_S)
