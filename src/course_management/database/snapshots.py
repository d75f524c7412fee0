"""Snapshots: many statements that see the database as it was at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from . import groups
from .base import db


@contextmanager
def snapshot() -> Iterator[Connection]:
    """Open a read-only snapshot of the database, which blocks no other session and has no time limit."""
    engine = db.engine.execution_options(autocommit=True)  # the transaction begins below
    with groups.alone(), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")
