"""The application context of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from .. import create_app
from ..database import db, operator_advice, sequences
from ..maintenance import checks

TIME_LIMITS = {"DATABASE_STATEMENT_TIMEOUT_MS": 600_000, "DATABASE_LOCK_TIMEOUT_MS": 10_000}
"""A command may read a large table and wait for a lock: no client waits for it."""
REFUSED = 3
"""The exit code of a command that works, and reports that a rule refuses something."""


class Refusal(click.ClickException):
    """Something that the command refuses to do; the message says why."""

    exit_code = REFUSED


@contextmanager
def service(log_level: str = "error", *, ready: bool = True, database: URL | None = None) -> Iterator[None]:
    """Open an application context for a command; database errors become a sentence and exit code 1.

    The database is that of DATABASE_URL, or `database`. With `ready`, it must exist and have the schema of this
    version, which is checked first. All connections are closed at the end, because the workers of `serve` must not
    inherit any.
    """
    other = {"DATABASE_URL": database.render_as_string(hide_password=False)} if database else {}
    with create_app({"LOG_LEVEL": log_level, **TIME_LIMITS, **other}).app_context():
        try:
            if ready and (problem := checks.not_ready()):
                raise click.ClickException(problem)
            yield
        except SQLAlchemyError as error:
            table = sequences.without_ids(error)
            if sentence := sequences.sentence(table) if table else operator_advice(error):
                raise click.ClickException(sentence) from None
            raise
        finally:
            db.engine.dispose()


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 course`, `2 courses`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
