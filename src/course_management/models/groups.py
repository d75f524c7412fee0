"""Groups of students, and courses that admit or exclude them."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import ForeignKey, Identity, Index, String, Table, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import NOW, Code, Id, UtcDateTime, boolean, in_range, utcnow, when_created


class Group(Base):
    """What students have in common: a `kind` (`program`, `level`, `standing`, `campus`, `placement` and others), and
    which one of it.
    """

    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Code)
    code: Mapped[str] = mapped_column(Code)
    title: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    __table_args__ = (UniqueConstraint("kind", "code"), in_range("id"), {"sqlite_autoincrement": True})


class StudentGroup(Base):
    """A student is in a group."""

    __tablename__ = "student_groups"

    student_id: Mapped[int] = mapped_column(
        Id, ForeignKey("students.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    group_id: Mapped[int] = mapped_column(Id, ForeignKey("groups.id"), primary_key=True, autoincrement=False)

    __table_args__ = (
        *map(in_range, ("student_id", "group_id")),
        Index("ix_student_groups_group_id", "group_id"),
        {"sqlite_with_rowid": False},
    )


class CourseRestriction(Base):
    """A course admits the students of a group, or excludes them.

    Of each kind of group that the course admits, a student must be in one; and in none that it excludes.
    """

    __tablename__ = "course_restrictions"

    course_id: Mapped[int] = mapped_column(
        Id, ForeignKey("courses.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    group_id: Mapped[int] = mapped_column(Id, ForeignKey("groups.id"), primary_key=True, autoincrement=False)
    admits: Mapped[bool] = mapped_column(boolean("admits"), server_default=true())

    __table_args__ = (
        *map(in_range, ("course_id", "group_id")),
        Index("ix_course_restrictions_group_id", "group_id"),
        {"sqlite_with_rowid": False},
    )


groups = cast("Table", Group.__table__)
student_groups = cast("Table", StudentGroup.__table__)
course_restrictions = cast("Table", CourseRestriction.__table__)
