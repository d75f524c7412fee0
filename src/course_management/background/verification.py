"""The job that verifies the database daily."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..config import Settings
from ..database.types import utcnow
from ..maintenance.verification_runs import begin, last_began_at

EVERY = timedelta(days=1)
FIRST_AFTER = timedelta(minutes=10)
"""A process that has just started leaves the database to the requests that waited for it."""


def verify_daily(settings: Settings, started_at: datetime) -> Iterator[object]:
    """Begin a verification if the last one, of whichever process, began a day ago. This process began at `started_at`.

    It is no step of the job: it takes longer than a step may, and no other job waits for it.
    """
    now = utcnow()
    if now - started_at >= FIRST_AFTER:
        last = last_began_at()
        if last is None or now - last >= EVERY:
            begin(settings)
    yield from ()
