"""Enrollments: the status of students in courses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    ScalarSelect,
    String,
    Table,
    case,
    func,
    select,
    text,
    type_coerce,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..database import Base
from ..database.types import NOW, Credits, Id, UtcDateTime, in_range

if TYPE_CHECKING:
    from .courses import Course
    from .students import Student

ENROLLED, WAITLISTED, UNENROLLED, WITHDRAWN = "enrolled", "waitlisted", "unenrolled", "withdrawn"
STATUSES = (ENROLLED, WAITLISTED, UNENROLLED, WITHDRAWN)
HELD = (ENROLLED, WAITLISTED)
"""The statuses of a student who has a seat or a place on the waitlist; see `is_held`."""


def _listed(*statuses: str) -> str:
    return ", ".join(f"'{status}'" for status in statuses)


class StudentCourses(Base):
    """An enrollment: one student, one course, and the status of the student in that course.

    The name of the class is given. Statements use its table as `enrollments`.

    A pair has one row permanently: unenrolling sets its status to `unenrolled`, or to `withdrawn` after the term's end
    of dropping, and enrolling again updates the same row. A withdrawn student has no seat, and the row keeps both the
    student and the course from being deleted. `queue_number` orders the waitlist; `revision` rises with every change by
    the service, so that the ledger can tell the service's changes from changes by hand. Written by hand, a row needs
    only the pair and the status.

    `reason` is what staff gave for the last change. A waiting student whom the rules stopped when a seat was free keeps
    the place: `passed_over_at` says when, `passed_over_for` the codes, separated by spaces. No constraint ties the two
    to the status, so that a change by hand need not set them. `credits` are what the enrollment counts toward the
    limit of its term (null: 0).
    """

    __tablename__ = "student_courses"

    student_id: Mapped[int] = mapped_column(
        Id, ForeignKey("students.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    course_id: Mapped[int] = mapped_column(
        Id, ForeignKey("courses.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    status: Mapped[str] = mapped_column(String(20))
    status_since: Mapped[datetime] = mapped_column(UtcDateTime, server_default=NOW)
    previous_status: Mapped[str | None] = mapped_column(String(20))
    queue_number: Mapped[int | None] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    actor: Mapped[str] = mapped_column(String(200), server_default=text("'database'"))
    request_id: Mapped[str | None] = mapped_column(String(128))
    reason: Mapped[str | None] = mapped_column(String(500))
    passed_over_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    passed_over_for: Mapped[str | None] = mapped_column(String(500))
    credits: Mapped[Decimal | None] = mapped_column(Credits)

    student: Mapped[Student] = relationship(back_populates="enrollments")
    course: Mapped[Course] = relationship(back_populates="enrollments")

    @hybrid_property
    def is_held(self) -> bool:
        """Whether the student is enrolled or waitlisted; in a query, `is_held` of the table."""
        return self.status in HELD

    @is_held.inplace.expression
    @classmethod
    def _is_held(cls) -> ColumnElement[bool]:
        return cls.status.in_(HELD)

    __table_args__ = (
        CheckConstraint(f"status IN ({_listed(*STATUSES)})", name="status_known"),
        CheckConstraint(f"(status = '{WAITLISTED}') = (queue_number IS NOT NULL)", name="queue_number_iff_waiting"),
        *map(in_range, ("student_id", "course_id")),
        in_range("queue_number", 0),
        # Partial, so that the many rows of students who do not wait cost nothing in it.
        Index(
            "uq_student_courses_course_id_queue_number",
            "course_id",
            "queue_number",
            unique=True,
            postgresql_where=text("queue_number IS NOT NULL"),
            sqlite_where=text("queue_number IS NOT NULL"),
        ),
        # The roster in its order, and the foreign key's way from a course to its rows.
        Index("ix_student_courses_course_id_status_student_id", "course_id", "status", "student_id"),
        {"sqlite_with_rowid": False},  # the rows themselves lie in the order of the key: a student's list is one read
    )


enrollments = cast("Table", StudentCourses.__table__)
HUNDREDTHS = type_coerce(enrollments.c.credits, Integer)
"""The credits of an enrollment as they are stored: the hot path makes no `Decimal` for each row."""


def is_held(enrollment: FromClause = enrollments) -> ColumnElement[bool]:
    """Return the condition that a row of `enrollment`, or of an alias of it, is enrolled or waitlisted.

    It names the statuses that are held, so that a new status is not held until it is added to `HELD`.
    """
    return enrollment.c.status.in_(HELD)


def queue_position(enrollment: FromClause, course: FromClause) -> ColumnElement[int]:
    """Return the position of a waiting `enrollment` on the waitlist of its `course`, from 1; for a select over both.

    It is counted from the nearer end of the waitlist: half of a long one at most, and next to nothing for a student
    who has just joined. The counter `waiting` is exact: it changes together with the rows.
    """
    queued = enrollments.alias("queued")
    mine = enrollment.c.queue_number

    def scalar(what: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
        of_course = queued.c.course_id == enrollment.c.course_id
        return select(what).where(of_course, *conditions).correlate(enrollment).scalar_subquery()

    first = scalar(func.min(queued.c.queue_number), queued.c.queue_number.is_not(None))
    ahead = scalar(func.count(), queued.c.queue_number <= mine)
    behind = scalar(func.count(), queued.c.queue_number > mine)
    near_the_head = mine - first < course.c.last_queue_number - mine
    return case((near_the_head, ahead), else_=course.c.waiting - behind)
