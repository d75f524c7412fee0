"""The ledgers: of enrollments, and of the data about a student that the rules of registration use."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import JSON, CheckConstraint, Identity, Index, String, Table, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import NOW, Credits, Id, UtcDateTime, in_range, utcnow, where

ERASED = "erased"
"""What stands for an erased reason. The triggers of the ledger let a reason be replaced by this only."""


class EnrollmentEvent(Base):
    """One line of the ledger: an enrollment changed its status or its credits. Append only, written by triggers.

    `credits` are those of the enrollment after the change; where they alone changed, `from_status` is `to_status`. No
    foreign keys: the ledger outlives students and courses.
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
    reason: Mapped[str | None] = mapped_column(String(500))
    credits: Mapped[Decimal | None] = mapped_column(Credits)

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
            **where("to_status = 'waitlisted'"),
        ),
        *map(in_range, ("id", "student_id", "course_id")),
        {"sqlite_autoincrement": True},
    )


class RuleEvent(Base):
    """One line of the ledger of rules: a hold, a permission, a completion, a limit or a group of a student changed.

    Append only, written by the services. `subject_id` is the id of the hold or permission, of the group, or of the
    catalog entry or term of a completion or limit; `facts` are its values after the change. No foreign keys: the ledger
    outlives what it names.
    """

    __tablename__ = "rule_events"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    student_id: Mapped[int] = mapped_column(Id)
    subject: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[int] = mapped_column(Id)
    change: Mapped[str] = mapped_column(String(20))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON().with_variant(JSONB(), "postgresql"), server_default="{}")
    actor: Mapped[str] = mapped_column(String(200), server_default=text("'database'"))
    request_id: Mapped[str | None] = mapped_column(String(128))

    __table_args__ = (
        CheckConstraint(
            "subject IN ('hold', 'permission', 'completion', 'limit', 'group')",
            name="subject_known",
        ),
        *map(in_range, ("id", "student_id", "subject_id")),
        Index("ix_rule_events_student_id_id", "student_id", "id"),
        {"sqlite_autoincrement": True},
    )


events = cast("Table", EnrollmentEvent.__table__)
rule_events = cast("Table", RuleEvent.__table__)
