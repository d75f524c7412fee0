"""Read what an import compares with: lists, and what is true of students; and what the last import said of a list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, Table, and_, func, or_, select, tuple_

from ..database import AnyRow, reading
from ..models import (
    APPLIED,
    accounts,
    catalog_entries,
    completions,
    courses,
    groups,
    holds,
    import_rows,
    imports,
    permissions,
    prerequisites,
    student_terms,
    terms,
    was_accepted,
)

Rows = Sequence[AnyRow]


def _all(statement: Select[Any], needed: Collection[Any] = (1,)) -> Rows:
    """Return the rows of a statement; none, without asking, if nothing is `needed`."""
    if not needed:
        return ()
    with reading() as session:
        return session.execute(statement).all()


def last_imported_lists(import_id: int, kind: str, units: Collection[str]) -> Mapping[str, list[Any]]:
    """Return the contents of the rows of each unit in the latest applied import before this one that has the unit."""
    table = import_rows.c
    accepted = and_(
        table.kind == kind,
        table.unit.in_(units),
        table.import_id < import_id,
        imports.c.state == APPLIED,
        was_accepted(import_rows),
    )
    joined = import_rows.join(imports, imports.c.id == table.import_id)
    latest = (
        select(table.unit, func.max(table.import_id).label("import_id"))
        .select_from(joined)
        .where(accepted)
        .group_by(table.unit)
        .subquery()
    )
    statement = (
        select(table.unit, table.content)
        .select_from(joined)
        .join(latest, and_(latest.c.unit == table.unit, latest.c.import_id == table.import_id))
        .where(accepted)
    )
    found: dict[str, list[Any]] = {}
    for unit, content in _all(statement, units):
        found.setdefault(unit, []).append(content)
    return found


def planned_values(import_id: int, kind: str, names: Collection[str]) -> Mapping[str, Any]:
    """Return the values of the rows that an import creates, by their external ids and codes."""
    table = import_rows.c
    code = table.content["values"]["code"].as_string()
    statement = select(table.unit, code.label("code"), table.content).where(
        table.import_id == import_id,
        table.kind == kind,
        or_(table.unit.in_(names), code.in_(names)),
        table.outcome == "create",
    )
    return {
        name: row.content["values"] for row in _all(statement, names) for name in (row.code, row.unit) if name in names
    }


def groups_of(names: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], AnyRow]:
    """Return groups by their kind and code."""
    statement = select(groups).where(tuple_(groups.c.kind, groups.c.code).in_(names))
    return {(row.kind, row.code): row for row in _all(statement, names)}


def groups_of_kinds(kinds: Collection[str]) -> Mapping[int, tuple[str, str]]:
    """Return the kind and code of all groups of some kinds, by id."""
    statement = select(groups.c.id, groups.c.kind, groups.c.code).where(groups.c.kind.in_(kinds))
    return {row.id: (row.kind, row.code) for row in _all(statement, kinds)}


def planned_groups(import_id: int, names: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of these groups belong to rows that an import creates."""
    table = import_rows.c
    statement = select(table.unit, table.part).where(
        table.import_id == import_id,
        table.kind == "groups",
        table.unit.in_({kind for kind, _ in names}),
        table.outcome == "create",
    )
    return {(row.unit, row.part) for row in _all(statement, names)} & {*names}


def lists_of(
    table: Table, column: str, columns: Sequence[str], owner_ids: Collection[int]
) -> Mapping[int, list[tuple[Any, ...]]]:
    """Return the rows of lists, as tuples of these columns, by the id of the owner."""
    found: dict[int, list[tuple[Any, ...]]] = {owner_id: [] for owner_id in owner_ids}
    statement = select(table.c[column], *(table.c[name] for name in columns)).where(table.c[column].in_(owner_ids))
    for owner_id, *row in _all(statement, owner_ids):
        found[owner_id].append(tuple(row))
    return found


def terms_of_courses(course_ids: Collection[int]) -> Mapping[int, int | None]:
    """Return the term of each course."""
    statement = select(courses.c.id, courses.c.term_id).where(courses.c.id.in_(course_ids))
    return {row.id: row.term_id for row in _all(statement, course_ids)}


def dates_of_terms(term_ids: Collection[int]) -> Mapping[int, tuple[str, str]]:
    """Return the first and the last day of terms, as YYYY-MM-DD."""
    statement = select(terms.c.id, terms.c.starts_on, terms.c.ends_on).where(terms.c.id.in_(term_ids))
    return {row.id: (row.starts_on.isoformat(), row.ends_on.isoformat()) for row in _all(statement, term_ids)}


def catalog_ids(names: Collection[str]) -> Mapping[str, int]:
    """Return the ids of catalog entries by their external ids and codes."""
    table = catalog_entries.c
    statement = select(table.id, table.code, table.external_id).where(
        or_(table.code.in_(names), table.external_id.in_(names))
    )
    rows = _all(statement, names)
    return {row.code: row.id for row in rows} | {row.external_id: row.id for row in rows if row.external_id}


def all_prerequisites() -> Rows:
    """Return `catalog_id, required_id` of all prerequisites that are entries."""
    return _all(
        select(prerequisites.c.catalog_id, prerequisites.c.required_id).where(prerequisites.c.required_id.is_not(None))
    )


def completions_of(student_ids: Collection[int]) -> Mapping[tuple[int, int, str], AnyRow]:
    """Return the completions of students, by student, catalog entry and code of the term."""
    statement = select(completions).where(completions.c.student_id.in_(student_ids))
    return {(row.student_id, row.catalog_id, row.term_code): row for row in _all(statement, student_ids)}


def limits_of(student_ids: Collection[int]) -> Mapping[tuple[int, int], AnyRow]:
    """Return the own credit limits of students, by student and term."""
    statement = select(student_terms).where(student_terms.c.student_id.in_(student_ids))
    return {(row.student_id, row.term_id): row for row in _all(statement, student_ids)}


def holds_of(student_ids: Collection[int]) -> Mapping[tuple[int, str], Rows]:
    """Return the holds of students that are not released, oldest first, by student and kind."""
    statement = select(holds).where(holds.c.student_id.in_(student_ids), holds.c.released_at.is_(None))
    return _by(_all(statement.order_by(holds.c.id), student_ids), lambda row: (row.student_id, row.kind))


def permissions_of(student_ids: Collection[int]) -> Mapping[tuple[int, int, str], AnyRow]:
    """Return the permissions of students that are not revoked, by student, course and rule."""
    statement = select(permissions).where(permissions.c.student_id.in_(student_ids), permissions.c.revoked_at.is_(None))
    return {(row.student_id, row.course_id, row.rule): row for row in _all(statement, student_ids)}


def accounts_of(subjects: Collection[str]) -> Mapping[tuple[str, str], AnyRow]:
    """Return accounts by their subject and issuer."""
    statement = select(accounts).where(accounts.c.subject.in_(subjects))
    return {(row.subject, row.issuer): row for row in _all(statement, subjects)}


def _by(rows: Iterable[AnyRow], key: Any) -> dict[Any, list[AnyRow]]:
    found: dict[Any, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def ids_by_unique_value(table: Table, column: str, values: Collection[Any], within: str | None) -> Mapping[Any, int]:
    """Return the ids of rows by their value of a unique column; of two columns, where it is unique `within` another."""
    columns = [table.c[within]] if within else []
    statement = select(table.c.id, *columns, table.c[column]).where(table.c[column].in_(values))
    return {(row[1:] if within else row[1]): row[0] for row in _all(statement, values)}
