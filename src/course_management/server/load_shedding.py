"""Refuses requests when there are too many: 503 `overloaded`, from a thread of its own, at a limited rate.

A client that retries at once is as fast as the refusal. Without a pause between refusals, thousands of such clients
would keep the processors busy with refusing, and little else would be served (decision 14).
"""

from __future__ import annotations

import time
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

import structlog

from ..errors import Overloaded
from .threads import run_forever

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .responding import Application, Transport

PAUSE_S = 0.0005
"""Between two refusals."""
LOG_INTERVAL_S = 1.0
"""Refusals are logged as one line for each interval: a line for each refusal would be a load of its own."""

log = structlog.get_logger(__name__)


class LoadShedder:
    """Refuses the requests it is given, in order."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._queue: SimpleQueue[tuple[Transport, WSGIEnvironment]] = SimpleQueue()
        self._count, self._logged = 0, 0.0
        run_forever("load-shedder", self._refuse_next)

    def put(self, transport: Transport, environ: WSGIEnvironment) -> None:
        """Have a request refused soon."""
        self._queue.put((transport, environ))

    def refuse(self, transport: Transport, environ: WSGIEnvironment) -> None:
        """Refuse a request now, in the calling thread. Never raises."""
        with suppress(BaseException):  # the client may be gone; the calling thread must live
            self._application.respond_with(Overloaded, transport, environ)
        # Two threads may count at once and lose one of their counts: the figure is for people.
        self._count += 1
        now = time.monotonic()
        if now - self._logged >= LOG_INTERVAL_S:
            count, self._count, self._logged = self._count, 0, now
            with suppress(Exception):
                log.warning("overloaded", refused=count)

    def _refuse_next(self) -> None:
        self.refuse(*self._queue.get())
        time.sleep(PAUSE_S)
