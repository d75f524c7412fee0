"""The engines of the service and of migrations, and the pool from which requests borrow connections.

What concerns one kind of database only is in `sqlite` and `postgresql`.
"""

from __future__ import annotations

import time
from typing import Any, Protocol, cast

from flask import Flask
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

from ..config import Settings
from . import postgresql, session_settings, sqlite
from .base import db
from .deadlines import deadline
from .failures import FileReplaced


class Lender(Protocol):
    """What one kind of database does with connections that requests borrow."""

    def check(self) -> None:
        """Raise `FileReplaced` if no connection may be lent. Called before each loan."""

    def lend(self, entry: ConnectionPoolEntry, end: float) -> None:
        """Note that a request has an open connection until `end`, on the clock of `time.monotonic`."""

    def take_back(self, entry: ConnectionPoolEntry) -> None:
        """Note that the request has returned the connection."""


class Pool(QueuePool):
    """A pool in which a request waits until its deadline at most.

    It overrides methods instead of using events, which cost 3 microseconds more per request: 2 % of a list.
    """

    lender: Lender | None = None

    @property
    def _timeout(self) -> float:
        end = deadline()
        return self._limit if end is None else max(0.0, min(self._limit, end - time.monotonic()))

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._limit = seconds

    def _do_get(self) -> ConnectionPoolEntry:
        end = deadline()
        if end is None or self.lender is None:
            return super()._do_get()
        if time.monotonic() >= end:
            raise PoolTimeout("the deadline of the request is over")
        try:
            self.lender.check()
        except FileReplaced:
            self.dispose()  # when its last connection closes, SQLite moves the content of the -wal to the file
            raise
        entry = super()._do_get()
        if entry.dbapi_connection is not None:
            self.lender.lend(entry, end)
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self.lender is not None:
            self.lender.take_back(record)
        super()._do_return_conn(record)

    def recreate(self) -> Pool:
        """Make another pool like this one, as `Engine.dispose` does."""
        pool = cast("Pool", super().recreate())
        pool.lender = self.lender
        return pool


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of `create_engine`: a pool of one connection per thread, and time limits."""
    options: dict[str, Any] = {
        "hide_parameters": True,  # the text of an error may be logged, and a student's name must not
        "poolclass": Pool,
        "pool_size": settings.threads,
        "max_overflow": 0,
        "pool_timeout": settings.database_pool_timeout_ms / 1000,
        "pool_reset_on_return": None,  # every transaction is ended where it begins, so nothing is left to roll back
    }
    if settings.database_url.get_backend_name() == "postgresql":
        options["connect_args"] = session_settings.service_arguments(settings)
        options["use_native_hstore"] = False  # unused; looking for it would be a transaction at the first connect
    return options


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its engine."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    lender: Lender = sqlite.serve(engine, settings) if engine.dialect.name == "sqlite" else postgresql.serve(engine)
    cast("Pool", engine.pool).lender = lender


def migration_engine(url: URL, busy_timeout_ms: int) -> Engine:
    """Make an engine for migrations: the same sessions as the service, without its time limits."""
    if url.get_backend_name() == "postgresql":
        engine = create_engine(
            url, hide_parameters=True, poolclass=NullPool, connect_args=session_settings.migration_arguments(url)
        )

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _: Any) -> None:
            session_settings.set_up(connection)
            connection.commit()  # else a rollback would undo it

        return engine
    # Without a pool, the connection is closed at the end, also when a migration fails.
    engine = create_engine(url, hide_parameters=True, poolclass=NullPool)
    # Batch migrations rebuild tables; with foreign keys on, dropping the old one would empty its children.
    sqlite.install_rules(engine, busy_timeout_ms, foreign_keys=False)
    return engine
