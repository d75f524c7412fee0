"""Sign-ins to the pages, and what a student plans there."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Table
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import NOW, Id, UtcDateTime, in_range, utcnow

PROTECTED = "protected"
"""The method of sessions of protected mode, in which nobody signs in. The others: `issuer`, and `link`."""


class PageSession(Base):
    """A session of the pages. The browser has its id in a cookie; only the digest of the id is stored.

    It belongs to a person or to a student, and ends with the account by which it began. One of protected mode belongs
    to nobody, and its `student_id` is the student as whom the pages are viewed. `flash` is what the next page reports.
    """

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    method: Mapped[str] = mapped_column(String(20))
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id", ondelete="CASCADE"))
    student_id: Mapped[int | None] = mapped_column(Id, ForeignKey("students.id", ondelete="CASCADE"))
    account_id: Mapped[int | None] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    flash: Mapped[str | None] = mapped_column(String(1000))

    __table_args__ = (
        CheckConstraint("method IN ('issuer', 'link', 'protected')", name="method_known"),
        CheckConstraint("person_id IS NULL OR student_id IS NULL", name="person_or_student"),
        CheckConstraint(
            "method = 'protected' OR person_id IS NOT NULL OR student_id IS NOT NULL", name="owned_unless_protected"
        ),
        *map(in_range, ("person_id", "student_id", "account_id")),
        Index("ix_sessions_person_id", "person_id"),
        Index("ix_sessions_student_id", "student_id"),
        Index("ix_sessions_account_id", "account_id"),
        Index("ix_sessions_expires_at", "expires_at"),
        {"sqlite_with_rowid": False},
    )


class SignInLink(Base):
    """A link with which a person or a student signs in once, until it expires. Only the digest of its code is kept."""

    __tablename__ = "sign_in_links"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id", ondelete="CASCADE"))
    student_id: Mapped[int | None] = mapped_column(Id, ForeignKey("students.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("(person_id IS NULL) <> (student_id IS NULL)", name="person_or_student"),
        *map(in_range, ("person_id", "student_id")),
        Index("ix_sign_in_links_person_id", "person_id"),
        Index("ix_sign_in_links_student_id", "student_id"),
        {"sqlite_with_rowid": False},
    )


class PlannedCourse(Base):
    """A course that a student plans to enroll in. A plan reserves nothing."""

    __tablename__ = "planned_courses"

    student_id: Mapped[int] = mapped_column(
        Id, ForeignKey("students.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    course_id: Mapped[int] = mapped_column(
        Id, ForeignKey("courses.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )

    __table_args__ = (
        *map(in_range, ("student_id", "course_id")),
        Index("ix_planned_courses_course_id", "course_id"),
        {"sqlite_with_rowid": False},
    )


sessions = cast("Table", PageSession.__table__)
sign_in_links = cast("Table", SignInLink.__table__)
planned_courses = cast("Table", PlannedCourse.__table__)
