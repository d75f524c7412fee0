"""Rate limits: how many reads and writes a caller may send per period.

RATELIMIT_STORAGE_URI says where the counters are. In memory, each worker process counts separately, so a caller gets
the limit once per worker; Redis counts for all of them. While Redis is unavailable, no request is refused.
`limits` is the library behind flask-limiter, whose hook makes more calls per request than all of Flask (decision 13).
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from ..access.callers import Caller, ServiceCaller
from ..circuit_breaker import CallFailed, CircuitBreaker
from ..config import Settings
from ..errors import TooManyRequests

if TYPE_CHECKING:
    from limits.storage import Storage

READS = {"GET", "HEAD", "OPTIONS"}
SOCKET_S = 0.5
"""Time limit for one operation on a connection to Redis, in seconds, so that no thread waits for a lost connection.
Requests wait less (`circuit_breaker.WAIT_S`); a first TLS handshake that takes longer is complete for the next one."""


class Limits:
    """The rate limits of one application."""

    def __init__(self, settings: Settings) -> None:
        uri = settings.ratelimit_storage_uri
        in_memory = uri.startswith("memory:")
        self._limiter = FixedWindowRateLimiter(MemoryStorage() if in_memory else redis_storage(uri))
        self._breaker = None if in_memory else CircuitBreaker("ratelimit_storage", settings.threads)
        self._people = {True: settings.ratelimit_reads, False: settings.ratelimit_writes}
        self._services = {True: settings.ratelimit_service_reads, False: settings.ratelimit_service_writes}

    def start(self) -> None:
        """Connect to Redis before the first request needs it."""
        if self._breaker:
            with suppress(CallFailed):
                self._breaker.call(self._limiter.storage.check)

    def count(self, caller: Caller, method: str) -> None:
        """Count one request. Raises `TooManyRequests`."""
        reads = method in READS
        limit = (self._services if isinstance(caller, ServiceCaller) else self._people)[reads]
        if limit is None:
            return
        allowed_at = self._hit(limit, "reads" if reads else "writes", caller.actor)
        if allowed_at is not None:
            raise TooManyRequests(
                f"You have sent more requests than {limit}.",
                headers={"Retry-After": str(max(1, math.ceil(allowed_at - time.time())))},
            )

    def _hit(self, limit: RateLimitItem, *counter: str) -> float | None:
        """Count one request. Return None if it is within the limit, else when the next one is (in `time.time()`)."""

        def hit() -> float | None:
            if self._limiter.hit(limit, *counter):
                return None
            return self._limiter.get_window_stats(limit, *counter).reset_time

        if self._breaker is None:
            return hit()
        try:
            return self._breaker.call(hit)
        except CallFailed:
            return None


def redis_storage(uri: str) -> Storage:
    """Return counters in Redis, not connected yet: no retries, no pings, and a time limit per operation."""
    from limits.storage import RedisStorage  # noqa: PLC0415 - redis-py takes some MB of memory in each worker that imports it
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    options: dict[str, Any] = {
        "socket_timeout": SOCKET_S,
        "socket_connect_timeout": SOCKET_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "driver_info": None,  # otherwise each connection starts with two commands that report the name of the library
    }
    return RedisStorage(uri, **options)
