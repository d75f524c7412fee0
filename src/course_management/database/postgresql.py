"""Connections to PostgreSQL: opened, checked out and returned within the time of a request."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from ..context import current
from . import session_settings, watchdog
from .watchdog import WatchedConnection
from .write_breaker import ConnectionUse, WriteBreaker

CONNECT_AGAIN_S = 0.1
"""Seconds that a request waits for a connection that it has begun to open, while the server does not respond."""
GRACE_S = 0.5
"""Seconds after the deadline at which running work is cut off, so that the server's own time limits come first: after
them the connection can still be used."""

Connect = Callable[[], WatchedConnection]

log = structlog.get_logger(__name__)


def install_listeners(engine: Engine) -> None:
    """Give an engine connections that are opened and used within the time of a request, else cut off."""
    connector, breaker = Connector(), WriteBreaker()

    def watch(connection: WatchedConnection, info: dict[Any, Any], end: float) -> None:
        """Cut the connection off `GRACE_S` after `end`."""
        guard = info["guard"] = ConnectionUse(connection=connection, ends=end + GRACE_S, breaker=breaker)
        watchdog.begin(guard)

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, entry: ConnectionPoolEntry, where: list[Any], how: dict[str, Any]) -> WatchedConnection:
        open_one = functools.partial(WatchedConnection.connect, *where, **how)
        context = current.get()
        if context is None or context.deadline is None:
            connection = open_one()
        else:
            connection = connector.connect(open_one, context.deadline + GRACE_S - time.monotonic())
            watch(connection, entry.info, context.deadline)
        try:
            session_settings.set_up(connection)
        except BaseException:
            if guard := entry.info.pop("guard", None):
                watchdog.end(guard)
            connection.close()
            raise
        return connection

    @event.listens_for(engine, "checkout")
    def lend(connection: Any, entry: ConnectionPoolEntry, _: Any) -> None:
        """Watch a connection, unless it is watched since it was opened."""
        context = current.get()
        if context and context.deadline is not None and "guard" not in entry.info:
            watch(connection, entry.info, context.deadline)

    @event.listens_for(engine, "checkin")
    def take_back(_: Any, entry: ConnectionPoolEntry) -> None:
        """Stop watching. A connection that was cut off leaves the pool, even if its last result came just before."""
        guard: ConnectionUse | None = entry.info.pop("guard", None)
        if guard is not None:
            watchdog.end(guard)
            breaker.ended(guard)
            if guard.is_cut_off:
                connector.suspect()
                entry.invalidate()
                log.warning("database.cut_off", writes=guard.writes)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("autocommit"):
            if guard := connection.info.get("guard"):
                guard.begin_to_write()
            connection.exec_driver_sql("BEGIN")

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        if guard := connection.info.get("guard"):
            guard.has_written = True

    event.listen(engine, "handle_error", _choose_connections)
    event.listen(engine, "engine_disposed", lambda _: connector.close())


def _choose_connections(context: Any) -> None:
    """Decide which connections leave the pool after an error.

    Healthy ones stay after a cut: while writes wait for a standby, the server may accept no new ones. Those of a server
    that has become a standby leave.
    """
    guard: ConnectionUse | None = context.connection and context.connection.info.get("guard")
    if context.is_disconnect and guard and guard.is_cut_off:
        context.invalidate_pool_on_disconnect = False
    elif isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


class Connector:
    """Opens connections in separate threads, so that a request waits for one no longer than its deadline allows.

    A name lookup cannot be interrupted, and libpq's time limit is per host, in whole seconds. An attempt that takes too
    long is left to the next request that needs a connection. So the service works in the end also with a slow first
    host, and there are never more attempts than requests that waited at the same time.

    After one attempt that took too long, or a call that was cut off, requests wait for a short time, or not at all for
    an attempt that was left, until there is a connection again. Otherwise each thread would wait for its whole time in
    request after request, and the requests in the queue for longer than that.
    """

    def __init__(self) -> None:
        self._left: deque[Future[WatchedConnection]] = deque()
        self._is_suspect = False

    def suspect(self) -> None:
        """Note that the server does not respond."""
        self._is_suspect = True

    def connect(self, connect: Connect, seconds: float) -> WatchedConnection:
        """Return a connection. Raises psycopg's errors, and its `ConnectionTimeout` after this time."""
        attempt = self._left_over()
        if self._is_suspect:
            seconds = 0 if attempt else min(seconds, CONNECT_AGAIN_S)
        attempt = attempt or _begin(connect)
        wait([attempt], max(seconds, 0))
        if attempt.done():
            connection = attempt.result()
            self._is_suspect = False
            return connection
        self._left.append(attempt)
        self.suspect()
        raise psycopg.errors.ConnectionTimeout("no connection within the time limit of the request")

    def close(self) -> None:
        """Close the connections of attempts that no request has taken over, now or when they are open."""
        while attempt := self._left_over():
            attempt.add_done_callback(_close)

    def _left_over(self) -> Future[WatchedConnection] | None:
        while self._left:
            try:
                attempt = self._left.popleft()
            except IndexError:  # another thread was faster
                break
            if not attempt.done() or attempt.exception() is None:
                return attempt
        return None


def _begin(connect: Connect) -> Future[WatchedConnection]:
    attempt: Future[WatchedConnection] = Future()

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


def _close(attempt: Future[WatchedConnection]) -> None:
    if attempt.exception() is None:
        attempt.result().close()
