"""A circuit breaker for calls to other services: it bounds how long a request waits, and stops calls in an outage.

The timeout of a socket is not enough: it applies to each operation, and nothing limits a name lookup. So each call
runs in a thread of its own, and the request continues without the result after `WAIT_S`. Writes to the database have
another one, `database/write_breaker.py`.
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
"""Maximum seconds that a request waits for one call."""
FAILURES = 10
"""Consecutive failures that open the circuit: on a busy machine, a few calls in a row may take longer than `WAIT_S`."""
PAUSE_S = 5
"""Seconds that the circuit stays open. Then one request tries again, while the others continue without a result."""

log = structlog.get_logger(__name__)


class CallFailed(Exception):
    """The call was not made, raised an exception, or did not return in time."""


class CircuitBreaker:
    """Make the calls of at most `callers` threads to one service.

    Threads are started when needed: one per caller, and at most `FAILURES` more for calls that never return.
    `name` identifies the service in the log, which has one line for the begin of an outage and one for its end.
    """

    def __init__(self, name: str, callers: int) -> None:
        self._name, self._max_threads = name, callers + FAILURES
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._started = self._busy = 0
        self._failures = 0
        self._open_until: float | None = None
        """While the circuit is open: when the next call may be made. None: the circuit is closed."""
        self._lock = threading.Lock()

    def call(self, function: Callable[[], T]) -> T:
        """Return the result of `function`. Raises `CallFailed`, after `WAIT_S` seconds at the latest."""
        future: Future[T] = Future()
        try:
            self._begin(future, function)
            result = future.result(WAIT_S)
        except CallFailed:
            raise
        except Exception as error:
            with self._lock:
                opens = self._count_failure()
            if opens:
                log.warning(f"{self._name}.unavailable", error=type(error).__name__, retry_s=PAUSE_S)
            raise CallFailed from error
        if self._failures:
            self._close()
        return result

    def _begin(self, future: Future[T], function: Callable[[], T]) -> None:
        with self._lock:
            if self._open_until is not None:
                if time.monotonic() < self._open_until:
                    raise CallFailed
                self._open_until = time.monotonic() + PAUSE_S
            if self._busy == self._max_threads:  # all of them wait for calls that have not returned
                raise CallFailed
            if self._busy == self._started:
                self._start_thread()
            self._busy += 1
        self._calls.put((future, function))

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._make_calls, name=self._name, daemon=True).start()
        except RuntimeError:  # the process has reached its limit of threads
            raise CallFailed from None
        self._started += 1

    def _make_calls(self) -> None:
        while True:
            future, function = self._calls.get()
            result, failure = None, None
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - raised again in the thread of the request
                failure = error
            with self._lock:
                self._busy -= 1
            if failure:
                future.set_exception(failure)
            else:
                future.set_result(result)

    def _count_failure(self) -> bool:
        """Count a failure. Return whether it opens the circuit."""
        self._failures += 1
        if self._failures < FAILURES and self._open_until is None:
            return False
        opens = self._open_until is None
        self._open_until = time.monotonic() + PAUSE_S
        return opens

    def _close(self) -> None:
        with self._lock:
            ends, self._failures, self._open_until = self._open_until is not None, 0, None
        if ends:
            log.info(f"{self._name}.available")
