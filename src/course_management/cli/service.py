"""The app for a command: without its server, and with nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError

from .. import checks, create_app
from ..database import db, sequences, why

TIME_LIMITS = {"DATABASE_STATEMENT_TIMEOUT_MS": 600_000, "DATABASE_LOCK_TIMEOUT_MS": 10_000}
"""A command may count a large table, and wait for a lock: nobody else waits for it."""


@contextmanager
def service(log_level: str = "error", *, ready: bool = True) -> Iterator[None]:
    """Open the app's context for a command; a database that cannot serve is a sentence and exit code 1.

    With `ready`, that is found out first: the database must exist and have the schema of this version. Afterwards no
    connection is open: the workers of a server must not inherit one.
    """
    with create_app({"LOG_LEVEL": log_level, **TIME_LIMITS}).app_context():
        try:
            if ready and (problem := checks.not_ready()):
                raise click.ClickException(problem)
            yield
        except SQLAlchemyError as error:
            table = sequences.without_ids(error)
            if sentence := sequences.sentence(table) if table else why(error):
                raise click.ClickException(sentence) from None
            raise
        finally:
            db.engine.dispose()
