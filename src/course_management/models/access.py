"""What is known of callers: the keys of services, the accounts of people, and whom an advisor advises."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import NOW, Id, UtcDateTime, in_range, utcnow


class ApiKey(Base):
    """The key of a service. Of its secret only the SHA-256 is kept: it is random, so that a slow hash adds nothing."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, onupdate=utcnow, server_default=NOW)

    __table_args__ = (UniqueConstraint("prefix"), in_range("id"), {"sqlite_autoincrement": True})


class Account(Base):
    """Somebody the issuer of tokens knows as `subject`, and who that is here: one student, or one of the staff."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20))
    student_id: Mapped[int | None] = mapped_column(Id, ForeignKey("students.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)

    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        CheckConstraint("role IN ('student', 'advisor', 'registrar')", name="role_known"),
        CheckConstraint("(role = 'student') = (student_id IS NOT NULL)", name="student_iff_role"),
        *map(in_range, ("id", "student_id")),
        Index("ix_accounts_student_id", "student_id"),
        {"sqlite_autoincrement": True},
    )


class Advisee(Base):
    """A student whom an advisor is named for."""

    __tablename__ = "advisees"

    account_id: Mapped[int] = mapped_column(
        Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    student_id: Mapped[int] = mapped_column(
        Id, ForeignKey("students.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )

    __table_args__ = (
        *map(in_range, ("account_id", "student_id")),
        Index("ix_advisees_student_id", "student_id"),
        {"sqlite_with_rowid": False},
    )


keys = cast("Table", ApiKey.__table__)
accounts = cast("Table", Account.__table__)
advisees = cast("Table", Advisee.__table__)
