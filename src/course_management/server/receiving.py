"""Take requests from granian: receive the body of each, then put it into the request queue or refuse it.

granian would run the application in the thread that receives the request. A slow body would occupy that thread, and a
queue of unknown and unlimited length would grow inside granian. So the threads of granian only receive: they may be
many, because they mostly wait. The application runs in few threads, as many as the database and the interpreter lock
can use, and a request that would wait too long for one of them is refused at once (decision 14).
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

    from .application import Application, Transport

SMALL = 16 * 1024
"""Maximum size of a small body in bytes; nearly all bodies are small. Large ones have a separate limit."""
MAX_SMALL, MAX_LARGE = 448, 64
"""Maximum number of bodies that one process receives at once. A body without a declared length counts as large."""
MAX_RECEIVING = MAX_SMALL + MAX_LARGE
MAX_LARGE_BYTES = 64 * MIB
"""Maximum bytes of large bodies in the memory of one process, received or queued; at least four of maximum size."""
READS = frozenset({"GET", "HEAD"})
"""Requests that begin no group on SQLite: they have neither a round trip nor a commit to share (decision 32)."""
MAX_PROBES = 4
"""Maximum number of waiting readiness checks; each may take as long as the time limit of the database."""

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
    """Receives the requests of one worker process."""

    def __init__(
        self, application: Application, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._application = application
        self._max_body_bytes = settings.max_body_bytes
        self._max_wait_s = settings.max_wait_ms / 1000
        self._small = BodyLimits(MAX_SMALL, MAX_SMALL * SMALL)
        self._large = BodyLimits(MAX_LARGE, max(MAX_LARGE_BYTES, 4 * (settings.max_body_bytes + 1)))
        self._load_shedder = LoadShedder(application)
        single = READS if settings.database_url.get_backend_name() == "sqlite" else frozenset[str]()
        self.queue = RequestQueue(
            *(application, settings.threads, self._max_wait_s, self._load_shedder, clock),
            group_size=lambda method: 1 if method in single else settings.group_size,
        )
        self._probes = RequestQueue(application, 1, self._max_wait_s, self._load_shedder, clock)

    def receive(self, transport: Transport, scope: WSGIEnvironment) -> None:
        """Put a request into the queue when its body has arrived, or refuse it. granian calls this in its threads."""
        environ = CONSTANT | scope
        path = environ["PATH_INFO"]
        if path == self._application.liveness_path:  # an overloaded service must not be restarted
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
        # One byte over the limit tells the application that a chunked body is too large.
        size = self._max_body_bytes + 1 if length is None else int(length)
        limits = self._small if size <= SMALL else self._large
        if size > self._max_body_bytes and length is not None:
            self.queue.put(transport, environ)  # the application refuses it by its length; it is not read
        elif not limits.reserve(size):
            self._load_shedder.put(transport, environ)
        else:
            body = b""
            try:
                body = environ["wsgi.input"].read(size)
            finally:
                limits.shrink(size, len(body))
            environ["wsgi.input"] = BytesIO(body)
            # granian does not distinguish the end of a chunked body from a lost connection. The application does, when
            # it knows the caller and the format of the body.
            if length is not None and len(body) < size:
                limits.release(len(body))
                self._application.respond_with(BadRequest, transport, environ)
            else:
                self.queue.put(transport, environ, lambda: limits.release(len(body)))


class BodyLimits:
    """Limits how many bodies a process receives at once, and how many bytes of bodies it has in memory."""

    def __init__(self, bodies: int, size: int) -> None:
        self._bodies, self._size = bodies, size
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        """Reserve memory for a body of at most this size. Return whether that is possible."""
        with self._lock:
            if not self._bodies or size > self._size:
                return False
            self._bodies -= 1
            self._size -= size
            return True

    def shrink(self, reserved: int, size: int) -> None:
        """Reduce the reservation of a body that has arrived to its size, and allow another body to be received."""
        with self._lock:
            self._bodies += 1
            self._size += reserved - size

    def release(self, size: int) -> None:
        """Release the memory of a body."""
        with self._lock:
            self._size += size
