"""Who is served when: a request is received whole, waits in a queue that has an end, and then has a thread to itself.

granian would run the app in the thread that it hands a request to. A slow body would hold that thread, and a queue
would grow inside granian where nobody can see it, or end it. So granian's threads only receive here: there may be many,
as they wait for bodies and do next to nothing. Few threads work, as many as the database and the interpreter lock can
bear, and who would wait too long for one is refused at once (decision 14).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import orjson
import structlog

from ..api.browsers import ON_DATA
from ..api.errors import as_problem
from ..api.requests import printable
from ..config import MIB, Settings
from ..errors import BadRequest, InternalError, MalformedJson, Overloaded, Problem
from ..logs import choose_request_id
from ..schemas.outgoing import problem_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

SMALL = 16 * 1024
"""Bytes of a body up to which it is small, as nearly all are. The others have a room of their own to fill."""
MAX_SMALL, MAX_LARGE = 448, 64
"""Bodies of one process that may be on their way at once; those whose length is not said are large."""
MAX_RECEIVING = MAX_SMALL + MAX_LARGE
MAX_HELD = 64 * MIB
"""Bytes of large bodies that one process may hold, on their way and waiting, if four of the largest are not more."""
MAX_PROBES = 4
"""Questions for readiness that may wait; each may take the time limit of the database."""
WEIGHT = 1 / 128
"""What one request counts for in the mean time that a request takes. Little: while hundreds arrive at once, the few at
work wait long for the interpreter, and say nothing about how fast the queue will go when all are there."""
PAUSE_S = 0.0005
"""Between two refusals."""
TELL_S = 1.0
"""How often the log tells of refusals at most."""

CONSTANT = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}

Then: TypeAlias = Callable[[], object] | None
"""What is done once a request is answered."""

log = structlog.get_logger(__name__)


class Transport(Protocol):
    """What granian gives with a request: it takes the answer, from any thread, at any time."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the answer."""


class Admission:
    """Takes every request of one worker process from granian."""

    def __init__(self, app: WSGIApplication, settings: Settings) -> None:
        self._app = app
        self._max_body_bytes = settings.max_body_bytes
        self._max_wait_s = settings.max_wait_ms / 1000
        self._small = Room(MAX_SMALL, MAX_SMALL * SMALL)
        self._large = Room(MAX_LARGE, max(MAX_HELD, 4 * (settings.max_body_bytes + 1)))
        self._refusals = Refusals()
        self._usual = Lane(app, settings.threads, self._max_wait_s, self._refusals)
        self._probes = Lane(app, 1, self._max_wait_s, self._refusals)

    def receive(self, transport: Transport, scope: WSGIEnvironment) -> None:
        """Put a request in the queue once its body is there, or refuse it. Called by granian, in one of its threads."""
        environ = CONSTANT | scope
        # A service that is busy must not be taken for dead: who asks for its health waits behind nobody else.
        if environ["PATH_INFO"] == "/healthz":
            answer(transport, self._app, environ)
        elif environ["PATH_INFO"] == "/readyz":
            lane = self._probes if self._probes.waiting() < MAX_PROBES else self._refusals
            lane.put(transport, environ)
        elif self._usual.wait_s() > self._max_wait_s:
            self._refusals.put(transport, environ)
        elif "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            self._receive_body(transport, environ)
        else:
            self._usual.put(transport, environ)

    def _receive_body(self, transport: Transport, environ: WSGIEnvironment) -> None:
        length = environ.get("CONTENT_LENGTH")
        # One byte more than is allowed tells the app that a chunked body is too large.
        size = self._max_body_bytes + 1 if length is None else int(length)
        room = self._small if size <= SMALL else self._large
        if size > self._max_body_bytes and length is not None:
            self._usual.put(transport, environ)  # refused by its length alone: nobody will read it
        elif not room.enter(size):
            self._refusals.put(transport, environ)
        else:
            body = b""
            try:
                body = environ["wsgi.input"].read(size)
            finally:
                room.is_received(size, len(body))
            environ["wsgi.input"] = BytesIO(body)
            if problem := _fault(body, size, is_chunked=length is None):
                room.leave(len(body))
                answer_problem(transport, environ, problem)
            else:
                self._usual.put(transport, environ, lambda: room.leave(len(body)))


def _fault(body: bytes, size: int, *, is_chunked: bool) -> type[Problem] | None:
    """What is wrong with a body whose client may have gone in the middle of it, or was ended for being slow.

    granian does not tell the end of a chunked body from its breaking off. So nothing comes of one that is not a whole
    JSON document. Every call here takes an object or nothing, and no beginning of an object is another one.
    """
    if len(body) == size:
        return None
    if not is_chunked:
        return BadRequest
    try:
        orjson.loads(body)
    except ValueError:
        return MalformedJson
    return None


