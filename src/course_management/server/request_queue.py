"""A bounded queue of requests, and the threads that run the application.

The bound is a time. A request that would probably wait longer than `max_wait_s` is refused when it arrives, and one
that has waited that long is refused then, whether or not a thread becomes free (decisions 14 and 19).
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .. import metrics
from ..threads import run_forever

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .application import Application, Transport
    from .load_shedding import LoadShedder

WEIGHT = 1 / 128
"""Weight of one request in the moving average of the time a request takes. It is small because the first of hundreds
of simultaneous requests compete with those that are received, and take longer than the others will."""
OUTLIER = 8
"""Maximum influence of one request, in multiples of the average: a stuck request says little about the others."""
SHORTEST_OUTLIER_S = 0.05
"""Requests shorter than this always count fully, so that the average can start at zero."""

OnDone: TypeAlias = Callable[[], object] | None
"""Called when a request has its response."""


class QueuedRequest(NamedTuple):
    """A request in the queue."""

    transport: Transport
    environ: WSGIEnvironment
    on_done: OnDone
    arrived: float
    """Time on the clock of the queue, in seconds."""


class RequestQueue:
    """The waiting requests, the threads that serve them, and a thread that refuses those that have waited too long."""

    def __init__(
        self,
        application: Application,
        threads: int,
        max_wait_s: float,
        load_shedder: LoadShedder,
        clock: Callable[[], float],
        group_size: Callable[[str], int] = lambda _: 1,
    ) -> None:
        """Start the threads. `group_size` returns the maximum size of a group that begins with a request method."""
        self._application, self._load_shedder = application, load_shedder
        self._group_size = group_size
        self._max_wait_s, self._clock = max_wait_s, clock
        # The thread that removes a request from the dictionary serves or refuses it. `dict.pop` is atomic, so no lock
        # is needed. The queue contains only the numbers of the requests, and wakes one thread for each.
        self._waiting: dict[int, QueuedRequest] = {}
        self._numbers: SimpleQueue[int] = SimpleQueue()
        self._next = itertools.count().__next__
        self._average_s = 0.0
        self._started: list[float | None] = [None] * threads
        """For each thread: the start of its present request or group, or None."""
        self._grouped = [0] * threads
        """For each thread: how many requests of its group have no response yet, besides one."""
        for slot in range(threads):
            run_forever(f"request-{slot}", functools.partial(self._serve_next, slot))
        run_forever("request-queue-clock", lambda: time.sleep(self.refuse_overdue()))

    def put(self, transport: Transport, environ: WSGIEnvironment, on_done: OnDone = None) -> None:
        """Serve or refuse a request later, and then call `on_done`."""
        request_number = self._next()
        self._waiting[request_number] = QueuedRequest(transport, environ, on_done, self._clock())
        self._numbers.put(request_number)

    def waiting(self) -> int:
        """Return the number of waiting requests."""
        return len(self._waiting)

    def busy(self) -> int:
        """Return the number of threads that handle a request."""
        return len(self._started) - self._started.count(None)

    def wait_s(self) -> float:
        """Estimate how many seconds a request that arrived now would wait; infinite while every thread is stuck."""
        now = self._clock()
        busy = [now - started for started in self._started if started is not None]
        free = len(self._started) - len(busy)
        # A thread that has been busy for longer than a request may wait does not count: it may be stuck.
        moving = [age for age in busy if age <= self._max_wait_s]
        if not free and not moving:
            return math.inf
        next_is_free_s = 0.0 if free else min(moving)
        before = len(self._waiting) + sum(self._grouped)
        return next_is_free_s + before * self._average_s / (free + len(moving))

    def stuck_s(self) -> float:
        """Return for how many seconds no thread has been free or has started a request."""
        now = self._clock()
        return min(0.0 if started is None else now - started for started in self._started)

    def is_stuck(self) -> bool:
        """Return whether no thread has taken a request for as long as a request may wait."""
        return self.stuck_s() > self._max_wait_s

    def refuse_overdue(self) -> float:
        """Refuse the requests that have waited too long. Return the seconds until this is needed again."""
        for request_number in list(self._waiting):  # in the order of arrival
            oldest = self._waiting.get(request_number)
            if oldest is None:
                continue  # a thread has taken it
            left_s = oldest.arrived + self._max_wait_s - self._clock()
            if left_s > 0:
                return left_s
            if self._waiting.pop(request_number, None):
                self._refuse(oldest)
        return self._max_wait_s

    def _refuse(self, request: QueuedRequest) -> None:
        # No pause between refusals is needed: these clients have waited, so they do not retry at a high rate.
        self._load_shedder.refuse(request.transport, request.environ)
        _call(request.on_done)

    def _serve_next(self, slot: int) -> None:
        requests = self._take()
        started = self._clock()
        self._started[slot], self._grouped[slot] = started, max(len(requests) - 1, 0)
        try:
            if len(requests) == 1:
                self._serve(requests[0], slot)
            elif requests:
                self._application.run_group([functools.partial(self._serve, request, slot) for request in requests])
        finally:
            self._started[slot], self._grouped[slot] = None, 0
            for _ in requests:
                self._update_average((self._clock() - started) / len(requests))

    def _take(self) -> list[QueuedRequest]:
        """Wait for a request, and take more of those that wait with it: a group, and a fair share for free threads."""
        numbers = [self._numbers.get()]
        if first := self._waiting.get(numbers[0]):
            share = math.ceil(len(self._waiting) / self._started.count(None))
            size = min(self._group_size(first.environ["REQUEST_METHOD"]), share)
            with suppress(Empty):
                while len(numbers) < size:
                    numbers.append(self._numbers.get_nowait())
        # One that has waited too long was refused, and is no longer there.
        return [request for number in numbers if (request := self._waiting.pop(number, None))]

    def _serve(self, request: QueuedRequest, slot: int) -> None:
        waited = self._clock() - request.arrived
        if waited > self._max_wait_s:
            self._refuse(request)
            return
        metrics.request_waited(waited)
        try:
            self._application.respond(request.transport, request.environ)
        finally:
            self._grouped[slot] = max(self._grouped[slot] - 1, 0)
            _call(request.on_done)

    def _update_average(self, seconds: float) -> None:
        # Threads may lose each other's updates: an approximate average is enough.
        counted = min(seconds, max(OUTLIER * self._average_s, SHORTEST_OUTLIER_S), self._max_wait_s)
        self._average_s += (counted - self._average_s) * WEIGHT


def _call(on_done: OnDone) -> None:
    if on_done:
        on_done()
