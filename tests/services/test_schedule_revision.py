"""What a rule reads about a student raises the revision when it changes, or two requests could both pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Column, Select, Table
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter

from course_management.services.enrollment import rules
from course_management.services.enrollment.loading import all_questions

from ..support.fixture_types import Make

HOLD = {"kind": "library", "contact": "library@example.edu", "blocks": "both"}
COMPLETION = {"grade": "A", "points": 4, "passed": True, "credits": 3}
Call = tuple[str, str, Any]
"""Method, path below that of the student, and body."""

CHANGES: dict[str, Sequence[Call]] = {
    "student_groups": [("PUT", "groups", [1]), ("PUT", "groups", [])],
    "holds": [("POST", "holds", HOLD), ("DELETE", "holds/1", None)],
    "permissions": [
        ("POST", "permissions", {"course_id": 1, "rule": "time_conflict", "reason": "exam"}),
        ("DELETE", "permissions/1", None),
    ],
    "student_terms": [
        ("PUT", "terms/1", {"credit_limit": 20}),
        ("DELETE", "terms/1", None),
    ],
    "completions": [
        ("PUT", "completions/1/2025FA", COMPLETION),
        ("PUT", "completions/1/2025FA", COMPLETION | {"grade": "B"}),
        ("DELETE", "completions/1/2025FA", None),
    ],
    "student_courses": [("POST", "enroll", {"course_id": 1}), ("DELETE", "unenroll", {"course_id": 1})],
}
"""By table, the calls that insert, change and delete its rows, in this order."""


def tables_read_by_student(question: Select[Any]) -> set[str]:
    """Return the tables of which a question reads the rows of one student."""
    tables = set()
    for element in visitors.iterate(question):
        if isinstance(element, BinaryExpression):
            sides = (element.left, element.right)
            if any(isinstance(side, BindParameter) and side.key == "student" for side in sides):
                tables |= {
                    side.table.name for side in sides if isinstance(side, Column) and isinstance(side.table, Table)
                }
    return tables


def test_every_table_that_a_question_reads_by_student_has_its_changes_here() -> None:
    read = set[str]().union(*map(tables_read_by_student, all_questions(rules.RULES).values()))

    assert read == CHANGES.keys() | {"students"}, "of `students`, only the revision itself is read"


@pytest.mark.parametrize("table", CHANGES)
def test_a_change_of_what_rules_read_about_a_student_raises_the_revision(
    client: FlaskClient,
    student: Make,
    course: Make,
    open_term: Callable[..., int],
    group: Make,
    entry: Make,
    sql: Callable[..., list[Any]],
    table: str,
) -> None:
    ada, _ = student(), (group(), entry())
    course(term_id=open_term())

    def revision_and_rows() -> tuple[int, list[Any]]:
        ((revision,),) = sql("SELECT schedule_revision FROM students WHERE id = :ada", ada=ada)
        return revision, sql(f"SELECT * FROM {table}")

    for method, path, body in CHANGES[table]:
        before, rows = revision_and_rows()
        response = client.open(f"/students/{ada}/{path}", method=method, json=body)
        after, new_rows = revision_and_rows()

        assert new_rows != rows, response.text
        assert after > before, f"{method} {path}"
