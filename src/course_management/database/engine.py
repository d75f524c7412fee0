"""The engines of the service and of migrations, and the pool from which requests borrow connections.

What concerns one kind of database only is in `sqlite` and `postgresql`.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool, QueuePool

from ..config import Settings
from . import groups, postgresql, session_settings, sqlite
from .base import db


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of `create_engine`: a pool of one connection per thread, and time limits."""
    deadline_s = settings.database_deadline_ms / 1000
    options: dict[str, Any] = {
        "hide_parameters": True,  # the text of an error may be logged, and a student's name must not
        "poolclass": QueuePool,
        "pool_size": settings.threads,
        "max_overflow": 0,
        "pool_timeout": min(settings.database_pool_timeout_ms / 1000, deadline_s),
        "pool_reset_on_return": None,  # every transaction is ended where it begins, so nothing is left to roll back
        "execution_options": {"deadline_s": deadline_s},  # for work without a request, see `execute.retry`
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
    event.listen(engine, "engine_connect", _refuse_members)
    if engine.dialect.name == "sqlite":
        sqlite.install_listeners(engine, settings)
    else:
        postgresql.install_listeners(engine)


def _refuse_members(connection: Connection) -> None:
    """Refuse a connection to a member of a group, which would keep it while it waits for the others."""
    if groups.member():
        connection.close()
        raise RuntimeError("a request in a group uses a connection only within `groups.alone`")


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
    sqlite.set_up_connections(engine, busy_timeout_ms, foreign_keys=False)
    return engine
