"""The job that promotes wherever a seat is free while students wait for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..services import Context
from ..services.enrollment import due_courses, promote_batch

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""How long a course is left alone after a batch that promoted nobody: doubled each time, up to the longest."""


class PromotionJob:
    """Promotes batch by batch, the courses in turn, until no student waits beside a free seat.

    A course where nobody could be promoted (another transaction holds it, or its counters were tampered with) is left
    alone for a while, so that it neither stops the others nor fills the log.
    """

    def __init__(self) -> None:
        self._postponed: dict[int, tuple[float, float]] = {}
        """By course: until when, as of `time.monotonic`, and the pause that led there."""

    def steps(self) -> Iterator[int]:
        """One run; yields after each transaction how many it promoted. Raises SQLAlchemy's errors."""
        while courses := self._due():
            for course_id in courses:
                promoted = promote_batch(course_id, Context())
                self._note(course_id, promoted)
                yield promoted
                if not promoted:
                    break  # look again: if the database is down, this is how the worker is told

    def _due(self) -> list[int]:
        due = due_courses()
        # Whoever is not due any more starts afresh the next time.
        self._postponed = {each: self._postponed[each] for each in due if each in self._postponed}
        now = time.monotonic()
        return [each for each in due if each not in self._postponed or self._postponed[each][0] <= now]

    def _note(self, course_id: int, promoted: int) -> None:
        if promoted:
            self._postponed.pop(course_id, None)
            return
        _, last = self._postponed.get(course_id, (0.0, 0.0))
        pause = min(max(2 * last, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._postponed[course_id] = (time.monotonic() + pause, pause)
