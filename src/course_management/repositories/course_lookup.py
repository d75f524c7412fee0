"""Find courses, catalog entries and terms by their codes and ids, and codes by ids.

`courses_named` and `entries_named` take a code as people write it: the rows with exactly this code or, where there are
none, with this code in another case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Table, bindparam, func, or_, select

from ..database import AnyRow, autocommit, reading
from ..database.types import Code, IdList, among
from ..models import catalog_entries, courses, terms
from ..models.search import normalized

AT_ONCE = 10_000
"""Codes per statement; databases limit the number of its parameters."""

_COURSES = select(courses.c.id, courses.c.code, courses.c.term_id, terms.c.code.label("term")).outerjoin(
    terms, terms.c.id == courses.c.term_id
)
_COURSE_CODES = select(courses.c.id, courses.c.code).where(among(courses.c.id, bindparam("ids", type_=IdList)))
_ENTRY_CODES = select(catalog_entries.c.id, catalog_entries.c.code).where(
    among(catalog_entries.c.id, bindparam("ids", type_=IdList))
)
_TERM = select(terms.c.id).where(terms.c.code == bindparam("code", type_=Code))
_WITHOUT_TERM = select(courses.c.id).where(courses.c.term_id.is_(None)).order_by(courses.c.id)
_TERMS = (
    select(
        terms.c.id,
        terms.c.code,
        terms.c.title,
        terms.c.starts_on,
        terms.c.ends_on,
        func.count(courses.c.id).label("courses"),
    )
    .outerjoin(courses, courses.c.term_id == terms.c.id)
    .group_by(terms.c.id, terms.c.code, terms.c.title, terms.c.starts_on, terms.c.ends_on)
    .order_by(terms.c.starts_on, terms.c.code)
)


def courses_named(code: str) -> Sequence[AnyRow]:
    """Return the courses of all terms that a code means: `id, code, term_id`."""
    return _named(courses, code, "term_id")


def entries_named(code: str) -> Sequence[AnyRow]:
    """Return the catalog entries that a code means: `id, code`."""
    return _named(catalog_entries, code)


def codes_of_entries(catalog_ids: Collection[int]) -> dict[int, str]:
    """Return the codes of these catalog entries by their ids."""
    return {row.id: row.code for row in autocommit(_ENTRY_CODES, {"ids": sorted(catalog_ids)})} if catalog_ids else {}


def courses_by_code_or_id(codes: Sequence[str], ids: Collection[int]) -> list[AnyRow]:
    """Return the courses with one of these codes, in any term, or one of these ids: `id, code, term_id, term`, by id.

    `term` is the code of the term; None without one.
    """
    course_by_id: dict[int, AnyRow] = {}
    with reading() as session:
        for start in range(0, max(len(codes), 1), AT_ONCE):
            of_codes = courses.c.code.in_(codes[start : start + AT_ONCE])
            of_ids = among(courses.c.id, bindparam("ids", type_=IdList))
            rows = session.execute(_COURSES.where(or_(of_codes, of_ids)), {"ids": list(ids)})
            course_by_id |= {row.id: row for row in rows}
    return [course_by_id[course_id] for course_id in sorted(course_by_id)]


def course_codes(ids: Iterable[int]) -> dict[int, str]:
    """Return the codes of these courses by their ids; those that do not exist are left out."""
    wanted = sorted(set(ids))
    return {row.id: row.code for row in autocommit(_COURSE_CODES, {"ids": wanted})} if wanted else {}


def courses_without_term() -> list[int]:
    """Return the ids of the courses without a term, ascending."""
    return [row.id for row in autocommit(_WITHOUT_TERM)]


def term_with_code(code: str) -> int | None:
    """Return the id of the term with this code, or None."""
    return next((row.id for row in autocommit(_TERM, {"code": code})), None)


def all_terms() -> Sequence[AnyRow]:
    """Return the terms by their first day: `id, code, title, starts_on, ends_on`, and the number of their `courses`."""
    return autocommit(_TERMS)


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
