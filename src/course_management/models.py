"""The tables. The database is the last judge: every rule it can hold is a named constraint here.

Two groups of columns are never written by the service but by triggers (`triggers.py`): the counters of a course
and the ledger, `enrollment_events`. Migrations are history; these models say what is true now, and a test
holds the two together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    FetchedValue,
    ForeignKey,
    FromClause,
    Identity,
    Index,
    ScalarSelect,
    String,
    Table,
    UniqueConstraint,
    case,
    event,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from . import triggers
from .database import Base
from .database.types import MAX_ID, NOW, Code, Id, IdList, UtcDateTime, among, in_range, utcnow

__all__ = [
    "ENROLLED",
    "MAX_ID",
    "STATUSES",
    "UNENROLLED",
    "WAITLISTED",
    "Code",
    "Course",
    "EnrollmentEvent",
    "Id",
    "IdList",
    "Lease",
    "SchemaCompatibility",
    "Student",
    "StudentCourses",
    "UtcDateTime",
    "among",
    "courses",
    "enrollments",
    "events",
    "leases",
    "queue_position",
    "students",
    "utcnow",
]

ENROLLED, WAITLISTED, UNENROLLED = "enrolled", "waitlisted", "unenrolled"
STATUSES = (ENROLLED, WAITLISTED, UNENROLLED)
_STATUS_LIST = ", ".join(f"'{status}'" for status in STATUSES)
"""Rows written by hand need not say when they were made."""


class Student(Base):
    """A person who takes courses. The service stores `email` in its canonical form (`schemas.addresses`)."""

    __tablename__ = "students"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)

    enrollments: Mapped[list[StudentCourses]] = relationship(back_populates="student", passive_deletes="all")

    # Without AUTOINCREMENT, SQLite would give a deleted student's id, and so its ledger, to the next one.
    __table_args__ = (UniqueConstraint("email"), in_range("id"), {"sqlite_autoincrement": True})


class Course(Base):
    """What students enroll in.

    `capacity` counts seats, `waitlist_capacity` places in the queue; null means no limit. The counters
    `seats_taken`, `waiting` and `last_queue_number` are kept by triggers and only ever read here.
    """

    __tablename__ = "courses"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Code)
    title: Mapped[str] = mapped_column(String(200))
    capacity: Mapped[int | None]
    waitlist_capacity: Mapped[int | None] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    seats_taken: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    waiting: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    last_queue_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), server_onupdate=FetchedValue())
    last_event_at: Mapped[datetime | None] = mapped_column(UtcDateTime, server_onupdate=FetchedValue())

    enrollments: Mapped[list[StudentCourses]] = relationship(back_populates="course", passive_deletes="all")

    __table_args__ = (
        UniqueConstraint("code"),
        CheckConstraint(
            "seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity)", name="seats_within_capacity"
        ),
        CheckConstraint(
            "waiting >= 0 AND (waitlist_capacity IS NULL OR waiting <= waitlist_capacity)",
            name="waiting_within_waitlist",
        ),
        in_range("id"),
        {"sqlite_autoincrement": True},
    )


class StudentCourses(Base):
    """An enrollment: one student and one course, and how they stand to each other now.

    There is one row for a pair for ever: who leaves keeps it as `unenrolled`, who returns gets it back.
    `queue_number` orders those who wait; `revision` rises with every change by the service, so that the
    ledger can tell the service's changes from somebody's hand. Written by hand, a row needs only the pair
    and the status.
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

    student: Mapped[Student] = relationship(back_populates="enrollments")
    course: Mapped[Course] = relationship(back_populates="enrollments")

    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUS_LIST})", name="status_known"),
        CheckConstraint(f"(status = '{WAITLISTED}') = (queue_number IS NOT NULL)", name="queue_number_iff_waiting"),
        *map(in_range, ("student_id", "course_id")),
        in_range("queue_number", 0),
        # Partial, so that the many who are enrolled cost nothing in it.
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


class EnrollmentEvent(Base):
    """One line of the ledger: an enrollment changed its status. Append only, written by triggers.

    No foreign keys: the ledger outlives what it tells of.
    """

    __tablename__ = "enrollment_events"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    student_id: Mapped[int] = mapped_column(Id)
    course_id: Mapped[int] = mapped_column(Id)
    from_status: Mapped[str | None] = mapped_column(String(20))
    to_status: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(200))
    request_id: Mapped[str | None] = mapped_column(String(128))

    __table_args__ = (
        Index("ix_enrollment_events_student_id_id", "student_id", "id"),
        Index("ix_enrollment_events_course_id_id", "course_id", "id"),
        # Past rosters: the last line of a student up to a moment, and who joined a waitlist in order of time.
        Index("ix_enrollment_events_course_id_student_id_at_id", "course_id", "student_id", "at", "id"),
        Index(
            "ix_enrollment_events_course_id_at_id",
            "course_id",
            "at",
            "id",
            postgresql_where=text("to_status = 'waitlisted'"),
            sqlite_where=text("to_status = 'waitlisted'"),
        ),
        *map(in_range, ("id", "student_id", "course_id")),
        {"sqlite_autoincrement": True},
    )


class Lease(Base):
    """Which process does the background work `name`, until `expires_at` by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SchemaCompatibility(Base):
    """One row: the oldest version of this code, by its migration, that can work with the present schema."""

    __tablename__ = "schema_compatibility"

    oldest_revision: Mapped[str] = mapped_column(String(32), primary_key=True)


# The tables themselves, for the statements that are not about objects.
students = cast("Table", Student.__table__)
courses = cast("Table", Course.__table__)
enrollments = cast("Table", StudentCourses.__table__)
events = cast("Table", EnrollmentEvent.__table__)
leases = cast("Table", Lease.__table__)

event.listen(Base.metadata, "after_create", triggers.create)


def queue_position(enrollment: FromClause, course: FromClause) -> ColumnElement[int]:
    """The place of a waiting `enrollment` in the queue of its `course`, from 1; for a select over both.

    It is counted from the nearer end of the queue: half of a long one at most, and next to nothing for who has just
    joined. The counter `waiting` is as true as the rows: they change together.
    """
    queued = enrollments.alias("queued")
    mine = enrollment.c.queue_number

    def ask(what: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
        of_course = queued.c.course_id == enrollment.c.course_id
        return select(what).where(of_course, *conditions).correlate(enrollment).scalar_subquery()

    first = ask(func.min(queued.c.queue_number), queued.c.queue_number.is_not(None))
    ahead = ask(func.count(), queued.c.queue_number <= mine)
    behind = ask(func.count(), queued.c.queue_number > mine)
    near_the_head = mine - first < course.c.last_queue_number - mine
    return case((near_the_head, ahead), else_=course.c.waiting - behind)
