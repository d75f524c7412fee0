"""Find rows by the codes that people write: exactly these or, where there are none, in another case."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, bindparam, select

from ..database import AnyRow, autocommit, reading
from ..database.types import Id
from ..models import CatalogEntry, Course
from ..models.search import normalized

_ENTRY = select(CatalogEntry.code).where(CatalogEntry.id == bindparam("id", type_=Id))


def courses_named(code: str) -> Sequence[AnyRow]:
    """Return the courses of all terms that a code means: `id, code, term_id`."""
    return _named(Course.__table__, code, "term_id")  # type: ignore[arg-type]


def entries_named(code: str) -> Sequence[AnyRow]:
    """Return the catalog entries that a code means: `id, code`."""
    return _named(CatalogEntry.__table__, code)  # type: ignore[arg-type]


def code_of_entry(catalog_id: int) -> str:
    """Return the code of a catalog entry; empty if there is none."""
    return next((str(row.code) for row in autocommit(_ENTRY, {"id": catalog_id})), "")


def _named(table: Table, code: str, *more: str) -> Sequence[AnyRow]:
    """Return the rows with exactly this code or, where there are none, with this code in another case."""
    columns = [table.c[name] for name in ("id", "code", *more)]
    code = " ".join(code.split())

    def read(condition: ColumnElement[bool]) -> Sequence[AnyRow]:
        with reading() as session:
            return session.execute(select(*columns).where(condition).order_by(table.c.id)).all()

    # The search text begins with the code, folded as both databases cannot do it themselves.
    begins = table.c.search_text.startswith(normalized(code), autoescape=True)
    return read(table.c.code == code) or [row for row in read(begins) if normalized(row.code) == normalized(code)]
