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
PAUSE_S = 5
"""Seconds without calls after a failure. Then one request tries again, while the others go on without."""

log = structlog.get_logger(__name__)


class Unavailable(Exception):
    """The call was not made, failed, or did not return in time."""


class CircuitBreaker:
    """Makes the calls to one service in at most `threads` threads, which are started when they are needed.

    `name` is what the log calls the service: one line when an outage begins, and one when it ends.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._name, self._threads = name, threads
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._started = self._busy = 0
        self._open_until: float | None = None
        """While it is open, no calls are made until then, and one after that. None: it is closed."""
        self._lock = threading.Lock()

    def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Raises `Unavailable`, at the latest after `WAIT_S` seconds."""
        future: Future[T] = Future()
        self._begin(future, work)
        try:
            result = future.result(WAIT_S)
        except Exception as error:
            self._open(error)
            raise Unavailable from error
        if self._open_until is not None:
            self._close()
        return result

    def _begin(self, future: Future[T], work: Callable[[], T]) -> None:
        with self._lock:
            if self._open_until is not None:
                if time.monotonic() < self._open_until:
                    raise Unavailable
                self._open_until = time.monotonic() + PAUSE_S
            if self._busy == self._threads:  # no thread has come back from the calls before
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

    def _open(self, error: Exception) -> None:
        with self._lock:
            begins = self._open_until is None
            self._open_until = time.monotonic() + PAUSE_S
        if begins:
            log.warning(f"{self._name}.unavailable", error=type(error).__name__, retry_s=PAUSE_S)

    def _close(self) -> None:
        with self._lock:
            ends, self._open_until = self._open_until is not None, None
        if ends:
            log.info(f"{self._name}.available")
