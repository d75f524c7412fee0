"""Terms, the windows in which students register for their courses, and the credit limits of students."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import cast

from sqlalchemy import CheckConstraint, Date, ForeignKey, Identity, Index, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..database import Base
from ..database.types import NOW, Code, Credits, ExternalId, Id, UtcDateTime, in_range, utcnow, when_created


class Term(Base):
    """A period in which courses run.

    `starts_on` and `ends_on` are dates of the school. Students drop courses until `drop_until` (null: until the term
    ends), then withdraw until `withdraw_until` (null: not at all). Waitlists move until `promote_until` (null: until
    the term ends). `credit_limit` is the most credits of a student in the term (null: no limit).
    """

    __tablename__ = "terms"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Code)
    title: Mapped[str] = mapped_column(String(200))
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    credit_limit: Mapped[Decimal | None] = mapped_column(Credits)
    drop_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    withdraw_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    promote_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    external_id: Mapped[str | None] = mapped_column(ExternalId)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    windows: Mapped[list[RegistrationWindow]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="RegistrationWindow.id"
    )

    __table_args__ = (
        UniqueConstraint("code"),
        UniqueConstraint("external_id"),
        CheckConstraint("starts_on <= ends_on", name="dates_in_order"),
        CheckConstraint("credit_limit >= 0", name="credit_limit_not_negative"),
        CheckConstraint("withdraw_until >= drop_until", name="withdraw_after_drop"),
        in_range("id"),
        {"sqlite_autoincrement": True},
    )


class RegistrationWindow(Base):
    """A time in which students of a group, or all students (`group_id` null), register for the courses of a term.

    It is open from `opens_at` until just before `closes_at`.
    """

    __tablename__ = "registration_windows"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    term_id: Mapped[int] = mapped_column(Id, ForeignKey("terms.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"))
    opens_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closes_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("opens_at < closes_at", name="opens_before_closes"),
        *map(in_range, ("id", "term_id", "group_id")),
        Index("ix_registration_windows_term_id", "term_id"),
        Index("ix_registration_windows_group_id", "group_id"),
        {"sqlite_autoincrement": True},
    )


class StudentTerm(Base):
    """A student has a credit limit of its own in a term, in the place of the term's."""

    __tablename__ = "student_terms"

    student_id: Mapped[int] = mapped_column(
        Id, ForeignKey("students.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    term_id: Mapped[int] = mapped_column(
        Id, ForeignKey("terms.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    credit_limit: Mapped[Decimal] = mapped_column(Credits)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    __table_args__ = (
        CheckConstraint("credit_limit >= 0", name="credit_limit_not_negative"),
        *map(in_range, ("student_id", "term_id")),
        Index("ix_student_terms_term_id", "term_id"),
        {"sqlite_with_rowid": False},
    )


terms = cast("Table", Term.__table__)
registration_windows = cast("Table", RegistrationWindow.__table__)
student_terms = cast("Table", StudentTerm.__table__)
