"""The database: how the service connects to it, executes statements, and classifies its errors.

The hot path reaches the data in two ways: `autocommit` executes one statement as its own transaction (every read, and
enrolling); `transaction` holds several statements, which `run` executes. Everything else uses sessions of the ORM:
`reading` and `writing`.

The modules, in reading order:

    base, types                 what models are made of
    compile                     statements as the driver takes them
    execute                     `autocommit`, `transaction`, `run`, `retry`; prepared statements
    groups, hub                 several requests of one thread, in turns (decision 32)
    waves, pipeline             sending their statements together
    orm                         `reading`, `writing`
    snapshots                   `snapshot`: many statements that see one moment
    failures                    kinds of errors, and what an operator can do about each
    engine                      the engines of the service and of migrations; the pool
    sqlite                      connections to SQLite; detecting a replaced file
    postgresql                  connections to PostgreSQL; opening them within a time limit
    session_settings            what every PostgreSQL session must have set
    watchdog, write_breaker     cutting off calls to PostgreSQL, and pausing writes afterwards
    migrations, rebuilding      the state of the schema, migrating it, changing tables in migrations
    citus                       what differs where schools are distributed over several servers
    sequences                   generated ids that are already taken, and their repair
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from flask import Flask

from ..config import Settings
from . import citus, sequences
from .base import SCHEMA_REVISION, Base, db
from .compile import AnyRow, travels
from .engine import init_app, migration_engine
from .execute import autocommit, retried, retry, run, time_limit, transaction
from .failures import (
    Raced,
    Unavailable,
    broken_constraint,
    failure_text,
    is_missing,
    is_unavailable,
    kind_of,
    operator_advice,
)
from .hub import run as run_group
from .migrations import SchemaState, schema_state
from .orm import lock_text, reading, writing
from .snapshots import snapshot
from .sqlite import set_up_connections


def app_with_one_connection(settings: Settings) -> Flask:
    """Make an app that has only the database, with one connection in addition to those of the requests."""
    app = Flask(__name__, static_folder=None)
    init_app(app, replace(settings, threads=1))
    return app


@contextmanager
def own_connection(settings: Settings) -> Iterator[None]:
    """Give a block another pool, of one connection, which is closed at its end: long work takes none from requests."""
    with app_with_one_connection(settings).app_context():
        try:
            yield
        finally:
            db.engine.dispose()


__all__ = [
    "SCHEMA_REVISION",
    "AnyRow",
    "Base",
    "Raced",
    "SchemaState",
    "Unavailable",
    "app_with_one_connection",
    "autocommit",
    "broken_constraint",
    "citus",
    "db",
    "failure_text",
    "init_app",
    "is_missing",
    "is_unavailable",
    "kind_of",
    "lock_text",
    "migration_engine",
    "operator_advice",
    "own_connection",
    "reading",
    "retried",
    "retry",
    "run",
    "run_group",
    "schema_state",
    "sequences",
    "set_up_connections",
    "snapshot",
    "time_limit",
    "transaction",
    "travels",
    "writing",
]
