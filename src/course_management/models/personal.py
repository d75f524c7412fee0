"""What each table says about a student, and what an erasure does with it.

A test compares this with the models: a new table, or a new column of a table about students, must be entered here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Table

from ..database import Base
from .ledger import ERASED
from .search import search_text_of

ERASED_NAME = "Erased student"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What an erasure does with the rows of a table about a student: it deletes them, or empties some columns."""

    is_deleted: bool = False
    empties: Mapping[str, Any] = field(default_factory=dict)
    keeps: frozenset[str] = frozenset()


def _kept(*columns: str, **empties: Any) -> Treatment:
    return Treatment(empties=empties, keeps=frozenset(columns))


DELETED = Treatment(is_deleted=True)
TREATMENTS: Mapping[str, Treatment] = {
    "students": _kept(
        "id", "created_at", "updated_at", "schedule_revision",
        name=ERASED_NAME, email=None, external_id=None, search_text=search_text_of([ERASED_NAME]),
    ),
    "people": _kept(
        "id", "name", "given_name", "family_name", "email", "external_id", "created_at", "updated_at", "search_text",
        student_id=None,
    ),
    "accounts": DELETED,
    "advisees": DELETED,
    "planned_courses": DELETED,
    "sessions": DELETED,
    "sign_in_links": DELETED,
    "student_groups": DELETED,
    "student_courses": _kept(
        "student_id", "course_id", "status", "status_since", "previous_status", "queue_number", "revision", "actor",
        "request_id", "passed_over_at", "passed_over_for", "credits",
        reason=None,
    ),
    "student_terms": _kept("student_id", "term_id", "credit_limit", "created_at", "updated_at"),
    "completions": _kept(
        "student_id", "catalog_id", "term_code", "grade", "points", "passed", "credits", "source", "created_at",
        "updated_at",
    ),
    "holds": _kept(
        "id", "student_id", "kind", "blocks", "placed_at", "placed_by", "until", "released_at", "released_by",
        "created_at", "updated_at",
        note=None, contact=ERASED,
    ),
    "permissions": _kept(
        "id", "student_id", "course_id", "rule", "granted_at", "granted_by", "expires_at", "revoked_at", "revoked_by",
        "created_at", "updated_at",
        reason=ERASED,
    ),
    "enrollment_events": _kept(
        "id", "at", "student_id", "course_id", "from_status", "to_status", "actor", "request_id", "credits",
        reason=ERASED,
    ),
    "rule_events": _kept(
        "id", "at", "student_id", "subject", "subject_id", "change", "actor", "request_id",
        facts={},
    ),
    # Their rows name a student by an external id or an e-mail address, in `content`.
    "import_rows": _kept(
        "import_id", "number", "kind", "file", "line", "outcome", "code", "applied_at",
        unit=ERASED, part=None, content={}, detail=None,
    ),
}  # fmt: skip
NOT_ABOUT_STUDENTS = frozenset(
    {
        "api_keys", "catalog_entries", "course_instructors", "course_links", "course_meetings", "course_restrictions",
        "courses", "groups", "imports", "leases", "person_roles", "prerequisites", "registration_windows",
        "schema_compatibility", "terms", "verifications",
    }
)  # fmt: skip


def column_of_student(table: Table) -> Column[Any]:
    """Return the column of a table that is the id of a student. Raises `StopIteration` if it has none."""
    return next(_columns_of_student(table))


def tables_about_students() -> list[Table]:
    """List the tables whose rows have the id of a student, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if any(True for _ in _columns_of_student(table))]


def _columns_of_student(table: Table) -> Iterator[Column[Any]]:
    of_students = Base.metadata.tables["students"].c.id
    return (
        column
        for column in table.c
        if column is of_students or column.name == "student_id" or column.references(of_students)
    )
