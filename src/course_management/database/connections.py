"""Connections: how each is made fit for this work, and the engine of the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from ..config import Settings
from . import sessions
from .base import db


def engine_options(settings: Settings) -> dict[str, Any]:
    """What `create_engine` gets: a pool of one connection a thread, and the time limits of the database."""
    options: dict[str, Any] = {
        "hide_parameters": True,  # an error's text may reach a log, a student's name must not
        "pool_size": settings.threads,
        "max_overflow": 0,
        "pool_timeout": settings.database_pool_timeout_ms / 1000,
        "pool_reset_on_return": None,  # nothing is left to roll back: who begins a transaction ends it
    }
    if settings.database_url.get_backend_name() == "postgresql":
        options["connect_args"] = sessions.postgresql_arguments(settings)
        options["use_native_hstore"] = False  # we have none; asking for it would be a transaction at the first connect
    return options


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
    """Make SQLite fit for this work: as it comes, it loses updates and ignores foreign keys, silently."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "do_connect")
    def never_create(_: Any, __: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        # SQLite would create a missing file, readable as the umask says; only migrations create it, with mode 600.
        arguments[0], options["uri"] = Path(arguments[0]).as_uri() + "?mode=rw", True

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not start transactions behind our back
        for pragma in (
            f"busy_timeout={busy_timeout_ms}",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
            "recursive_triggers=ON",  # else INSERT OR REPLACE would slip by the triggers
        ):
            connection.execute(f"PRAGMA {pragma}")

    # A transaction that reads first and writes later would act on what others have changed meanwhile.
    _begin_with(engine, "BEGIN IMMEDIATE")


def _begin_with(engine: Engine, statement: str) -> None:
    """Begin transactions by a statement of ours; the driver leaves each statement by itself otherwise."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("autocommit"):
            connection.exec_driver_sql(statement)


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its engine."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    install_rules(engine, settings.database_lock_timeout_ms)
    if engine.dialect.name == "postgresql":
        _begin_with(engine, "BEGIN")

        @event.listens_for(engine, "connect")
        def settle(connection: Any, _: Any) -> None:
            sessions.settle(connection)
