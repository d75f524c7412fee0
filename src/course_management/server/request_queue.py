"""A bounded queue of requests, and the threads that work on them.

The bound is a time: a request that would wait longer than `max_wait_s` is refused when it arrives, as far as the wait
can be estimated, and one that has waited that long is refused then, whether a thread is free or not (decision 14).
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .threads import run_forever

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .load_shedding import LoadShedder
    from .responding import Application, Transport

WEIGHT = 1 / 128
"""Weight of one request in the moving average of the time a request takes. Small: while hundreds arrive at once, the
first ones wait long for the interpreter, and do not show how fast the queue will move when all have arrived."""
OUTLIER = 8
"""A request counts as at most this many times the average: one that was stuck says nothing about the others."""
SHORTEST_OUTLIER_S = 0.05
"""Shorter requests than this always count in full, so that the average can start from zero."""

Then: TypeAlias = Callable[[], object] | None
"""What to do once a request has its response."""


class Waiting(NamedTuple):
    """A request in the queue."""

    transport: Transport
    environ: WSGIEnvironment
    then: Then
    arrived: float
    """A reading of the queue's clock."""


class RequestQueue:
    """Requests that wait, threads that work on them, and a thread that refuses those that have waited too long."""

    def __init__(
        self,
        application: Application,
        threads: int,
        max_wait_s: float,
        load_shedder: LoadShedder,
        clock: Callable[[], float],
    ) -> None:
        self._application, self._load_shedder = application, load_shedder
        self._max_wait_s, self._clock = max_wait_s, clock
        # Whoever removes a request from the dictionary deals with it: a working thread, or the one that refuses.
        # `dict.pop` is atomic, so no lock is needed. The queue has only the numbers, and wakes a thread for each.
        self._waiting: dict[int, Waiting] = {}
        self._numbers: SimpleQueue[int] = SimpleQueue()
        self._next = itertools.count().__next__
        self._average_s = 0.0
        self._begun: list[float | None] = [None] * threads
        """For each thread, when it began the request that it works on."""
        for slot in range(threads):
            run_forever(f"request-{slot}", functools.partial(self._take_one, slot))
        run_forever("request-queue-clock", lambda: time.sleep(self.refuse_overdue()))

    def put(self, transport: Transport, environ: WSGIEnvironment, then: Then = None) -> None:
        """Have a request answered or refused, and call `then` after that."""
        number = self._next()
        self._waiting[number] = Waiting(transport, environ, then, self._clock())
        self._numbers.put(number)

    def waiting(self) -> int:
        """Count the requests that wait."""
        return len(self._waiting)

    def wait_s(self) -> float:
        """Estimate the seconds that a request would wait if it arrived now; infinite while every thread is stuck."""
        now = self._clock()
        busy = [now - begun for begun in self._begun if begun is not None]
        free = len(self._begun) - len(busy)
        # A thread whose request is older than the longest wait is no help to one that arrives now.
        moving = [age for age in busy if age <= self._max_wait_s]
        if not free and not moving:
            return math.inf
        next_is_free_s = 0.0 if free else min(moving)
        return next_is_free_s + len(self._waiting) * self._average_s / (free + len(moving))

    def stuck_s(self) -> float:
        """Return for how many seconds every thread has been working on the same request; 0 while one is free."""
        now = self._clock()
        return min(0.0 if begun is None else now - begun for begun in self._begun)

    def is_stuck(self) -> bool:
        """Return whether nothing has been taken from the queue for as long as a request may wait."""
        return self.stuck_s() > self._max_wait_s

    def refuse_overdue(self) -> float:
        """Refuse the requests whose waiting time is over; the seconds until the next one can be overdue."""
        for number in list(self._waiting):  # in the order of arrival
            oldest = self._waiting.get(number)
            if oldest is None:
                continue  # a thread has taken it
            left_s = oldest.arrived + self._max_wait_s - self._clock()
            if left_s > 0:
                return left_s
            if self._waiting.pop(number, None):
                self._refuse(oldest)
        return self._max_wait_s

    def _refuse(self, request: Waiting) -> None:
        # Without the pause between refusals: these clients have waited, and so cannot retry fast.
        self._load_shedder.refuse(request.transport, request.environ)
        _call(request.then)

    def _take_one(self, slot: int) -> None:
        request = self._waiting.pop(self._numbers.get(), None)
        if request is None:
            return  # its time was over, and it has been refused
        begun = self._clock()
        if begun - request.arrived > self._max_wait_s:
            self._refuse(request)
            return
        self._begun[slot] = begun
        try:
            self._application.respond(request.transport, request.environ)
        finally:
            self._begun[slot] = None
            self._learn(self._clock() - begun)
            _call(request.then)

    def _learn(self, seconds: float) -> None:
        # Threads may lose each other's figure here: it is an average of many.
        counted = min(seconds, max(OUTLIER * self._average_s, SHORTEST_OUTLIER_S), self._max_wait_s)
        self._average_s += (counted - self._average_s) * WEIGHT


def _call(then: Then) -> None:
    if then:
        then()
