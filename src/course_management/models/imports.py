"""Imports of files, and their rows: what each says, what would become of it, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    FromClause,
    Identity,
    Index,
    String,
    Table,
    and_,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import NOW, Id, UtcDateTime, in_range, utcnow, when_created

READING, PLANNING, PLANNED, APPLYING, APPLIED = "reading", "planning", "planned", "applying", "applied"
Json = JSON().with_variant(JSONB(), "postgresql")
Key = String(255, collation="C").with_variant(String(255), "sqlite")


class Import(Base):
    """An import of files. `digest` is that of the files and the options: the same ones go on where they stopped."""

    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    format: Mapped[str] = mapped_column(String(50))
    digest: Mapped[str] = mapped_column(String(64))
    files: Mapped[list[dict[str, str]]] = mapped_column(Json)
    options: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    __table_args__ = (
        CheckConstraint("state IN ('reading', 'planning', 'planned', 'applying', 'applied')", name="state_known"),
        in_range("id"),
        Index("ix_imports_digest", "digest"),
        {"sqlite_autoincrement": True},
    )


class ImportRow(Base):
    """A row of an import. Rows of one `unit` (a student, a course, …) are decided together.

    `unit` and `part` identify what the row is about among those of its `kind`: for an enrollment the student and the
    course. `content` has the values of the row. `outcome`, `code` and `detail` are those of the plan until
    `applied_at`, then what was done.
    """

    __tablename__ = "import_rows"

    import_id: Mapped[int] = mapped_column(
        Id, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    unit: Mapped[str] = mapped_column(Key)
    part: Mapped[str | None] = mapped_column(Key)
    file: Mapped[str] = mapped_column(String(255))
    line: Mapped[int | None]
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    outcome: Mapped[str | None] = mapped_column(String(20))
    code: Mapped[str | None] = mapped_column(String(50))
    detail: Mapped[str | None] = mapped_column(String(1000))
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        *map(in_range, ("import_id", "number")),
        Index("ix_import_rows_import_id_kind_unit_number", "import_id", "kind", "unit", "number"),
        Index("ix_import_rows_kind_unit_import_id", "kind", "unit", "import_id"),
        {"sqlite_with_rowid": False},
    )


imports = cast("Table", Import.__table__)
import_rows = cast("Table", ImportRow.__table__)


def was_accepted(row: FromClause) -> ColumnElement[bool]:
    """Return the condition that the database has what a row of `import_rows` says, if its import was applied.

    A row that repeats or contradicts another one does not count: the other one may have been refused.
    """
    return and_(
        row.c.outcome.not_in(["refuse", "warning"]),
        func.coalesce(row.c.code, "").not_in(["duplicate_row", "contradicting_row"]),
    )
