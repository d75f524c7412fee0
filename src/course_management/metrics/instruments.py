"""The counters, histograms and gauges of one process; docs/observability.md explains each.

No label has an id, and every label has few values: routes are templates, and all unknown paths are one route.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.util import Finalize
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from ..threads import run_forever

NAMESPACE = "course_management"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds. Most requests take 1 to 25 ms, and the time limits end them within 5 s."""
WAVE_SIZES = (2, 4, 8, 16, 32, 64)
"""Upper bounds: a wave has as many statements as its group has requests, at most."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN = "unknown"
"""The label of all paths that no route has, and of all methods that no client should use."""
FLUSH_S = 0.1
"""Seconds between two times of counting what was noted. Longer, one time would hold the interpreter lock for long."""
MAX_NOTED = 100_000
"""Maximum of what is noted and not counted yet; more would be lost. They are many times what is noted in `FLUSH_S`."""
SAMPLE_S = 1.0
WATCHED = {
    "requests_waiting": "Requests in the request queues.",
    "request_threads": "Threads that handle requests.",
    "request_threads_busy": "Threads that are handling a request.",
    "database_connections": "Database connections that the pools of requests may have.",
    "database_connections_in_use": "Database connections that requests are using.",
    "database_unavailable": "Processes whose background work cannot use the database at present.",
    "background_leader": "1 if one of the processes is the leader and can do the background work, else 0.",
}
"""The values that processes sample every second, and their help texts."""

disable_created_metrics()


class Instruments:
    """What one process counts."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, NAMESPACE, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: Sequence[float] = BUCKETS) -> Histogram:
            return Histogram(name, text, labels, NAMESPACE, registry=registry, buckets=buckets)

        # `cache`, because the library converts labels and takes a lock, which costs as much as the counting.
        self._requests = cache(
            histogram(
                "http_request_duration_seconds",
                "Time the application took for a request, without waiting in the request queue.",
                "route",
                "method",
                "status",
            ).labels
        )
        self._waits = histogram("request_queue_wait_seconds", "Time that requests waited in the request queue.")
        self._wave_sizes = histogram("wave_statements", "Statements of a wave.", buckets=WAVE_SIZES)
        self._wave_times = histogram("wave_duration_seconds", "Time from sending a wave to its last result.")
        self._refused = counter("requests_refused_total", "Requests refused with 503 because the server is overloaded.")
        self._outcomes = cache(
            counter(
                "enrollment_outcomes_total",
                "Courses in enrollment actions, by what was done; and refusals, by each of their codes.",
                "action",
                "code",
            ).labels
        )
        self._promotions = counter("promotions_total", "Students promoted from a waitlist.")
        self._log_events = counter("log_events_total", "Log lines of level warning and above.", "level", "event")
        self._gauges = {
            name: Gauge(name, text, namespace=NAMESPACE, registry=registry, multiprocess_mode="livesum")
            for name, text in WATCHED.items()
        }
        counter("processes_started_total", "Processes of the service that have started.").inc()
        self.noted: deque[tuple[Any, ...]] = deque(maxlen=MAX_NOTED)
        """What is not counted yet: a method of this object, and its arguments. `append` needs no lock."""
        self._flushing = threading.Lock()
        self._watched: dict[str, Callable[[], float]] = {}
        run_forever("metrics", self._flush_later)
        run_forever("metrics-gauges", self._sample)
        Finalize(None, self.flush, exitpriority=0)  # at the end of this process, which may be a worker

    def flush(self) -> None:
        """Count what was noted so far."""
        with self._flushing, suppress(IndexError):
            while True:
                count, *arguments = self.noted.popleft()
                with suppress(Exception):  # a fault here must not end the counting
                    count(*arguments)

    def _flush_later(self) -> None:
        time.sleep(FLUSH_S)
        self.flush()

    def request_done(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a response."""
        method_label = method if method in METHODS else UNKNOWN
        self._requests(route or UNKNOWN, method_label, status).observe(seconds)

    def request_waited(self, seconds: float) -> None:
        """Count a request that has left the request queue."""
        self._waits.observe(seconds)

    def wave_sent(self, statements: int, seconds: float) -> None:
        """Count a wave."""
        self._wave_sizes.observe(statements)
        self._wave_times.observe(seconds)

    def request_refused(self) -> None:
        """Count a request that was refused because the server is overloaded."""
        self._refused.inc()

    def outcomes(self, action: str, codes: Iterable[str]) -> None:
        """Count what an enrollment action did."""
        for code in codes:
            self._outcomes(action, code).inc()

    def promoted(self, students: int) -> None:
        """Count students who were promoted from a waitlist."""
        self._promotions.inc(students)

    def event(self, level: str, name: str) -> None:
        """Count a log line."""
        self._log_events.labels(level, name).inc()

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Sample a value from now on."""
        self._watched[name] = value

    def _sample(self) -> None:
        for name, value in list(self._watched.items()):
            with suppress(Exception):
                self._gauges[name].set(value())
        time.sleep(SAMPLE_S)
