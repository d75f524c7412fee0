"""The ledger of enrollments."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import Identity, Index, String, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import Id, UtcDateTime, in_range


class EnrollmentEvent(Base):
    """One line of the ledger: an enrollment changed its status. Append only, written by triggers.

    No foreign keys: the ledger outlives students and courses.
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


events = cast("Table", EnrollmentEvent.__table__)
