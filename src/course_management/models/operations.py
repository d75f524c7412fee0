"""Tables for the operation of the service: leases of background work, and the schema's compatibility."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import String, Table
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import UtcDateTime


class Lease(Base):
    """Which process does the background work `name`, until `expires_at` by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SchemaCompatibility(Base):
    """One row: the oldest version of this code, by its migration, that can work with the present schema."""

    __tablename__ = "schema_compatibility"

    oldest_revision: Mapped[str] = mapped_column(String(32), primary_key=True)


leases = cast("Table", Lease.__table__)
