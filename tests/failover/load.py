"""Enrolls at a constant rate, whatever becomes of them, and what their senders saw."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

STUDENTS, COURSES = 1000, 500
SENDERS = 512
"""More than requests can be under way: each would have to take as long as this many at the rate."""
TIMEOUT_S = 60.0

POPULATE = f"""
INSERT INTO students (name, email, created_at)
SELECT 'Ada', 'ada' || i || '@example.edu', now() FROM generate_series(1, {STUDENTS}) AS i;
INSERT INTO courses (code, title, created_at)
SELECT 'CS' || i, 'Programming', now() FROM generate_series(1, {COURSES}) AS i;
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the sender of one enroll saw; times are those of `time.monotonic`."""

    student_id: int
    course_id: int
    began: float
    ended: float
    status: int
    """0: the connection ended without a response."""
    may_retry: bool
    """Whether the response has Retry-After."""

    @property
    def is_acknowledged(self) -> bool:
        """Return whether the change must never be lost."""
        return self.status == 201


def pairs() -> Iterator[tuple[int, int]]:
    """Yield each pair of a student and a course once, and no course often in a row."""
    for number in range(STUDENTS * COURSES):
        round_number, course = divmod(number, COURSES)
        yield 1 + (course + (COURSES + 1) * round_number) % STUDENTS, 1 + course


class Load:
    """Sends enrolls from `start` until `stop`, each at its time: none waits for the response to another."""

    def __init__(self, rate: float) -> None:
        self.outcomes: list[Outcome] = []
        self._rate, self._pairs = rate, pairs()
        self._stopping = threading.Event()
        self._clock: threading.Thread | None = None

    def start(self, port: int) -> None:
        """Begin to send to a service."""
        self._port, self.outcomes = port, []
        self._stopping.clear()
        self._pool = ThreadPoolExecutor(SENDERS)
        self._clock = threading.Thread(target=self._send_all, daemon=True)
        self._clock.start()

    def stop(self) -> list[Outcome]:
        """Wait for the last responses; return all outcomes in the order in which they ended."""
        self._stopping.set()
        if self._clock:
            self._clock.join()
            self._clock = None
            self._pool.shutdown()
        return sorted(self.outcomes, key=lambda outcome: outcome.ended)

    def _send_all(self) -> None:
        began = time.monotonic()
        for number in itertools.count():
            if self._stopping.wait(max(began + number / self._rate - time.monotonic(), 0)):
                return
            self._pool.submit(self._send, *next(self._pairs))

    def _send(self, student_id: int, course_id: int) -> None:
        began, status, may_retry = time.monotonic(), 0, False
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        try:
            body, headers = json.dumps({"course_id": course_id}), {"Content-Type": "application/json"}
            connection.request("POST", f"/students/{student_id}/enroll", body, headers)
            response = connection.getresponse()
            response.read()
            status, may_retry = response.status, "Retry-After" in response.headers
        except (OSError, http.client.HTTPException):
            pass  # status 0
        finally:
            connection.close()
        self.outcomes.append(Outcome(student_id, course_id, began, time.monotonic(), status, may_retry))
