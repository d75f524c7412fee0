"""The catalog: subjects with their prerequisites, and what students have completed of them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import cast

from sqlalchemy import (
    CheckConstraint,
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
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import (
    NOW,
    Code,
    Credits,
    ExternalId,
    Id,
    Points,
    UtcDateTime,
    boolean,
    in_range,
    utcnow,
    when_created,
)
from .search import Searchable, search_column


class CatalogEntry(Searchable, Base):
    """A subject as the catalog describes it; several courses offer it.

    `courses_per_term` is the most courses of the entry, of the same component, that a student takes in a term;
    `completions_allowed` is how often the entry can be completed. Null means any number for both. The credits describe
    the entry; a course counts its own.
    """

    __tablename__ = "catalog_entries"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Code)
    title: Mapped[str] = mapped_column(String(200))
    credits: Mapped[Decimal] = mapped_column(Credits)
    credits_max: Mapped[Decimal | None] = mapped_column(Credits)
    # `evaluates_none`, or the ORM would insert the default instead of null.
    courses_per_term: Mapped[int | None] = mapped_column(Integer().evaluates_none(), server_default=text("1"))
    completions_allowed: Mapped[int | None]
    external_id: Mapped[str | None] = mapped_column(ExternalId)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    searched = ("code", "title")
    search_text: Mapped[str | None] = search_column(*searched)

    __table_args__ = (
        UniqueConstraint("code"),
        UniqueConstraint("external_id"),
        CheckConstraint("credits >= 0", name="credits_not_negative"),
        CheckConstraint("credits <= credits_max", name="credits_in_order"),
        CheckConstraint("courses_per_term >= 1", name="courses_per_term_positive"),
        CheckConstraint("completions_allowed >= 1", name="completions_allowed_positive"),
        in_range("id"),
        {"sqlite_autoincrement": True},
    )


class Prerequisite(Base):
    """One alternative of a group of prerequisites: another entry, or a group of students.

    A student needs one alternative of each group. An entry is completed with at least `minimum_points` (null: passed);
    `minimum_grade` says the same in words. With `concurrent_allowed`, taking it in the same term is enough.
    """

    __tablename__ = "prerequisites"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    catalog_id: Mapped[int] = mapped_column(Id, ForeignKey("catalog_entries.id", ondelete="CASCADE"))
    group_number: Mapped[int]
    required_id: Mapped[int | None] = mapped_column(Id, ForeignKey("catalog_entries.id"))
    required_group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"))
    minimum_points: Mapped[Decimal | None] = mapped_column(Points)
    minimum_grade: Mapped[str | None] = mapped_column(String(20))
    concurrent_allowed: Mapped[bool] = mapped_column(boolean("concurrent_allowed"), server_default=false())

    __table_args__ = (
        UniqueConstraint("catalog_id", "group_number", "required_id"),
        UniqueConstraint("catalog_id", "group_number", "required_group_id"),
        CheckConstraint("(required_id IS NULL) <> (required_group_id IS NULL)", name="entry_or_group"),
        CheckConstraint("required_id <> catalog_id", name="not_itself"),
        CheckConstraint("minimum_grade IS NULL OR minimum_points IS NOT NULL", name="grade_has_points"),
        CheckConstraint("minimum_points >= 0", name="minimum_points_not_negative"),
        *map(in_range, ("id", "catalog_id", "required_id", "required_group_id")),
        Index("ix_prerequisites_required_id", "required_id"),
        Index("ix_prerequisites_required_group_id", "required_group_id"),
        {"sqlite_autoincrement": True},
    )


class Completion(Base):
    """A student completed a catalog entry in a term: here, or at another school (`source`).

    `term_code` need not be the code of a term of this service. `points` decide where a prerequisite needs points.
    """

    __tablename__ = "completions"

    student_id: Mapped[int] = mapped_column(Id, ForeignKey("students.id"), primary_key=True, autoincrement=False)
    catalog_id: Mapped[int] = mapped_column(Id, ForeignKey("catalog_entries.id"), primary_key=True, autoincrement=False)
    term_code: Mapped[str] = mapped_column(Code, primary_key=True)
    grade: Mapped[str] = mapped_column(String(20))
    points: Mapped[Decimal | None] = mapped_column(Points)
    passed: Mapped[bool] = mapped_column(boolean("passed"))
    credits: Mapped[Decimal] = mapped_column(Credits)
    source: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    __table_args__ = (
        CheckConstraint("points >= 0", name="points_not_negative"),
        CheckConstraint("credits >= 0", name="credits_not_negative"),
        *map(in_range, ("student_id", "catalog_id")),
        Index("ix_completions_catalog_id", "catalog_id"),
        {"sqlite_with_rowid": False},
    )


catalog_entries = cast("Table", CatalogEntry.__table__)
prerequisites = cast("Table", Prerequisite.__table__)
completions = cast("Table", Completion.__table__)
