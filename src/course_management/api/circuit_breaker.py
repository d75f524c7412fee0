"""A circuit breaker: calls to another service that never hold up a request, and stop while that service is down.

A socket's timeout is not enough: it applies to each operation, and nothing limits the lookup of a name. So each call
runs in a thread beside those of the requests, and a request goes on without the result when its time is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

WAIT_S = 0.1
"""Seconds that a request waits for one call at most."""
FAILURES = 10
"""Failures in succession that make an outage: on a busy machine, a few calls in a row may take longer than `WAIT_S`."""
PAUSE_S = 5
"""Seconds without calls in an outage. Then one request tries again, while the others go on without."""

log = structlog.get_logger(__name__)


class Unavailable(Exception):
    """The call was not made, failed, or did not return in time."""


class CircuitBreaker:
    """Makes the calls of at most `callers` threads to one service.

    Its threads are started when needed: one per caller, and for calls that never return at most `FAILURES` more.

    `name` is what the log calls the service: one line when an outage begins, and one when it ends.
    """

    def __init__(self, name: str, callers: int) -> None:
        self._name, self._threads = name, callers + FAILURES
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._started = self._busy = 0
        self._failures = 0
        self._open_until: float | None = None
        """While it is open, no calls are made until then, and one after that. None: it is closed."""
        self._lock = threading.Lock()

    def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Raises `Unavailable`, at the latest after `WAIT_S` seconds."""
        future: Future[T] = Future()
        try:
            self._begin(future, work)
            result = future.result(WAIT_S)
        except Unavailable:
            raise
        except Exception as error:
            with self._lock:
                opens = self._fail()
            if opens:
                log.warning(f"{self._name}.unavailable", error=type(error).__name__, retry_s=PAUSE_S)
            raise Unavailable from error
        if self._failures:
            self._succeed()
        return result

    def _begin(self, future: Future[T], work: Callable[[], T]) -> None:
        with self._lock:
            if self._open_until is not None:
                if time.monotonic() < self._open_until:
                    raise Unavailable
                self._open_until = time.monotonic() + PAUSE_S
            if self._busy == self._threads:  # none has come back from the calls before
                raise Unavailable
            if self._busy == self._started:
                self._start_thread()
            self._busy += 1
        self._calls.put((future, work))

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError:  # the process may not have more
            raise Unavailable from None
        self._started += 1

    def _work(self) -> None:
        while True:
            future, work = self._calls.get()
            result, failure = None, None
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - given to the request
                failure = error
            with self._lock:
                self._busy -= 1
            if failure:
                future.set_exception(failure)
            else:
                future.set_result(result)

    def _fail(self) -> bool:
        """Count a failure; return whether an outage begins with it."""
        self._failures += 1
        if self._failures < FAILURES and self._open_until is None:
            return False
        begins = self._open_until is None
        self._open_until = time.monotonic() + PAUSE_S
        return begins

    def _succeed(self) -> None:
        with self._lock:
            ends, self._failures, self._open_until = self._open_until is not None, 0, None
        if ends:
            log.info(f"{self._name}.available")
