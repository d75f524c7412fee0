"""Read imports and their rows, and what imports compare with: rows by their external ids."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Column, Select, Table, and_, func, or_, select, tuple_

from ..database import AnyRow, Base, reading
from ..models import (
    APPLIED,
    Import,
    courses,
    enrollments,
    import_rows,
    imports,
    is_held,
    students,
    was_accepted,
)

PAGE = 2_000
"""Rows that are read at once."""


def latest(digest: str) -> Import | None:
    """Return the newest import of these files with these options, or None."""
    with reading() as session:
        return session.scalars(
            select(Import).where(Import.digest == digest).order_by(Import.id.desc()).limit(1)
        ).first()


def find(import_id: int) -> Import | None:
    """Return an import, or None."""
    with reading() as session:
        return session.get(Import, import_id)


def newest(before: int, limit: int) -> Sequence[Import]:
    """Return up to `limit` imports with an id below `before`, newest first."""
    with reading() as session:
        return session.scalars(select(Import).where(Import.id < before).order_by(Import.id.desc()).limit(limit)).all()


def ended_before(moment: datetime) -> Sequence[int]:
    """Return the ids of the imports that still have rows, and whose state has not changed since then."""
    has_rows = select(import_rows.c.number).where(import_rows.c.import_id == imports.c.id).exists()
    statement = select(imports.c.id).where(imports.c.updated_at < moment, has_rows).order_by(imports.c.id)
    with reading() as session:
        return session.scalars(statement).all()


def total(import_id: int, kinds: Collection[str]) -> int:
    """Return the number of rows of an import, of some kinds."""
    table = import_rows.c
    statement = select(func.count()).where(table.import_id == import_id, table.kind.in_(kinds))
    with reading() as session:
        return session.scalar(statement) or 0


def rows_by_unit(import_id: int, kind: str) -> Iterator[AnyRow]:
    """Yield the rows of a kind in the order of their units, in bounded memory."""
    table = import_rows.c
    statement = (
        select(import_rows)
        .where(table.import_id == import_id, table.kind == kind)
        .order_by(table.unit, table.number)
        .limit(PAGE)
    )
    yield from _pages(statement, lambda row: tuple_(table.unit, table.number) > (row.unit, row.number))


def rows_by_number(import_id: int) -> Iterator[AnyRow]:
    """Yield all rows in the order of the files, in bounded memory."""
    table = import_rows.c
    statement = select(import_rows).where(table.import_id == import_id).order_by(table.number).limit(PAGE)
    yield from _pages(statement, lambda row: table.number > row.number)


def _pages(statement: Select[Any], after: Any) -> Iterator[AnyRow]:
    page = statement
    while True:
        with reading() as session:
            rows = session.execute(page).all()
        yield from rows
        if len(rows) < PAGE:
            return
        page = statement.where(after(rows[-1]))


def counts(import_id: int) -> Mapping[tuple[str, str], int]:
    """Return the number of rows by kind and outcome."""
    return _counts(import_id, import_rows.c.kind, import_rows.c.outcome)


def counts_by_code(import_id: int) -> Mapping[tuple[str, str | None], int]:
    """Return the number of rows by outcome and code."""
    return _counts(import_id, import_rows.c.outcome, import_rows.c.code)


def _counts(import_id: int, *columns: Column[Any]) -> Mapping[Any, int]:
    statement = select(*columns, func.count()).where(import_rows.c.import_id == import_id).group_by(*columns)
    with reading() as session:
        return {tuple(values): count for *values, count in session.execute(statement).all()}


def examples(import_id: int, outcome: str, code: str | None, limit: int) -> Sequence[AnyRow]:
    """Return the first rows with an outcome and a code."""
    table = import_rows.c
    statement = (
        select(import_rows)
        .where(table.import_id == import_id, table.outcome == outcome, table.code.is_not_distinct_from(code))
        .order_by(table.number)
        .limit(limit)
    )
    with reading() as session:
        return session.execute(statement).all()


def planned_names(import_id: int, kind: str, names: Collection[str]) -> set[str]:
    """Return which of these external ids and codes belong to rows that an import creates."""
    table = import_rows.c
    code = table.content["values"]["code"].as_string()
    statement = select(table.unit, code).where(
        table.import_id == import_id,
        table.kind == kind,
        or_(table.unit.in_(names), code.in_(names)),
        table.outcome == "create",
    )
    with reading() as session:
        rows = session.execute(statement).all() if names else ()
    return {name for row in rows for name in row if name in names}


def last_imported_contents(import_id: int, kind: str, units: Collection[str]) -> Mapping[tuple[str, str | None], Any]:
    """Return the contents that the latest applied imports before this one had, by unit and part."""
    table = import_rows.c
    statement = (
        select(table.unit, table.part, table.content)
        .join(imports, imports.c.id == table.import_id)
        .where(
            table.kind == kind,
            table.unit.in_(units),
            table.import_id < import_id,
            imports.c.state == APPLIED,
            was_accepted(import_rows),
        )
        .order_by(table.import_id, table.number)
    )
    with reading() as session:
        return {(unit, part): content for unit, part, content in session.execute(statement)} if units else {}


def by_external_id(model: type[Base], ids: Collection[str]) -> Mapping[str, Any]:
    """Return the objects of a model by their external ids."""
    column = _table(model).c.external_id
    with reading() as session:
        rows: Any = session.scalars(select(model).where(column.in_(ids))).all() if ids else ()
    return {row.external_id: row for row in rows}


def _table(model: type[Base]) -> Table:
    return cast("Table", model.__table__)


def seats_of(course_ids: Collection[int]) -> Mapping[int, AnyRow]:
    """Return `capacity`, `waitlist_capacity`, `seats_taken` and `waiting` of courses, by id."""
    table = courses.c
    columns = (table.id, table.capacity, table.waitlist_capacity, table.seats_taken, table.waiting)
    with reading() as session:
        rows = session.execute(select(*columns).where(table.id.in_(course_ids))).all() if course_ids else []
    return {row.id: row for row in rows}


def _terms_of(import_id: int) -> tuple[Any, Any]:
    """Return a condition on `row` for the enrollments of an import, and the terms of their courses.

    A file may name a course by its code, too: then all of that code count, so that none of them is emptied by mistake.
    """
    row = import_rows.alias("row")
    named = and_(row.c.import_id == import_id, row.c.kind == "enrollments")
    is_course = or_(row.c.part == courses.c.external_id, row.c.part == courses.c.code)
    return row, (named, select(courses.c.term_id).join(row, is_course).where(named).distinct())


def _in_scope(import_id: int, term_ids: Any, *, only_described: bool) -> Any:
    """Return a condition on `courses`: in one of the terms and, with `only_described`, a course that the import has."""
    own = select(import_rows.c.unit).where(import_rows.c.import_id == import_id, import_rows.c.kind == "courses")
    in_terms = courses.c.term_id.in_(term_ids)
    return and_(in_terms, courses.c.external_id.in_(own)) if only_described else in_terms


def missing(import_id: int, *, only_described: bool) -> Sequence[AnyRow]:
    """Return `student`, `course`, `of_course` of the enrollments that earlier imports made and this one does not name.

    They are looked for in the terms of the courses of which the import has enrollments, with `only_described` only in
    courses of which it has a row, too. `student` and `course` are
    external ids, `of_course` is how many enrollments earlier imports made in the course.
    """
    row, (named, term_ids) = _terms_of(import_id)
    by_import = and_(enrollments.c.actor.like("import:%"), is_held(enrollments))
    of_course = func.count().over(partition_by=enrollments.c.course_id).label("of_course")
    imported = (
        select(
            students.c.external_id.label("student"),
            courses.c.external_id.label("course"),
            courses.c.code,
            of_course,
        )
        .select_from(enrollments.join(students).join(courses))
        .where(
            by_import,
            _in_scope(import_id, term_ids, only_described=only_described),
            students.c.external_id.is_not(None),
            courses.c.external_id.is_not(None),
        )
        .subquery()
    )
    statement = (
        select(imported)
        .where(
            ~select(row.c.number)
            .where(
                named,
                row.c.unit == imported.c.student,
                or_(row.c.part == imported.c.course, row.c.part == imported.c.code),
            )
            .exists()
        )
        .order_by(imported.c.student, imported.c.course)
    )
    with reading() as session:
        return session.execute(statement).all()


def imported_total(import_id: int, *, only_described: bool) -> int:
    """Return how many enrollments earlier imports made, in the terms (and courses) of this one, as `missing` does."""
    _, (_, term_ids) = _terms_of(import_id)
    statement = (
        select(func.count())
        .select_from(enrollments.join(courses))
        .where(
            enrollments.c.actor.like("import:%"),
            is_held(enrollments),
            _in_scope(import_id, term_ids, only_described=only_described),
        )
    )
    with reading() as session:
        return session.scalar(statement) or 0
