"""Opening connections to PostgreSQL within the time of a request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

import psycopg

from .watchdog import Connection

Open = Callable[[], Connection]


class Connector:
    """Opens connections in threads of their own, so that a request waits for one no longer than it may.

    Looking up a name cannot be ended, and libpq's time limit is for each host of several, in whole seconds. An attempt
    that takes too long is left to the next request that wants a connection. So with a slow first host, the service
    works in the end, and there are never more attempts than requests that waited at once.
    """

    def __init__(self) -> None:
        self._left: list[Future[Connection]] = []

    def connect(self, connect: Open, seconds: float) -> Connection:
        """A connection. Raises psycopg's errors, and its `ConnectionTimeout` after so many seconds."""
        attempt = self._taken_over() or _begin(connect)
        wait([attempt], max(seconds, 0))
        if attempt.done():
            return attempt.result()
        self._left.append(attempt)
        raise psycopg.errors.ConnectionTimeout("no connection within the time limit of the request")

    def close(self) -> None:
        """Close what nobody has taken over, now or when it comes."""
        while attempt := self._taken_over():
            attempt.add_done_callback(_close)

    def _taken_over(self) -> Future[Connection] | None:
        while self._left:
            try:
                attempt = self._left.pop()
            except IndexError:  # another thread was faster
                break
            if not attempt.done() or attempt.exception() is None:
                return attempt
        return None


def _begin(connect: Open) -> Future[Connection]:
    attempt: Future[Connection] = Future()

    def run() -> None:
        try:
            attempt.set_result(connect())
        except BaseException as error:  # noqa: BLE001 - it is raised where the connection is waited for
            attempt.set_exception(error)

    try:
        threading.Thread(target=run, name="database-connect", daemon=True).start()
    except RuntimeError:
        raise psycopg.OperationalError("no thread can be started to connect") from None
    return attempt


def _close(attempt: Future[Connection]) -> None:
    if attempt.exception() is None:
        attempt.result().close()
