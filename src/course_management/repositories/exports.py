"""Read whole tables for exports, row by row, in an order that follows from the rows and not from our ids.

So a database that was filled from the files of another one has the same files. Rows are named by their external id;
terms, catalog entries and courses without one by their code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, exists, func, or_, select

from ..database.types import by_code_point, utcnow
from ..models import (
    accounts,
    catalog_entries,
    completions,
    course_instructors,
    course_links,
    course_meetings,
    course_restrictions,
    courses,
    enrollments,
    groups,
    holds,
    is_held,
    people,
    permissions,
    person_roles,
    prerequisites,
    student_groups,
    student_terms,
    students,
    terms,
)

PAGE = 500
"""Rows that are in memory at once. They are made without releasing the interpreter lock, so not more."""
_required, _linked = catalog_entries.alias("required"), courses.alias("linked")


def _name(table: FromClause) -> ColumnElement[Any]:
    """Return how a row is named where others refer to it."""
    return func.coalesce(table.c.external_id, table.c.code) if "code" in table.c else table.c.external_id


_roles = (
    select(person_roles.c.role)
    .where(person_roles.c.person_id == people.c.id)
    .order_by(person_roles.c.role)
    .correlate(people)
    .subquery("roles")
)
_ROLES = select(func.coalesce(func.aggregate_strings(_roles.c.role, ";"), "")).scalar_subquery()


def _is_in_term(term_id: int) -> ColumnElement[bool]:
    """Return the condition that a student is enrolled or waitlisted in a course of the term."""
    return exists().where(
        enrollments.c.student_id == students.c.id,
        is_held(enrollments),
        enrollments.c.course_id == courses.c.id,
        courses.c.term_id == term_id,
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the rows of a kind come from: a table with what it is joined to, and their order.

    `columns` are those that are no columns of the table, by their names in files.
    """

    table: Table
    order: Sequence[ColumnElement[Any]]
    columns: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)
    joined: FromClause | None = None

    def select(self, names: Sequence[str]) -> Select[Any]:
        found = [self.columns[name] if name in self.columns else self.table.c[name] for name in names]
        columns = [column.label(name) for name, column in zip(names, found, strict=True)]
        from_clause = self.table if self.joined is None else self.joined
        return select(*columns).select_from(from_clause).order_by(*self.order)


