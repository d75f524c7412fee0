"""Takes requests from granian: receives each one whole, and puts it into the request queue or refuses it.

granian would run the application in the thread that it hands a request to. A slow body would hold that thread, and a
queue would grow inside granian where nobody can see or bound it. So granian's threads only receive here: there may be
many, because they wait for bodies and do next to nothing. Few threads work, as many as the database and the
interpreter lock can use, and a request that would wait too long for one is refused at once (decision 14).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

from ..config import MIB, Settings
from ..errors import BadRequest
from .load_shedding import LoadShedder
from .request_queue import RequestQueue

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .responding import Application, Transport

SMALL = 16 * 1024
"""Bytes of a body up to which it counts as small, as nearly all are. Large bodies have a limit of their own."""
MAX_SMALL, MAX_LARGE = 448, 64
"""Bodies that one process receives at once; a body without a declared length counts as large."""
MAX_RECEIVING = MAX_SMALL + MAX_LARGE
MAX_HELD = 64 * MIB
"""Bytes of large bodies that one process may hold, received or in the queue; at least four of the largest fit."""
MAX_PROBES = 4
"""Readiness checks that may wait; each may take the time limit of the database."""

CONSTANT = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


class Receiver:
    """Takes every request of one worker process from granian."""

    def __init__(
        self, application: Application, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._application = application
        self._max_body_bytes = settings.max_body_bytes
        self._max_wait_s = settings.max_wait_ms / 1000
        self._small = BodyLimits(MAX_SMALL, MAX_SMALL * SMALL)
        self._large = BodyLimits(MAX_LARGE, max(MAX_HELD, 4 * (settings.max_body_bytes + 1)))
        self._load_shedder = LoadShedder(application)
        self.queue = RequestQueue(application, settings.threads, self._max_wait_s, self._load_shedder, clock)
        self._probes = RequestQueue(application, 1, self._max_wait_s, self._load_shedder, clock)

    def receive(self, transport: Transport, scope: WSGIEnvironment) -> None:
        """Put a request into the queue once its body has arrived, or refuse it. Called by granian, in its threads."""
        environ = CONSTANT | scope
        path = environ["PATH_INFO"]
        if path == self._application.liveness_path:  # a busy service must not be taken for a dead one
            self._application.respond(transport, environ)
        elif path == self._application.readiness_path:
            ready = not self.queue.is_stuck() and self._probes.waiting() < MAX_PROBES
            (self._probes if ready else self._load_shedder).put(transport, environ)
        elif self.queue.wait_s() > self._max_wait_s:
            self._load_shedder.put(transport, environ)
        elif "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            self._receive_body(transport, environ)
        else:
            self.queue.put(transport, environ)

    def _receive_body(self, transport: Transport, environ: WSGIEnvironment) -> None:
        length = environ.get("CONTENT_LENGTH")
        # One byte more than is allowed tells the application that a chunked body is too large.
        size = self._max_body_bytes + 1 if length is None else int(length)
        limits = self._small if size <= SMALL else self._large
        if size > self._max_body_bytes and length is not None:
            self.queue.put(transport, environ)  # refused by its length alone: it is never read
        elif not limits.reserve(size):
            self._load_shedder.put(transport, environ)
        else:
            body = b""
            try:
                body = environ["wsgi.input"].read(size)
            finally:
                limits.received(size, len(body))
            environ["wsgi.input"] = BytesIO(body)
            # granian does not tell the end of a chunked body from a lost connection, so the application has to, once it
            # knows the caller and what the body should be (`api/requests.py`).
            if length is not None and len(body) < size:
                limits.release(len(body))
                self._application.respond_with(BadRequest, transport, environ)
            else:
                self.queue.put(transport, environ, lambda: limits.release(len(body)))


class BodyLimits:
    """How many bodies a process receives at once, and how many bytes of them it has in memory."""

    def __init__(self, bodies: int, size: int) -> None:
        self._bodies, self._size = bodies, size
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        """Reserve memory for a body of at most this size; whether that is possible."""
        with self._lock:
            if not self._bodies or size > self._size:
                return False
            self._bodies -= 1
            self._size -= size
            return True

    def received(self, expected: int, size: int) -> None:
        """Give back what a body that has arrived does not need: its reservation was for `expected` bytes."""
        with self._lock:
            self._bodies += 1
            self._size += expected - size

    def release(self, size: int) -> None:
        """Give back the memory of a body."""
        with self._lock:
            self._size += size
