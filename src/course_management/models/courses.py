"""Courses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..database import Base
from ..database.types import (
    NOW,
    Code,
    Credits,
    ExternalId,
    Id,
    UtcDateTime,
    boolean,
    in_range,
    utcnow,
    when_created,
    where,
)
from .search import Searchable, search_column

if TYPE_CHECKING:
    from .enrollments import StudentCourses


class Course(Searchable, Base):
    """What students enroll in.

    `capacity` is the number of seats, `waitlist_capacity` that of places on the waitlist; null means no limit. Triggers
    keep the counters `seats_taken`, `waiting`, `passed_over_count` and `last_queue_number`; the service only reads
    them.

    The rules of registration hold in courses of a term. A course can be moved into a term, and never out of it.
    `catalog_id` is the catalog entry that it offers, and `component` its section component (`LEC`, `LAB`, or empty). A
    student takes it for `credits` (null: 0) or, with `credits_max`, for any number from the one to the other. A course
    with `closed_at` takes no students. `promotion_round_at` is the start of the last promotion that checked the rules
    for each waiting student.
    """

    __tablename__ = "courses"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Code)
    title: Mapped[str] = mapped_column(String(200))
    capacity: Mapped[int | None]
    # `evaluates_none`, or the ORM would insert the default instead of null.
    waitlist_capacity: Mapped[int | None] = mapped_column(Integer().evaluates_none(), server_default=text("0"))
    term_id: Mapped[int | None] = mapped_column(Id, ForeignKey("terms.id"))
    component: Mapped[str] = mapped_column(String(20), server_default=text("''"))
    permission_required: Mapped[bool] = mapped_column(boolean("permission_required"), server_default=false())
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    catalog_id: Mapped[int | None] = mapped_column(Id, ForeignKey("catalog_entries.id"))
    credits: Mapped[Decimal | None] = mapped_column(Credits)
    credits_max: Mapped[Decimal | None] = mapped_column(Credits)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    seats_taken: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    waiting: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    passed_over_count: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    promotion_round_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_queue_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), server_onupdate=FetchedValue())
    last_event_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    external_id: Mapped[str | None] = mapped_column(ExternalId)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    searched = ("code", "title")
    search_text: Mapped[str | None] = search_column(*searched)

    @property
    def closed(self) -> bool:
        """Whether the course takes no more students. Closing it again keeps `closed_at`."""
        return self.closed_at is not None

    @closed.setter
    def closed(self, value: bool) -> None:
        self.closed_at = (self.closed_at or utcnow()) if value else None

    enrollments: Mapped[list[StudentCourses]] = relationship(back_populates="course", passive_deletes="all")

    __table_args__ = (
        UniqueConstraint("external_id"),
        CheckConstraint(
            "seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity)", name="seats_within_capacity"
        ),
        CheckConstraint(
            "waiting >= 0 AND (waitlist_capacity IS NULL OR waiting <= waitlist_capacity)",
            name="waiting_within_waitlist",
        ),
        CheckConstraint("passed_over_count BETWEEN 0 AND waiting", name="passed_over_within_waiting"),
        CheckConstraint("term_id IS NOT NULL OR NOT permission_required", name="permission_required_in_term"),
        CheckConstraint("term_id IS NOT NULL OR credits IS NULL", name="credits_in_term"),
        CheckConstraint("credits >= 0", name="credits_not_negative"),
        CheckConstraint(
            "credits_max IS NULL OR (credits IS NOT NULL AND credits <= credits_max)", name="credits_in_order"
        ),
        *map(in_range, ("id", "term_id", "catalog_id")),
        # PostgreSQL 13 has no NULLS NOT DISTINCT, so codes of courses with and without a term have an index each.
        Index("uq_courses_code", "code", unique=True, **where("term_id IS NULL")),
        Index("uq_courses_term_id_code", "term_id", "code", unique=True, **where("term_id IS NOT NULL")),
        Index("ix_courses_code", "code"),  # to find a code in any term
        Index("ix_courses_catalog_id", "catalog_id"),
        {"sqlite_autoincrement": True},
    )
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012 - the counters come with the UPDATE, by RETURNING


courses = cast("Table", Course.__table__)
