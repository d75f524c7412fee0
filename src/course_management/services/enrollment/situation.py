"""The situation of a student: all that the rules of registration look at, as it was at one moment.

Plain values without a database, so that a rule can be tested, and asked again, with any situation. `loading.py` reads
it by one statement, which is one snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Action = Literal["enroll", "waitlist", "promote", "unenroll"]
"""What is planned for a student: to take a seat, to join the waitlist, to get a seat from it, to leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time in which students register for a term; `group_id` None: all students."""

    opens_at: datetime
    closes_at: datetime
    group_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """The term of a course. Instants are those of the school's time zone."""

    id: int
    code: str
    starts_on: date
    ends_on: date
    promote_until: datetime
    """The end of the waitlists: that of the term unless another is set."""
    windows: Sequence[Window] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A group whose students a course admits, or does not admit."""

    group_id: int
    kind: str
    code: str
    admits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A course as it was: its counters, and what its rules need."""

    id: int
    capacity: int | None = None
    waitlist_capacity: int | None = 0
    seats_taken: int = 0
    waiting: int = 0
    passed_over: int = 0
    term: Term | None = None
    closed_at: datetime | None = None
    permission_required: bool = False
    restrictions: Sequence[Restriction] = ()
    planned: Action = "enroll"
    """The outcome that the rules judge."""
    status: str | None = None
    """The student's own: `enrolled`, `waitlisted`, or None."""
    position: int | None = None

    @property
    def has_rules(self) -> bool:
        """Whether rules decide about it, and not only its seats: it has a term, or is closed."""
        return self.term is not None or self.closed_at is not None

    @property
    def has_free_seat(self) -> bool:
        """Whether a seat is not taken, by whomever it may be reserved."""
        return self.capacity is None or self.seats_taken < self.capacity

    @property
    def is_open(self) -> bool:
        """Whether a newcomer can take a seat: one is free, and every student on the waitlist was passed over."""
        return self.has_free_seat and self.waiting == self.passed_over

    @property
    def waitlist_has_room(self) -> bool:
        """Whether the waitlist takes one more student."""
        return self.waitlist_capacity is None or self.waiting < self.waitlist_capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A live block that the registrar has placed on the student; `blocks` is `enroll`, `unenroll` or `both`."""

    kind: str
    contact: str
    blocks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """A course of a term in which the student is enrolled or waitlisted."""

    course_id: int
    status: str
    is_passed_over: bool = False
    """Whether the student waits, and a rule stopped the promotion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The student, and the courses of a request that exist, at one moment."""

    now: datetime
    student_id: int
    schedule_revision: int = 0
    """Rises with every change of the student's enrollments in courses with a term."""
    group_ids: frozenset[int] = frozenset()
    holds: Sequence[Hold] = ()
    permissions: frozenset[tuple[int, str]] = frozenset()
    """Live permissions: the id of the course, and the code of the rule that is waived."""
    enrollments: Sequence[Enrollment] = ()
    """In courses of terms. Those without a term have no rules, and their changes do not raise the revision."""
    courses: Mapping[int, Course] = field(default_factory=dict)
    """Those of the request."""
    answers: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    """The rows of the questions that rules bring, by name; values as JSON has them."""

    @property
    def has_rules(self) -> bool:
        """Whether rules decide about one of the courses."""
        return any(course.has_rules for course in self.courses.values())
