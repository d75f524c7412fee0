"""Tables for the operation of the service: leases of background work, verifications, the schema's compatibility."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Identity, Index, String, Table
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import Id, UtcDateTime, in_range
from .imports import Json


class Lease(Base):
    """Which process does the background work `name`, until `expires_at` by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Verification(Base):
    """A verification of the database by the service: its findings, or the kind of the error that ended it early.

    It is going on, or was interrupted, as long as `ended_at` is empty.
    """

    __tablename__ = "verifications"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(String(100))
    findings: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)

    __table_args__ = (
        in_range("id"),
        Index("ix_verifications_started_at", "started_at"),
        {"sqlite_autoincrement": True},
    )


class SchemaCompatibility(Base):
    """One row: the oldest version of this code, by its migration, that can work with the present schema."""

    __tablename__ = "schema_compatibility"

    oldest_revision: Mapped[str] = mapped_column(String(32), primary_key=True)


leases = cast("Table", Lease.__table__)
verifications = cast("Table", Verification.__table__)
