"""Connections to PostgreSQL: opened, lent and returned within the time of a request."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from . import session_settings, watchdog
from .deadlines import GRACE_S, deadline
from .watchdog import WatchedConnection
from .write_breaker import Use, WriteBreaker, begin_to_write, has_written, is_cut_off

Connect = Callable[[], WatchedConnection]

log = structlog.get_logger(__name__)


def serve(engine: Engine) -> WatchingLender:
    """Give an engine connections that are opened, used and returned within the time of a request."""
    connector, lender = Connector(), WatchingLender()

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, entry: ConnectionPoolEntry, where: list[Any], how: dict[str, Any]) -> WatchedConnection:
        open_one = functools.partial(WatchedConnection.connect, *where, **how)
        end = deadline()
        if end is None:
            connection = open_one()
        else:
            connection = connector.connect(open_one, end + GRACE_S - time.monotonic())
            lender.watch(connection, entry.info, end)
        try:
            session_settings.set_up(connection)
        except BaseException:
            if use := entry.info.pop("use", None):
                watchdog.end(use)
            connection.close()
            raise
        return connection

    @event.listens_for(engine, "handle_error")
    def keep_other_connections(context: Any) -> None:
        """Keep healthy connections: while writes wait for a standby, the server may accept no new ones."""
        if context.is_disconnect and context.connection and is_cut_off(context.connection.info):
            context.invalidate_pool_on_disconnect = False

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("autocommit"):
            begin_to_write(connection.info)
            connection.exec_driver_sql("BEGIN")

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        has_written(connection.info)

    event.listen(engine, "engine_disposed", lambda _: connector.close())
    return lender


class WatchingLender:
    """Lends connections that the watchdog cuts off when the request that uses them takes too long."""

    def __init__(self) -> None:
        self._breaker = WriteBreaker()

    def check(self) -> None:
        """Do nothing: any connection may be lent."""

    def lend(self, entry: ConnectionPoolEntry, end: float) -> None:
        """Watch a connection, unless it is watched since it was opened."""
        info = entry.info
        if "use" not in info:
            connection: Any = entry.dbapi_connection
            self.watch(connection, info, end)

    def watch(self, connection: WatchedConnection, info: dict[Any, Any], end: float) -> None:
        """Cut the connection off `GRACE_S` after `end`."""
        use = info["use"] = Use(connection=connection, ends=end + GRACE_S, breaker=self._breaker)
        watchdog.begin(use)

    def take_back(self, entry: ConnectionPoolEntry) -> None:
        """Stop watching. A connection that was cut off leaves the pool, even if its last result came just before."""
        use = entry.info.pop("use", None)
        if use is not None:
            watchdog.end(use)
            self._breaker.ended(use)
            if use.is_cut_off:
                entry.invalidate()
                log.warning("database.cut_off", writes=use.writes)


class Connector:
    """Opens connections in separate threads, so that a request waits for one no longer than its deadline allows.

    A name lookup cannot be interrupted, and libpq's time limit is per host, in whole seconds. An attempt that takes too
    long is left to the next request that needs a connection. So the service works in the end also with a slow first
    host, and there are never more attempts than requests that waited at the same time.
    """

    def __init__(self) -> None:
        self._left: list[Future[WatchedConnection]] = []

    def connect(self, connect: Connect, seconds: float) -> WatchedConnection:
        """Return a connection. Raises psycopg's errors, and its `ConnectionTimeout` after this time."""
        attempt = self._left_over() or _begin(connect)
        wait([attempt], max(seconds, 0))
        if attempt.done():
            return attempt.result()
        self._left.append(attempt)
        raise psycopg.errors.ConnectionTimeout("no connection within the time limit of the request")

    def close(self) -> None:
        """Close the connections of attempts that no request has taken over, now or when they are open."""
        while attempt := self._left_over():
            attempt.add_done_callback(_close)

    def _left_over(self) -> Future[WatchedConnection] | None:
        while self._left:
            try:
                attempt = self._left.pop()
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
