"""The app for a command: without its server, and with nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import create_app
from ..database import db


@contextmanager
def service(log_level: str) -> Iterator[None]:
    """The app's context; afterwards no connection is open: the workers of a server must not inherit one."""
    with create_app({"LOG_LEVEL": log_level}).app_context():
        try:
            yield
        finally:
            db.engine.dispose()
