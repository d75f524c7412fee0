"""Read what the staff has recorded about a student, newest first, and the ledger of these changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Integer, Select, Table, and_, bindparam, select

from ..database import AnyRow, autocommit
from ..database.types import MAX_ID, Id, IdList, among
from ..errors import StudentNotFound
from ..models import (
    catalog_entries,
    completions,
    courses,
    groups,
    holds,
    permissions,
    rule_events,
    student_terms,
    students,
    terms,
)

_STUDENT, _BEFORE, _LIMIT = (
    bindparam("student", type_=Id),
    bindparam("before", type_=Id),
    bindparam("limit", type_=Integer),
)


def _of_student(table: Table, *columns: Any, joined: Any = None) -> Select[Any]:
    """Select the newest rows of a student; one row without an id means that the student has none."""
    mine = and_(table.c.student_id == students.c.id, table.c.id < _BEFORE)
    source = students.outerjoin(table, mine)
    if joined is not None:
        source = source.outerjoin(*joined)
    return (
        select(table, *columns)
        .select_from(source)
        .where(students.c.id == _STUDENT)
        .order_by(table.c.id.desc())
        .limit(_LIMIT)
    )


_HOLDS = _of_student(holds)
_PERMISSIONS = _of_student(
    permissions, courses.c.code.label("course"), joined=(courses, courses.c.id == permissions.c.course_id)
)
_EVENTS = _of_student(rule_events)
_COMPLETIONS = (
    select(completions, catalog_entries.c.code, catalog_entries.c.title)
    .select_from(
        students.outerjoin(completions, completions.c.student_id == students.c.id).outerjoin(
            catalog_entries, catalog_entries.c.id == completions.c.catalog_id
        )
    )
    .where(students.c.id == _STUDENT)
    .order_by(catalog_entries.c.code, completions.c.term_code)
)
_LIMITS = (
    select(
        terms.c.id,
        terms.c.code,
        terms.c.title,
        terms.c.credit_limit.label("limit_of_term"),
        student_terms.c.credit_limit,
    )
    .select_from(
        terms.outerjoin(
            student_terms, and_(student_terms.c.term_id == terms.c.id, student_terms.c.student_id == _STUDENT)
        )
    )
    .order_by(terms.c.starts_on.desc(), terms.c.code)
)
_SUBJECTS = {
    subject: select(table.c.id, column.label("name")).where(among(table.c.id, bindparam("ids", type_=IdList)))
    for subject, table, column in (
        ("group", groups, groups.c.title),
        ("completion", catalog_entries, catalog_entries.c.code),
        ("limit", terms, terms.c.code),
    )
}


def holds_of(student_id: int, limit: int) -> Sequence[AnyRow]:
    """Return the newest holds of a student. Raises `StudentNotFound`."""
    return _rows(_HOLDS, student_id, MAX_ID, limit)


def permissions_of(student_id: int, limit: int, course_ids: Collection[int] | None = None) -> Sequence[AnyRow]:
    """Return the newest permissions of a student, with the code of the `course`. Raises `StudentNotFound`.

    With `course_ids`, those of these courses only.
    """
    rows = _rows(_PERMISSIONS, student_id, MAX_ID, limit)
    return [row for row in rows if course_ids is None or row.course_id in course_ids]


def changes_of(student_id: int, before: int, limit: int) -> Sequence[AnyRow]:
    """Return the lines below the id `before` of the ledger of holds, permissions, completions, limits and groups.

    Raises `StudentNotFound`.
    """
    return _rows(_EVENTS, student_id, before, limit)


def completions_of(student_id: int) -> Sequence[AnyRow]:
    """Return what a student has completed, by `code` of the entry. Raises `StudentNotFound`."""
    rows = autocommit(_COMPLETIONS, {"student": student_id})
    if not rows:
        raise StudentNotFound
    return [row for row in rows if row.catalog_id is not None]


def limits_of(student_id: int) -> Sequence[AnyRow]:
    """Return the terms, newest first, with the credit limit of the term and that of the student, where it has one."""
    return autocommit(_LIMITS, {"student": student_id})


def names_of_subjects(lines: Iterable[AnyRow]) -> Mapping[tuple[str, int], str]:
    """Return what lines of `changes_of` are about, by `subject` and `subject_id`: groups, catalog entries and terms."""
    ids: dict[str, set[int]] = {}
    for line in lines:
        ids.setdefault(line.subject, set()).add(line.subject_id)
    return {
        (subject, row.id): row.name
        for subject, statement in _SUBJECTS.items()
        if subject in ids
        for row in autocommit(statement, {"ids": sorted(ids[subject])})
    }


def _rows(statement: Select[Any], student_id: int, before: int, limit: int) -> Sequence[AnyRow]:
    rows = autocommit(statement, {"student": student_id, "before": before, "limit": limit})
    if not rows and before == MAX_ID:
        raise StudentNotFound
    return [row for row in rows if row.id is not None]
