"""Decide whether a student can enroll in each course, with the reasons: the only place where the rules are in words.

A request comes here only if its statement did not change every course. The statement decides the same in SQL
(`statements.py`): what is added here must be added there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, and_, case, literal, select, true

from ...database import AnyRow
from ...database.types import among
from ...errors import (
    CourseClosed,
    CourseFull,
    CourseNotFound,
    EnrollmentRefused,
    Reason,
    StudentNotFound,
    UnknownCourse,
    WaitlistFull,
)
from ...models import ENROLLED, WAITLISTED, courses, enrollments, is_held, queue_position, students
from .statements import course_ids, student_id

Execute = Callable[[Executable, Mapping[str, Any]], Sequence[AnyRow]]
"""How to run the query: alone (`autocommit`), or inside the transaction that is being explained."""

ALREADY = {ENROLLED: "already_enrolled", WAITLISTED: "already_waitlisted"}

_STATES = (
    select(
        courses.c.id,
        courses.c.capacity,
        courses.c.waitlist_capacity,
        courses.c.seats_taken,
        courses.c.waiting,
        courses.c.closed_at,
        enrollments.c.status,
        case((enrollments.c.status == literal(WAITLISTED), queue_position(enrollments, courses))).label("position"),
    )
    .select_from(
        students.outerjoin(courses, and_(true(), among(courses.c.id, course_ids))).outerjoin(
            enrollments,
            and_(
                enrollments.c.student_id == students.c.id,
                enrollments.c.course_id == courses.c.id,
                is_held(enrollments),
            ),
        )
    )
    .where(students.c.id == student_id)
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one course.

    `outcome` is `refused`, `eligible`, `already_enrolled` or `already_waitlisted`. `seat_reserved`: a seat is free,
    and reserved for students on the waitlist.
    """

    course_id: int
    outcome: str
    reasons: tuple[Reason, ...] = ()
    position: int | None = None
    seat_reserved: bool = False

    @property
    def is_unknown(self) -> bool:
        """Whether the course does not exist."""
        return UnknownCourse in map(type, self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as responses show it."""
        return {
            "course_id": self.course_id,
            "outcome": self.outcome,
            "reasons": [reason.as_dict() for reason in self.reasons],
        }


def explain(execute: Execute, student: int, course_list: Sequence[int], *, waitlist: bool) -> list[Decision]:
    """Decide about each course, in the order of `course_list`, with one query. Raises `StudentNotFound`."""
    rows = execute(_STATES, {"student": student, "course_ids": course_list})
    if not rows:
        raise StudentNotFound
    states = {row.id: row for row in rows}
    return [decide(course_id, states.get(course_id), waitlist=waitlist) for course_id in course_list]


def decide(course_id: int, course: AnyRow | None, *, waitlist: bool) -> Decision:
    """Apply the rules to the state of one course; None: the course does not exist.

    What refuses here must refuse in the statement, too: a reason alone does not stop it. A test compares the two.
    """
    if course is None:
        return Decision(course_id, "refused", (UnknownCourse(),))
    if course.status in ALREADY:
        return Decision(course_id, ALREADY[course.status], position=course.position)
    full = _full(course, waitlist=waitlist)
    closed = None if course.closed_at is None else CourseClosed(closed_at=course.closed_at)
    reasons = [reason for reason in (closed, full) if reason]
    return Decision(
        course_id,
        "refused" if reasons else "eligible",
        tuple(reasons),
        # Where something else refuses as well, promoting the students who wait would not help this one.
        seat_reserved=reasons == [full] and has_free_seat(course),
    )


def _full(course: AnyRow, *, waitlist: bool) -> Reason | None:
    """Return the reason if the course has neither a seat nor, with `waitlist`, a place on the waitlist."""
    has_place = course.waitlist_capacity is None or course.waiting < course.waitlist_capacity
    if (has_free_seat(course) and course.waiting == 0) or (waitlist and has_place):
        return None
    if waitlist and course.waitlist_capacity:
        return WaitlistFull(capacity=course.capacity, waitlist_capacity=course.waitlist_capacity)
    return CourseFull(capacity=course.capacity, waitlist_open=has_place)


def has_free_seat(course: AnyRow) -> bool:
    """Return whether a seat of this course is not taken. It may be reserved for students on the waitlist."""
    return course.capacity is None or course.seats_taken < course.capacity


def refuse(decisions: Sequence[Decision]) -> None:
    """Raise the refusal with all of these decisions if any of them refuses its course."""
    refused = [each for each in decisions if each.outcome == "refused"]
    if not refused:
        return
    refusal = CourseNotFound if any(each.is_unknown for each in refused) else EnrollmentRefused
    raise refusal(decisions=[each.as_dict() for each in decisions])
