"""The job that promotes students from waitlists where seats are free."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import tzinfo

from ..context import RequestContext
from ..services.enrollment import PromotionBatch, due_courses, promote_batch
from .backoff import Backoff

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Pauses of a course after batches that promoted no student."""


class PromotionJob:
    """Promotes in batches, one course after another, until no student waits for a free seat.

    A course in which no student could be promoted (another transaction has locked it, or its counters are wrong) is
    postponed, so that it neither blocks the others nor fills the log.
    """

    def __init__(self, time_zone: tzinfo) -> None:
        self._time_zone = time_zone
        self._postponed: dict[int, tuple[float, Backoff]] = {}
        """By course: until when, on the clock of `time.monotonic`, and the pauses."""

    def steps(self) -> Iterator[PromotionBatch]:
        """Do one run; yield what each transaction did. Raises SQLAlchemy's errors."""
        while courses := self._due():
            for course_id in courses:
                batch = promote_batch(course_id, RequestContext(time_zone=self._time_zone))
                if batch:
                    self._postponed.pop(course_id, None)
                else:
                    self._postpone(course_id)
                yield batch
                if not batch:
                    break  # query again: if the database is unavailable, that raises its error to the worker

    def _due(self) -> list[int]:
        due = due_courses()
        # A course that is no longer due starts with the first pause next time.
        self._postponed = {course_id: self._postponed[course_id] for course_id in due if course_id in self._postponed}
        now = time.monotonic()
        return [
            course_id for course_id in due if course_id not in self._postponed or self._postponed[course_id][0] <= now
        ]

    def _postpone(self, course_id: int) -> None:
        _, backoff = self._postponed.get(course_id, (0.0, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)))
        self._postponed[course_id] = (time.monotonic() + backoff.fail(), backoff)
