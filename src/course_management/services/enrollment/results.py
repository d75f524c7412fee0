"""What the enrollment calls return: to their callers `CourseOutcome`, among themselves `EnrollmentResult`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .decisions import Decision


@dataclass(frozen=True, slots=True)
class CourseOutcome:
    """The outcome for one course.

    `enrolled`, `waitlisted`, `already_enrolled` or `already_waitlisted`; for a course of `instead_of` `unenrolled`,
    `withdrawn`, `left_waitlist` or `not_enrolled`. `position` is the position on the waitlist, from 1; None without
    one.
    """

    course_id: int
    outcome: str
    position: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentResult:
    """What one attempt to apply a request has changed or, if it has changed nothing, why."""

    outcome_by_course: Mapping[int, str] = field(default_factory=dict)
    """The changes that were applied; empty if a course refuses, or if nothing has to change."""
    decisions: Sequence[Decision] = ()
    """About each course of the request; empty if the statement that looks at seats only has applied it."""
    courses_to_promote: Sequence[int] = ()
    """Other courses, whose waitlists may promote the student now."""
