"""Students."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import Identity, String, Table, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..database import Base
from ..database.types import NOW, ExternalId, Id, UtcDateTime, in_range, utcnow, when_created
from .search import Searchable, search_column

if TYPE_CHECKING:
    from .enrollments import StudentCourses


class Student(Searchable, Base):
    """A person who takes courses. The service stores `email` in its canonical form (`schemas.email_addresses`).

    A trigger raises `schedule_revision` when the student's enrollment in a course of a term changes, so that a decision
    by the rules of registration can be compared with what it was based on.
    """

    __tablename__ = "students"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    external_id: Mapped[str | None] = mapped_column(ExternalId)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)
    schedule_revision: Mapped[int] = mapped_column(server_default=text("0"))

    searched = ("name", "email")
    search_text: Mapped[str | None] = search_column(*searched)

    enrollments: Mapped[list[StudentCourses]] = relationship(back_populates="student", passive_deletes="all")

    # Without AUTOINCREMENT, SQLite would give the id of a deleted student, and so its ledger lines, to the next
    # student.
    __table_args__ = (
        UniqueConstraint("email"),
        UniqueConstraint("external_id"),
        in_range("id"),
        {"sqlite_autoincrement": True},
    )


students = cast("Table", Student.__table__)
