"""The keys of services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Identity, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import NOW, Id, UtcDateTime, Words, in_range, utcnow, when_created


class ApiKey(Base):
    """The key of a service. Its secret is stored as SHA-256 only; it is random, so a slow hash would add nothing."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[Sequence[str]] = mapped_column(Words(1000))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    __table_args__ = (UniqueConstraint("prefix"), in_range("id"), {"sqlite_autoincrement": True})


keys = cast("Table", ApiKey.__table__)
