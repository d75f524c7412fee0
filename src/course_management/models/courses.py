"""Courses."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    FetchedValue,
    Identity,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..database import Base
from ..database.types import NOW, Code, ExternalId, Id, UtcDateTime, in_range, utcnow, when_created
from .search import Searchable, search_column

if TYPE_CHECKING:
    from .enrollments import StudentCourses


class Course(Searchable, Base):
    """What students enroll in.

    `capacity` is the number of seats, `waitlist_capacity` that of places on the waitlist; null means no limit. Triggers
    keep the counters `seats_taken`, `waiting` and `last_queue_number`; the service only reads them.
    """

    __tablename__ = "courses"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Code)
    title: Mapped[str] = mapped_column(String(200))
    capacity: Mapped[int | None]
    # `evaluates_none`, or the ORM would insert the default instead of null.
    waitlist_capacity: Mapped[int | None] = mapped_column(Integer().evaluates_none(), server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    seats_taken: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    waiting: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    last_queue_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), server_onupdate=FetchedValue())
    last_event_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    external_id: Mapped[str | None] = mapped_column(ExternalId)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    searched = ("code", "title")
    search_text: Mapped[str | None] = search_column(*searched)

    enrollments: Mapped[list[StudentCourses]] = relationship(back_populates="course", passive_deletes="all")

    __table_args__ = (
        UniqueConstraint("code"),
        UniqueConstraint("external_id"),
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
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012 - the counters come with the UPDATE, by RETURNING


courses = cast("Table", Course.__table__)
