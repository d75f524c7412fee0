"""The situation of a student: all that the rules of registration look at, as it was at one moment.

Plain values without a database, so that a rule can be tested, and asked again, with any situation. `loading.py` reads
it by one statement, which is one snapshot.

Some classes have the names of models (`Course`, `Term`, `Hold` …). A model is a row of a table; these are the values of
such rows at one moment, and rules see nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

from ...models import ENROLLED, HELD, WAITLISTED

Action = Literal["enroll", "waitlist", "promote", "unenroll", "change_credits", "recheck"]
"""What a student would do: take a seat, join the waitlist, get a seat from it, unenroll, keep the seat for other
credits; or keep it as it is (`recheck`), while the rules are asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time in which students register for a term; `group_id` None: all students."""

    opens_at: datetime
    closes_at: datetime
    group_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """The term of a course. `ends_at` is the end of its last day in the school's time zone."""

    id: int
    code: str
    starts_on: date
    ends_at: datetime
    credit_limit: int | None = None
    """The student's own limit, or that of the term; in hundredths."""
    drop_until: datetime | None = None
    withdraw_until: datetime | None = None
    promote_until: datetime | None = None
    windows: Sequence[Window] = ()

    @property
    def waitlists_close_at(self) -> datetime:
        """The end of its waitlists: that of the term unless another is set."""
        return self.promote_until or self.ends_at

    @property
    def drops_close_at(self) -> datetime:
        """The end of dropping courses: that of the term unless another is set."""
        return self.drop_until or self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A weekly meeting, from the first to the last day, both included; the minutes are those after midnight."""

    weekday: int
    starts_minute: int
    ends_minute: int
    starts_on: date
    ends_on: date

    def clashes_with(self, other: Meeting) -> bool:
        """Return whether both meet at the same time on some day. One may begin when the other ends."""
        if self.weekday != other.weekday:
            return False
        if self.starts_minute >= other.ends_minute or other.starts_minute >= self.ends_minute:
            return False
        first, last = max(self.starts_on, other.starts_on), min(self.ends_on, other.ends_on)
        days_until_weekday = (self.weekday - first.isoweekday()) % 7
        return (last - first).days >= days_until_weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A group whose students a course admits, or does not admit."""

    group_id: int
    kind: str
    code: str
    admits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Prerequisite:
    """One of several alternatives: a catalog entry, or a group of students."""

    code: str
    catalog_id: int | None = None
    group_id: int | None = None
    minimum_points: int | None = None
    """In hundredths; None: passed."""
    minimum_grade: str | None = None
    concurrent_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """The catalog entry that a course offers."""

    id: int
    courses_per_term: int | None = 1
    completions_allowed: int | None = None
    prerequisites: Sequence[Sequence[Prerequisite]] = ()
    """Lists of alternatives; the student needs one of each list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledCourse:
    """What the rules compare between two courses of a student."""

    id: int
    term: Term | None = None
    catalog_id: int | None = None
    component: str = ""
    student_credits: int = 0
    """What the enrollment of the student counts, in hundredths."""
    meetings: Sequence[Meeting] = ()
    linked_alternatives: Sequence[frozenset[int]] = ()
    """Sets of ids of courses; the student must be in one course of each set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment(ScheduledCourse):
    """A course of a term in which the student is enrolled or waitlisted."""

    status: str
    is_passed_over: bool = False
    """Whether the student waits, and a rule stopped the promotion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course(ScheduledCourse):
    """A course as it was: its counters, and what its rules need."""

    capacity: int | None = None
    waitlist_capacity: int | None = 0
    seats_taken: int = 0
    waiting: int = 0
    passed_over_count: int = 0
    closed_at: datetime | None = None
    permission_required: bool = False
    restrictions: Sequence[Restriction] = ()
    entry: CatalogEntry | None = None
    least_credits: int = 0
    most_credits: int = 0
    """The same as the least, unless students choose."""
    action: Action | None = "enroll"
    """The action that the rules judge; None: nothing changes for the student."""
    student_status: str | None = None
    """`enrolled`, `waitlisted`, or None."""
    student_position: int | None = None
    """On the waitlist, from 1."""

    @property
    def has_rules(self) -> bool:
        """Whether rules decide about it, and not only its seats: it has a term, or is closed."""
        return self.term is not None or self.closed_at is not None

    @property
    def has_free_seat(self) -> bool:
        """Whether a seat is not taken. It may be reserved for students on the waitlist."""
        return self.capacity is None or self.seats_taken < self.capacity

    @property
    def offers_seat(self) -> bool:
        """Whether a newcomer can take a seat: one is free, and every student on the waitlist was passed over."""
        return self.has_free_seat and self.waiting == self.passed_over_count

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
class Completion:
    """A catalog entry that the student has passed; `points` in hundredths."""

    catalog_id: int
    points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The student, and the courses of a request that exist, at one moment."""

    now: datetime
    student_id: int
    schedule_revision: int = 0
    """Rises with every change of the student's enrollments in courses of terms, and of what else a rule looks at."""
    group_ids: frozenset[int] = frozenset()
    holds: Sequence[Hold] = ()
    permissions: frozenset[tuple[int, str]] = frozenset()
    """Live permissions: the id of the course, and the code of the rule that is waived."""
    completions: Sequence[Completion] = ()
    enrollments: Sequence[Enrollment] = ()
    """In courses of terms. Those without a term have no rules, and their changes do not raise the revision."""
    courses: Mapping[int, Course] = field(default_factory=dict)
    """Those of the request."""
    answers: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    """The rows of the questions that rules bring, by name; values as JSON has them."""
    rules_bind: bool = True
    """Whether the rules refuse. If not, only seats and places on waitlists do, and no student is withdrawn."""

    @property
    def has_rules(self) -> bool:
        """Whether rules decide about one of the courses."""
        return any(course.has_rules for course in self.courses.values())

    @property
    def waits_in_term(self) -> bool:
        """Whether the student is on the waitlist of a course of a term."""
        return any(enrollment.status == WAITLISTED for enrollment in self.enrollments)

    def with_actions(self, actions: Mapping[int, Action | None], chosen_credits: Mapping[int, int]) -> Situation:
        """Return the situation in which its courses have these actions and chosen credits."""
        changed = {
            course_id: replace(
                course,
                action=actions.get(course_id),
                student_credits=chosen_credits.get(course_id, course.student_credits),
            )
            for course_id, course in self.courses.items()
        }
        return replace(self, courses=changed)

    def other_courses(self, course: Course, *, with_waitlists: bool = False) -> list[ScheduledCourse]:
        """Return the other courses of terms that the student will be enrolled in if all of these actions are done.

        With `with_waitlists`, also those in which the student will wait.
        """
        statuses = HELD if with_waitlists else (ENROLLED,)
        kept = [
            enrollment
            for enrollment in self.enrollments
            if enrollment.id != course.id and enrollment.status in statuses and not self.will_unenroll(enrollment.id)
        ]
        new = [
            other
            for other in self.courses.values()
            if other.id != course.id
            and other.term is not None
            and (other.action == "enroll" or (with_waitlists and other.action == "waitlist"))
        ]
        return [*kept, *new]

    def will_unenroll(self, course_id: int) -> bool:
        """Return whether the student is about to unenroll from a course."""
        course = self.courses.get(course_id)
        return course is not None and course.action == "unenroll"