def _by(*columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return an order by texts, in which databases agree: by code point, those without a text last."""
    return [by_code_point(column).nulls_last() for column in columns]


_STUDENT, _COURSE, _TERM, _CATALOG = map(_name, (students, courses, terms, catalog_entries))
_OF_STUDENT = {"student": _STUDENT}
_SOURCES: Mapping[str, _Source] = {
    "terms": _Source(terms, _by(terms.c.external_id, terms.c.code)),
    "catalog": _Source(catalog_entries, _by(catalog_entries.c.external_id, catalog_entries.c.code)),
    "prerequisites": _Source(
        prerequisites,
        [
            *_by(_CATALOG),
            prerequisites.c.group_number,
            *_by(func.coalesce(_name(_required), ""), func.coalesce(groups.c.kind, ""), groups.c.code),
        ],
        {
            "catalog": _CATALOG,
            "requires": _name(_required),
            "group_kind": groups.c.kind,
            "group_code": groups.c.code,
        },
        prerequisites.join(catalog_entries, catalog_entries.c.id == prerequisites.c.catalog_id)
        .outerjoin(_required, _required.c.id == prerequisites.c.required_id)
        .outerjoin(groups, groups.c.id == prerequisites.c.required_group_id),
    ),
    "groups": _Source(groups, _by(groups.c.kind, groups.c.code)),
    "courses": _Source(
        courses,
        [*_by(courses.c.external_id, _TERM, courses.c.code), courses.c.id],
        {"term": _TERM, "catalog": _CATALOG, "closed": courses.c.closed_at.is_not(None)},
        courses.outerjoin(terms, terms.c.id == courses.c.term_id).outerjoin(
            catalog_entries, catalog_entries.c.id == courses.c.catalog_id
        ),
    ),
    "meetings": _Source(
        course_meetings,
        [
            *_by(_COURSE),
            *(course_meetings.c[name] for name in ("course_id", "weekday", "starts_minute", "starts_on")),
            *(course_meetings.c[name] for name in ("ends_minute", "ends_on")),
            *_by(course_meetings.c.place),
        ],
        {"course": _COURSE, "starts": course_meetings.c.starts_minute, "ends": course_meetings.c.ends_minute},
        course_meetings.join(courses),
    ),
    "restrictions": _Source(
        course_restrictions,
        [*_by(_COURSE), course_restrictions.c.course_id, *_by(groups.c.kind, groups.c.code)],
        {"course": _COURSE, "kind": groups.c.kind, "code": groups.c.code},
        course_restrictions.join(courses).join(groups),
    ),
    "links": _Source(
        course_links,
        [*_by(_COURSE), course_links.c.course_id, course_links.c.group_number, *_by(_name(_linked))],
        {"course": _COURSE, "linked": _name(_linked)},
        course_links.join(courses, courses.c.id == course_links.c.course_id).join(
            _linked, _linked.c.id == course_links.c.linked_id
        ),
    ),
    "students": _Source(students, [*_by(students.c.external_id), students.c.id]),
    "members": _Source(
        student_groups,
        [*_by(_STUDENT), student_groups.c.student_id, *_by(groups.c.kind, groups.c.code)],
        {**_OF_STUDENT, "kind": groups.c.kind, "code": groups.c.code},
        student_groups.join(students).join(groups),
    ),
    "people": _Source(
        people,
        [*_by(people.c.external_id), people.c.id],
        {**_OF_STUDENT, "roles": _ROLES},
        people.outerjoin(students),
    ),
    "instructors": _Source(
        course_instructors,
        [*_by(_COURSE), course_instructors.c.course_id, *_by(people.c.external_id), people.c.id],
        {"course": _COURSE, "person": people.c.external_id},
        course_instructors.join(courses).join(people),
    ),
    "accounts": _Source(
        accounts,
        _by(accounts.c.issuer, accounts.c.subject),
        {**_OF_STUDENT, "person": people.c.external_id},
        accounts.outerjoin(students, students.c.id == accounts.c.student_id).outerjoin(
            people, people.c.id == accounts.c.person_id
        ),
    ),
    "completions": _Source(
        completions,
        [
            *_by(_STUDENT),
            completions.c.student_id,
            *_by(_CATALOG),
            completions.c.catalog_id,
            *_by(completions.c.term_code),
        ],
        {**_OF_STUDENT, "catalog": _CATALOG},
        completions.join(students).join(catalog_entries),
    ),
    "holds": _Source(
        holds,
        [*_by(_STUDENT), holds.c.student_id, *_by(holds.c.kind, holds.c.contact), holds.c.id],
        _OF_STUDENT,
        holds.join(students),
    ),
    "permissions": _Source(
        permissions,
        [*_by(_STUDENT), permissions.c.student_id, *_by(_COURSE), permissions.c.course_id, *_by(permissions.c.rule)],
        {**_OF_STUDENT, "course": _COURSE},
        permissions.join(students).join(courses),
    ),
    "limits": _Source(
        student_terms,
        [*_by(_STUDENT), student_terms.c.student_id, *_by(_TERM)],
        {**_OF_STUDENT, "term": _TERM},
        student_terms.join(students).join(terms),
    ),
    "enrollments": _Source(
        enrollments,
        [*_by(_STUDENT), enrollments.c.student_id, *_by(_COURSE), enrollments.c.course_id],
        {**_OF_STUDENT, "course": _COURSE},
        enrollments.join(students).join(courses),
    ),
}
EXPORTED_KINDS = tuple(_SOURCES)
"""The kinds of rows, named as the kinds of records of an import."""


def rows(
    connection: Connection, kind: str, columns: Sequence[str], term_id: int | None = None
) -> Iterator[Sequence[Any]]:
    """Yield all rows of a kind, in bounded memory.

    Holds and permissions are those in force, enrollments those with a seat or a place on the waitlist. With `term_id`,
    courses and enrollments are those of the term, and students those who have such an enrollment in it.
    """
    statement = _SOURCES[kind].select(columns)
    match kind:
        case "holds":
            in_force = or_(holds.c.until.is_(None), holds.c.until > utcnow())
            statement = statement.where(holds.c.released_at.is_(None), in_force)
        case "permissions":
            in_force = or_(permissions.c.expires_at.is_(None), permissions.c.expires_at > utcnow())
            statement = statement.where(permissions.c.revoked_at.is_(None), in_force)
        case "enrollments":
            statement = statement.where(is_held(enrollments))
    if term_id is not None:
        statement = statement.where(
            _is_in_term(term_id) if kind == "students" else courses.c.term_id == term_id  # of courses and enrollments
        )
    for page in connection.execute(statement, execution_options={"yield_per": PAGE}).partitions():
        yield from page
