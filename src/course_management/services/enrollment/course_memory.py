"""What a process saw of courses when it last read them. It chooses which statement comes first, and never decides."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from .decisions import REFUSED, Decision
from .situation import Situation

SIZE = 10_000


class CourseMemory:
    """Courses that refused, and courses that have a term.

    While many students try to enroll in a full course, the query that explains the refusal runs first, and the
    statement that would change nothing is not sent. The same holds for a course with a term, whose rules decide.
    """

    def __init__(self) -> None:
        self._refused: set[tuple[int, bool]] = set()
        self._with_term: set[int] = set()

    def decides_first(self, course_ids: Sequence[int], *, waitlist: bool) -> bool:
        """Return whether the statement that looks at seats only would probably change nothing, so decide first.

        One of these courses has a term, or refused the last request that it saw with the same `waitlist`.
        """
        return self.has_term(course_ids) or any((course_id, waitlist) in self._refused for course_id in course_ids)

    def has_term(self, course_ids: Sequence[int]) -> bool:
        """Return whether one of these courses has a term. A course never leaves its term."""
        return not self._with_term.isdisjoint(course_ids)

    def remember(self, decisions: Sequence[Decision], *, waitlist: bool) -> None:
        """Remember what these decisions say; forget all of it beyond `SIZE`."""
        for decision in decisions:
            if decision.outcome == REFUSED and not decision.is_unknown:
                self._refused.add((decision.course_id, waitlist))
            else:
                self._refused.discard((decision.course_id, waitlist))
        if len(self._refused) > SIZE:
            self._refused.clear()

    def remember_terms(self, situation: Situation) -> None:
        """Remember which of these courses have a term; forget all of them beyond `SIZE`."""
        if len(self._with_term) > SIZE:
            self._with_term.clear()
        self._with_term.update(course.id for course in situation.courses.values() if course.term is not None)


_memories: WeakKeyDictionary[Engine, CourseMemory] = WeakKeyDictionary()
"""By database. Threads that note the first refusals at the same moment may lose one of the guesses, and no more."""


def memory_of(engine: Engine) -> CourseMemory:
    """Return the memory of the courses of a database."""
    return _memories.setdefault(engine, CourseMemory())
