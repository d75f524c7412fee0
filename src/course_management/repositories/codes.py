"""Find rows by the codes that people write: exactly these or, where there are none, in another case."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Table, bindparam, select

from ..database import AnyRow, autocommit, reading
from ..database.types import IdList, among
from ..models import catalog_entries, courses
from ..models.search import normalized

_ENTRIES = select(catalog_entries.c.id, catalog_entries.c.code).where(
    among(catalog_entries.c.id, bindparam("ids", type_=IdList))
)


def courses_named(code: str) -> Sequence[AnyRow]:
    """Return the courses of all terms that a code means: `id, code, term_id`."""
    return _named(courses, code, "term_id")


def entries_named(code: str) -> Sequence[AnyRow]:
    """Return the catalog entries that a code means: `id, code`."""
    return _named(catalog_entries, code)


def codes_of_entries(catalog_ids: Collection[int]) -> dict[int, str]:
    """Return the codes of these catalog entries by their ids."""
    return {row.id: row.code for row in autocommit(_ENTRIES, {"ids": sorted(catalog_ids)})} if catalog_ids else {}


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
