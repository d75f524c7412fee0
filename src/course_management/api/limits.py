"""Rate limits: how often a caller may send requests, reads and writes apart.

The counters are where RATELIMIT_STORAGE_URI says. In memory, each worker counts alone, so that a caller may have as
many times the limit as there are workers; in Redis, all count together. While Redis is unavailable, nobody is refused.
This is flask-limiter's engine without its hook, which costs more calls than all of Flask (decision 13).
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from ..access.callers import Caller, Service
from ..config import Settings
from ..errors import TooManyRequests
from .circuit_breaker import CircuitBreaker, Unavailable

if TYPE_CHECKING:
    from limits.storage import Storage

READS = {"GET", "HEAD", "OPTIONS"}
SOCKET_S = 0.5
"""Seconds for one operation on a connection to Redis, so that a thread returns from one that is lost. Requests wait
less (`circuit_breaker.WAIT_S`). A first TLS handshake may take longer than that; the next request finds it done."""


class Limits:
    """The limits of one app."""

    def __init__(self, settings: Settings) -> None:
        uri = settings.ratelimit_storage_uri
        in_memory = uri.startswith("memory:")
        self._limiter = FixedWindowRateLimiter(MemoryStorage() if in_memory else redis_storage(uri))
        self._breaker = None if in_memory else CircuitBreaker("ratelimit_storage", settings.threads)
        self._people = {True: settings.ratelimit_reads, False: settings.ratelimit_writes}
        self._services = {True: settings.ratelimit_service_reads, False: settings.ratelimit_service_writes}

    def start(self) -> None:
        """Prepare to serve: connect to Redis before the first request needs it."""
        if self._breaker:
            with suppress(Unavailable):
                self._breaker.call(self._limiter.storage.check)

    def count(self, caller: Caller, method: str) -> None:
        """Count one request. Raises `TooManyRequests`."""
        reads = method in READS
        limit = (self._services if isinstance(caller, Service) else self._people)[reads]
        if limit is None:
            return
        ends = self._hit(limit, "reads" if reads else "writes", caller.actor)
        if ends is not None:
            raise TooManyRequests(
                f"You have sent more requests than {limit}.",
                headers={"Retry-After": str(max(1, math.ceil(ends - time.time())))},
            )

    def _hit(self, limit: RateLimitItem, *what: str) -> float | None:
        """Count one request; return None if it is within the limit, else the time at which the next one may be."""

        def work() -> float | None:
            return None if self._limiter.hit(limit, *what) else self._limiter.get_window_stats(limit, *what).reset_time

        if self._breaker is None:
            return work()
        try:
            return self._breaker.call(work)
        except Unavailable:
            return None


def redis_storage(uri: str) -> Storage:
    """Return the counters in a Redis, without connecting: no retries, no pings, and a time limit per operation."""
    from limits.storage import RedisStorage  # noqa: PLC0415 - redis-py is some MB in each worker, for those who use it
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    options: dict[str, Any] = {
        "socket_timeout": SOCKET_S,
        "socket_connect_timeout": SOCKET_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "driver_info": None,  # else each connection begins with two commands about the name of the library
    }
    return RedisStorage(uri, **options)
