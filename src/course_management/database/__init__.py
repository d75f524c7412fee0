"""The one database: its base class, the rules of each connection, and the rule of trying again.

Three ways to the data, and no other: `autocommit` runs one statement that is its own transaction (every read,
and the enroll); `transaction` holds several together, which `run` sends; `db.session` is there for shells and tests.
"""

from dataclasses import replace

from flask import Flask

from ..config import Settings
from . import connections, deadlines, sequences
from .base import SCHEMA_REVISION, Base, db
from .connections import install_rules, migration_engine
from .deadlines import time_limit
from .failures import Raced, Unavailable, broken_constraint, is_missing, is_unavailable, kind_of, reason, why
from .retrying import retried, retry
from .running import AnyRow, autocommit, run, transaction
from .schema import SchemaState, schema_state


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its engine, and each of its requests a time for the database."""
    connections.init_app(app, settings)
    deadlines.init_app(app, settings.database_deadline_ms)


def app_with_one_connection(settings: Settings) -> Flask:
    """Return an app with nothing but the database, and a connection beside those of the requests."""
    app = Flask(__name__, static_folder=None)
    init_app(app, replace(settings, threads=1))
    return app


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
    "db",
    "init_app",
    "install_rules",
    "is_missing",
    "is_unavailable",
    "kind_of",
    "migration_engine",
    "reason",
    "retried",
    "retry",
    "run",
    "schema_state",
    "sequences",
    "time_limit",
    "transaction",
    "why",
]
