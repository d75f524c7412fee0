"""Holds, which stop a student, and permissions, which waive a rule for a student in a course."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, String, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import NOW, Id, UtcDateTime, in_range, utcnow, when_created, where

BLOCKS = ("enroll", "unenroll", "both")
"""What a hold stops."""


class Hold(Base):
    """A block on a student until it is released, or until `until`.

    `contact` is where the student can have it released; `note` is for staff only. A released hold stays in the table.
    """

    __tablename__ = "holds"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    student_id: Mapped[int] = mapped_column(Id, ForeignKey("students.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(50))
    note: Mapped[str | None] = mapped_column(String(1000))
    contact: Mapped[str] = mapped_column(String(200))
    blocks: Mapped[str] = mapped_column(String(20))
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    placed_by: Mapped[str] = mapped_column(String(200), server_default=text("'database'"))
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_by: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    __table_args__ = (
        CheckConstraint("blocks IN ('enroll', 'unenroll', 'both')", name="blocks_known"),
        *map(in_range, ("id", "student_id")),
        Index("ix_holds_student_id", "student_id"),
        {"sqlite_autoincrement": True},
    )


class Permission(Base):
    """A rule is waived for a student in a course, until the permission expires or is revoked.

    `rule` is the code of the reason that it waives; which codes can be waived is said by the rules themselves. Of each
    student, course and rule, one permission is not revoked. An expired one counts until it is revoked.
    """

    __tablename__ = "permissions"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    student_id: Mapped[int] = mapped_column(Id, ForeignKey("students.id", ondelete="CASCADE"))
    course_id: Mapped[int] = mapped_column(Id, ForeignKey("courses.id", ondelete="CASCADE"))
    rule: Mapped[str] = mapped_column(String(50))
    reason: Mapped[str] = mapped_column(String(500))
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    granted_by: Mapped[str] = mapped_column(String(200), server_default=text("'database'"))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    __table_args__ = (
        *map(in_range, ("id", "student_id", "course_id")),
        Index(
            "uq_permissions_student_id_course_id_rule",
            "student_id",
            "course_id",
            "rule",
            unique=True,
            **where("revoked_at IS NULL"),
        ),
        Index("ix_permissions_student_id", "student_id"),
        Index("ix_permissions_course_id", "course_id"),
        {"sqlite_autoincrement": True},
    )


holds = cast("Table", Hold.__table__)
permissions = cast("Table", Permission.__table__)
