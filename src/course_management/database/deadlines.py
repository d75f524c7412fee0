"""The deadline of a request's database work: waiting, connecting, statements and retries together.

Commands have no deadline. Background work sets its own with `time_limit`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from flask import Flask

GRACE_S = 0.5
"""No work begins after the deadline. Running work is cut off this much later, so that the server's own time limits come
first: after them the connection can still be used."""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def init_app(app: Flask, deadline_ms: int) -> None:
    """Give each request a deadline for its database work."""
    app.extensions["database_deadline"] = deadline_ms / 1000

    @app.before_request
    def start() -> None:
        _deadline.set(time.monotonic() + app.extensions["database_deadline"])

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        _deadline.set(None)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the database work of the block: longer work fails as it does in a request."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def deadline() -> float | None:
    """Return when the current work must be done, on the clock of `time.monotonic`; None without a limit."""
    return _deadline.get()
