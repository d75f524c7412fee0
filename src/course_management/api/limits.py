"""How often a caller may ask: reads and writes apart, each caller for itself.

The counters are where RATELIMIT_STORAGE_URI says. In memory, each worker counts for itself, so that a caller may have
as many times the limit as there are workers; in Redis, all count together. This is flask-limiter's engine without its
hook, which costs more calls than all of Flask (decision 13).
"""

from __future__ import annotations

import math
import time

import structlog
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from ..access.callers import Caller, Service
from ..config import Settings
from ..errors import TooManyRequests

READS = {"GET", "HEAD", "OPTIONS"}

log = structlog.get_logger(__name__)


class Limits:
    """The limits of one app."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(storage_from_string(settings.ratelimit_storage_uri))
        self._people = {True: settings.ratelimit_reads, False: settings.ratelimit_writes}
        self._services = {True: settings.ratelimit_service_reads, False: settings.ratelimit_service_writes}

    def count(self, caller: Caller, method: str) -> None:
        """Count one request. Raises `TooManyRequests`."""
        reads = method in READS
        limit = (self._services if isinstance(caller, Service) else self._people)[reads]
        if limit is None:
            return
        what = ("reads" if reads else "writes", caller.actor)
        try:
            if self._limiter.hit(limit, *what):
                return
            ends = self._limiter.get_window_stats(limit, *what).reset_time
        except Exception as error:  # noqa: BLE001 - each storage has its own; none is a reason to refuse anybody
            log.warning("limits.unavailable", error=type(error).__name__)
            return
        raise TooManyRequests(
            f"You have asked more often than {limit}.",
            headers={"Retry-After": str(max(1, math.ceil(ends - time.time())))},
        )
