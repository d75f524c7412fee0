"""The engine of the app: how connections are opened, lent to requests and taken back."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any, cast

import structlog
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from ..config import Settings
from . import sessions, sqlite, watchdog
from .base import db
from .connecting import Connector
from .deadlines import GRACE_S, deadline
from .pool import Pool
from .write_breaker import Use, WriteBreaker, begin_to_write, has_written, is_cut_off

log = structlog.get_logger(__name__)


def engine_options(settings: Settings) -> dict[str, Any]:
    """What `create_engine` gets: a pool of one connection per thread, and the time limits of the database."""
    options: dict[str, Any] = {
        "hide_parameters": True,  # an error's text may reach a log, a student's name must not
        "poolclass": Pool,
        "pool_size": settings.threads,
        "max_overflow": 0,
        "pool_timeout": settings.database_pool_timeout_ms / 1000,
        "pool_reset_on_return": None,  # nothing is left to roll back: who begins a transaction ends it
    }
    if settings.database_url.get_backend_name() == "postgresql":
        options["connect_args"] = sessions.postgresql_arguments(settings)
        options["use_native_hstore"] = False  # we have none; asking for it would be a transaction at the first connect
    return options


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its engine."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        _serve_sqlite(engine, settings)
    else:
        _serve_postgresql(engine)


def migration_engine(url: URL, busy_timeout_ms: int) -> Engine:
    """An engine for migrations: sessions as the service's are, without its time limits."""
    if url.get_backend_name() == "postgresql":
        engine = create_engine(
            url, hide_parameters=True, poolclass=NullPool, connect_args=sessions.migration_arguments(url)
        )

        @event.listens_for(engine, "connect")
        def settle(connection: Any, _: Any) -> None:
            sessions.settle(connection)
            connection.commit()  # else a rollback would undo it

        return engine
    # Without a pool, the connection is closed at the end, also when a migration fails.
    engine = create_engine(url, hide_parameters=True, poolclass=NullPool)
    # Batch migrations rebuild tables; with foreign keys on, dropping the old one would empty its children.
    install_rules(engine, busy_timeout_ms, foreign_keys=False)
    return engine


def install_rules(engine: Engine, busy_timeout_ms: int, *, foreign_keys: bool = True) -> None:
    """Make the connections and transactions of an engine on SQLite fit for this work."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "do_connect")
    def never_create(_: Any, __: Any, where: list[Any], how: dict[str, Any]) -> None:
        # SQLite would create a missing file, readable as the umask says; only migrations create it, with mode 600.
        where[0], how["uri"] = Path(where[0]).as_uri() + "?mode=rw", True

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _: Any) -> None:
        sqlite.settle(connection, busy_timeout_ms, foreign_keys=foreign_keys)

    # A transaction that reads first and writes later would act on what others have changed meanwhile.
    _begin_with(engine, "BEGIN IMMEDIATE")


def _begin_with(engine: Engine, statement: str) -> None:
    """Begin transactions with `statement`; the driver itself begins none."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("autocommit"):
            connection.exec_driver_sql(statement)


def _serve_sqlite(engine: Engine, settings: Settings) -> None:
    """Connections to the one file that exists now, with a time limit for statements."""
    file = sqlite.File(str(settings.database_url.database))
    cast("Pool", engine.pool).lender = file

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("autocommit"):
            begin_to_write(connection.info)

    install_rules(engine, settings.database_lock_timeout_ms)

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, __: Any, ___: Any, how: dict[str, Any]) -> None:
        file.check_before_open()
        how["factory"] = sqlite.Connection

    @event.listens_for(engine, "connect")
    def is_open(connection: sqlite.Connection, entry: ConnectionPoolEntry) -> None:
        connection.limit_statements(settings.database_statement_timeout_ms / 1000)
        file.is_open(connection)
        entry.info["file"] = file


class _Watching:
    """Lends connections that are cut off when the request that uses them has taken too long."""

    def __init__(self) -> None:
        self._breaker = WriteBreaker()

    def check(self) -> None:
        """Any may be lent."""

    def lend(self, entry: ConnectionPoolEntry, end: float) -> None:
        """Watch a connection, unless it is watched since it was opened."""
        info = entry.info
        if "use" not in info:
            connection: Any = entry.dbapi_connection
            self.watch(connection, info, end)

    def watch(self, connection: watchdog.Connection, info: dict[Any, Any], end: float) -> None:
        """Cut the connection off half a second after `end`."""
        use = info["use"] = Use(connection=connection, ends=end + GRACE_S, breaker=self._breaker)
        watchdog.begin(use)

    def take_back(self, entry: ConnectionPoolEntry) -> None:
        """Watch it no more. One that was cut off leaves the pool, also when its last answer came just before."""
        use = entry.info.pop("use", None)
        if use is not None:
            watchdog.end(use)
            self._breaker.ended(use)
            if use.is_cut_off:
                entry.invalidate()
                log.warning("database.cut_off", writes=use.writes)


def _serve_postgresql(engine: Engine) -> None:
    """Connections that are opened, used and given back within the time of a request."""
    connector, lender = Connector(), _Watching()
    cast("Pool", engine.pool).lender = lender

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, entry: ConnectionPoolEntry, where: list[Any], how: dict[str, Any]) -> watchdog.Connection:
        open_one = functools.partial(watchdog.Connection.connect, *where, **how)
        end = deadline()
        if end is None:
            connection = open_one()
        else:
            connection = connector.connect(open_one, end + GRACE_S - time.monotonic())
            lender.watch(connection, entry.info, end)
        try:
            sessions.settle(connection)
        except BaseException:
            if use := entry.info.pop("use", None):
                watchdog.end(use)
            connection.close()
            raise
        return connection

    @event.listens_for(engine, "handle_error")
    def keep_the_others(context: Any) -> None:
        """Connections that are fine stay: a new one may not be possible while writes wait for a standby."""
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