class Lane:
    """A queue, and the threads that work on it."""

    def __init__(self, app: WSGIApplication, threads: int, max_wait_s: float, refusals: Refusals) -> None:
        self._app, self._threads, self._max_wait_s, self._refusals = app, threads, max_wait_s, refusals
        self._queue: SimpleQueue[tuple[Transport, WSGIEnvironment, Then, float]] = SimpleQueue()
        self._each_s = 0.0
        for _ in range(threads):
            threading.Thread(target=self._work, daemon=True).start()

    def put(self, transport: Transport, environ: WSGIEnvironment, then: Then = None) -> None:
        """Have a request answered, and something done after that."""
        self._queue.put((transport, environ, then, time.perf_counter()))

    def waiting(self) -> int:
        """How many wait."""
        return self._queue.qsize()

    def wait_s(self) -> float:
        """Seconds that a request would wait if it came now, as things went lately."""
        return self._queue.qsize() * self._each_s / self._threads

    def _work(self) -> None:
        while True:
            self._answer(*self._queue.get())

    def _answer(self, transport: Transport, environ: WSGIEnvironment, then: Then, came: float) -> None:
        begun = time.perf_counter()
        if begun - came > self._max_wait_s:  # things have become slower since
            self._refusals.put(transport, environ)
        else:
            answer(transport, self._app, environ)
            # Threads may lose each other's figure here: it is a mean of many.
            self._each_s += (time.perf_counter() - begun - self._each_s) * WEIGHT
        if then:
            then()


def answer(transport: Transport, app: WSGIApplication, environ: WSGIEnvironment) -> None:
    """Have the app answer; also when it fails, and when even the log does."""
    try:
        Answer(transport).of(app, environ)
    except Exception as error:  # noqa: BLE001 - of a fault around Flask, which answers all the others
        answer_problem(transport, environ, InternalError)
        with suppress(Exception):  # whoever answers goes on, also when the log cannot be written
            as_problem(error)  # logs it


class Answer:
    """What the app answers, on its way to the transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._status = 500
        self._headers: list[tuple[str, str]] = []
        self._parts: list[bytes] = []

    def of(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Send what the app answers. All of it at once: no answer here is long, and no slow reader holds a thread."""
        parts = app(environ, self._start)
        self._parts.extend(parts)
        self._transport.response_bytes(self._status, self._headers, b"".join(self._parts))
        if hasattr(parts, "close"):
            parts.close()

    def _start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
        self._status, self._headers = int(status[:3]), headers
        return self._parts.append


class Room:
    """The bodies that a process has in memory or waits for: so many at once, and so many bytes."""

    def __init__(self, bodies: int, size: int) -> None:
        self._bodies, self._size = bodies, size
        self._lock = threading.Lock()

    def enter(self, size: int) -> bool:
        """Whether there is room for one more body, of this size at most."""
        with self._lock:
            if not self._bodies or size > self._size:
                return False
            self._bodies -= 1
            self._size -= size
            return True

    def is_received(self, expected: int, size: int) -> None:
        """A body is there, and this is its size."""
        with self._lock:
            self._bodies += 1
            self._size += expected - size

    def leave(self, size: int) -> None:
        """A body of this size is needed no more."""
        with self._lock:
            self._size += size


class Refusals:
    """Refuses, in a thread of its own, no faster than a little of the work's time allows.

    Whoever asks again at once is as fast as the answer. Without a pause, thousands of them would have the processors
    busy with refusing, and next to nobody would be served.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Transport, WSGIEnvironment]] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def put(self, transport: Transport, environ: WSGIEnvironment) -> None:
        """Have a request refused."""
        self._queue.put((transport, environ))

    def _work(self) -> None:
        count, told = 0, 0.0
        while True:
            answer_problem(*self._queue.get(), Overloaded)
            count += 1
            now = time.monotonic()
            if now - told >= TELL_S:  # a line for each would be a load of its own
                with suppress(Exception):  # who refuses goes on, also when the log cannot be written
                    log.warning("overloaded", refused=count)
                count, told = 0, now
            time.sleep(PAUSE_S)


def answer_problem(transport: Transport, environ: WSGIEnvironment, problem: type[Problem]) -> None:
    """Answer as `api/errors.py` would, but past Flask: there must be next to no cost to it."""
    request_id = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
    path = printable(environ["PATH_INFO"].encode("latin1").decode(errors="replace"))
    body = orjson.dumps(problem_body(problem, problem.meaning, path, request_id))
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", request_id),
        *problem.always.items(),
        *ON_DATA,
    ]
    transport.response_bytes(problem.status, headers, body)
