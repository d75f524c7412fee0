"""Read the rows of a OneRoster export: each with ids that are texts (`sourcedId`), in an order that follows from these.

A row without an external id is named by its table and our id. A person who is linked to a student with the same
external id is one user with two roles; a person with the external id of another student gets the prefix `staff:`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from ..database import AnyRow
from ..database.types import by_code_point
from ..models import ENROLLED, catalog_entries, course_instructors, courses, enrollments, people, students, terms
from .exports import PAGE

_same_code, _same_id = catalog_entries.alias("same_code"), students.alias("same_id")
_linked = people.alias("linked")


def _id_of(table: Table, word: str) -> ColumnElement[str]:
    return func.coalesce(table.c.external_id, literal(f"{word}-").concat(cast(table.c.id, String)))


_TERM, _COURSE, _STUDENT = _id_of(terms, "term"), _id_of(courses, "class"), _id_of(students, "student")
_ENTRY = _id_of(catalog_entries, "course")
_own = case(
    (exists().where(_same_id.c.external_id == people.c.external_id), literal("staff:").concat(people.c.external_id)),
    else_=_id_of(people, "person"),
)
_is_same_user = or_(people.c.external_id.is_(None), people.c.external_id == students.c.external_id)
_PERSON = case((and_(students.c.id.is_not(None), _is_same_user), _STUDENT), else_=_own)
"""Of a person, joined with the student that it is."""


def _teaches(person: Any) -> ColumnElement[bool]:
    return exists().where(course_instructors.c.person_id == person.c.id)


_is_linked = and_(
    _linked.c.student_id == students.c.id,
    or_(_linked.c.external_id.is_(None), _linked.c.external_id == students.c.external_id),
    _teaches(_linked),
)
_OF_STUDENTS = select(
    _STUDENT.label("id"),
    students.c.name,
    _linked.c.given_name,
    _linked.c.family_name,
    func.coalesce(students.c.email, _linked.c.email).label("email"),
    _linked.c.id.is_not(None).label("is_staff"),
    literal("student").label("role"),
).select_from(students.outerjoin(_linked, _is_linked))
_OF_STAFF = (
    select(
        _PERSON.label("id"),
        people.c.name,
        people.c.given_name,
        people.c.family_name,
        people.c.email,
        _teaches(people).label("is_staff"),
        literal("teacher").label("role"),
    )
    .select_from(people.outerjoin(students, students.c.id == people.c.student_id))
    .where(_teaches(people), or_(students.c.id.is_(None), ~_is_same_user))
)
_WITHOUT_ENTRY = (
    select(
        literal("course:").concat(courses.c.code).label("id"),
        func.min(courses.c.title).label("title"),
        courses.c.code,
        false().label("has_entry"),
    )
    .where(courses.c.catalog_id.is_(None), ~exists().where(_same_code.c.code == courses.c.code))
    .group_by(courses.c.code)
)
_HAS_SAME_CODE = and_(courses.c.catalog_id.is_(None), _same_code.c.code == courses.c.code)
_STATEMENTS: dict[str, Select[Any] | Any] = {
    "academicSessions": select(_TERM.label("id"), terms.c.code, terms.c.title, terms.c.starts_on, terms.c.ends_on),
    "courses": union_all(
        select(_ENTRY.label("id"), catalog_entries.c.title, catalog_entries.c.code, true().label("has_entry")),
        _WITHOUT_ENTRY,
    ),
    "classes": select(
        _COURSE.label("id"),
        courses.c.title,
        courses.c.code,
        case(
            (courses.c.catalog_id.is_not(None), _ENTRY),
            (_same_code.c.id.is_not(None), _id_of(_same_code, "course")),  # type: ignore[arg-type]
            else_=literal("course:").concat(courses.c.code),
        ).label("course"),
        _TERM.label("term"),
        terms.c.id.label("term_id"),
        courses.c.catalog_id.is_not(None).label("has_entry"),
    ).select_from(
        courses.outerjoin(terms, terms.c.id == courses.c.term_id)
        .outerjoin(catalog_entries, catalog_entries.c.id == courses.c.catalog_id)
        .outerjoin(_same_code, _HAS_SAME_CODE)
    ),
    "users": union_all(_OF_STUDENTS, _OF_STAFF),
    "students": select(_COURSE.label("id"), _STUDENT.label("user"))
    .select_from(enrollments.join(students).join(courses))
    .where(enrollments.c.status == ENROLLED),
    "teachers": select(_COURSE.label("id"), _PERSON.label("user")).select_from(
        course_instructors.join(courses).join(people).outerjoin(students, students.c.id == people.c.student_id)
    ),
}


def rows(connection: Connection, name: str) -> Iterator[AnyRow]:
    """Yield the rows of `academicSessions`, `courses`, `classes`, `users`, `students` or `teachers`.

    Each has an `id`. Users have the `role` student or teacher; with `is_staff`, a student is a teacher as well.
    Students and teachers are the users of a class, whose id comes first.
    """
    found = _STATEMENTS[name].subquery("found")
    order = [by_code_point(found.c[key]) for key in ("id", "user") if key in found.c]
    statement = select(found).order_by(*order)
    for page in connection.execute(statement, execution_options={"yield_per": PAGE}).partitions():
        yield from page
