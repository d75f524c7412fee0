"""The app for a command: without its server, and with nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError

from .. import create_app
from ..database import db, why


@contextmanager
def service(log_level: str) -> Iterator[None]:
    """The app's context, in which a database that cannot serve is a sentence and exit code 1.

    Afterwards no connection is open: the workers of a server must not inherit one.
    """
    with create_app({"LOG_LEVEL": log_level}).app_context():
        try:
            yield
        except SQLAlchemyError as error:
            if sentence := why(error):
                raise click.ClickException(sentence) from None
            raise
        finally:
            db.engine.dispose()
