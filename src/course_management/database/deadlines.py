"""The deadline of a request's database work: waiting, connecting, statements and retries together.

The context of a request has its deadline. Commands have none; background work sets its own with `time_limit`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..context import RequestContext, current, use

GRACE_S = 0.5
"""No work begins after the deadline. Running work is cut off this much later, so that the server's own time limits come
first: after them the connection can still be used."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the database work of the block: longer work fails as it does in a request."""
    with use(replace(current.get() or RequestContext(), deadline=time.monotonic() + seconds)):
        yield


def deadline() -> float | None:
    """Return when the current work must be done, on the clock of `time.monotonic`; None without a limit."""
    context = current.get()
    return None if context is None else context.deadline
