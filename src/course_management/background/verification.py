"""The job that verifies the database daily."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ..config import Settings
from ..database.types import utcnow
from ..verification import STARTED_AT, VERIFIER

EVERY = timedelta(days=1)
FIRST_AFTER = timedelta(minutes=10)
"""Not at once: a service that is restarted many times would verify all the time."""


def verify_daily(settings: Settings) -> Iterator[object]:
    """Begin a verification if the last one of this process was a day ago.

    It is no step of the job: it takes longer than a step may, and no other job waits for it.
    """
    now, last = utcnow(), VERIFIER.last
    if now - STARTED_AT >= FIRST_AFTER and (last is None or now - last.ended_at >= EVERY):
        VERIFIER.begin(settings)
    yield from ()
