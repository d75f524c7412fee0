"""Rows inserted with explicit ids: `verify` finds sequences that are behind, and `repair` sets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import URL

from course_management import cli
from course_management.database import sequences
from course_management.database.types import MAX_ID
from course_management.maintenance import verify

from ..support.fixture_types import Enroll, Sql

Run = Callable[..., Result]
NAME = "new ids are above all that were given"
INSERTS = {
    "students": "INSERT INTO students (id, name, email) VALUES ({}, 'Ada', 'import{}@example.edu')",
    "courses": "INSERT INTO courses (id, code, title) VALUES ({}, 'IMPORT{}', 'Programming')",
    "enrollment_events": (
        "INSERT INTO enrollment_events (id, at, student_id, course_id, to_status, actor)"
        " VALUES ({}, '2026-01-01 00:00:00.000000', 1, 1, 'enrolled', 'import{}')"
    ),
    "imports": (
        "INSERT INTO imports (id, format, digest, files, options, state)"
        " VALUES ({}, 'OneRoster', 'd{}', '[]', '{{}}', 'applied')"
    ),
    "verifications": (
        "INSERT INTO verifications (id, started_at, error) VALUES ({}, '2026-01-01 00:00:00.000000', '{}')"
    ),
    "api_keys": "INSERT INTO api_keys (id, name, prefix, digest, scopes) VALUES ({}, 'sync', 'p{}', 'd', 'admin')",
    "accounts": "INSERT INTO accounts (id, issuer, subject, student_id) SELECT {}, 'i', 's{}', min(id) FROM students",
    "people": "INSERT INTO people (id, name) VALUES ({}, 'Ada {}')",
    "terms": (
        "INSERT INTO terms (id, code, title, starts_on, ends_on) VALUES ({}, 'T{}', 'Fall', '2026-09-01', '2026-12-18')"
    ),
    "groups": "INSERT INTO groups (id, kind, code, title) VALUES ({}, 'level', 'G{}', 'Undergraduate')",
    "registration_windows": (
        "INSERT INTO registration_windows (id, term_id, opens_at, closes_at)"
        " SELECT {}, min(id), '2026-08-01 00:00:00.000000', '2026-09-01 00:00:00.000000' FROM terms"
    ),
    "holds": (
        "INSERT INTO holds (id, student_id, kind, contact, blocks)"
        " SELECT {}, min(id), 'library', 'Room {}', 'both' FROM students"
    ),
    "permissions": (
        "INSERT INTO permissions (id, student_id, course_id, rule, reason)"
        " SELECT {}, min(students.id), min(courses.id), 'rule{}', 'Asked for' FROM students, courses"
    ),
    "rule_events": (
        "INSERT INTO rule_events (id, student_id, subject, subject_id, change) VALUES ({}, 1, 'hold', {}, 'placed')"
    ),
    "catalog_entries": "INSERT INTO catalog_entries (id, code, title, credits) VALUES ({}, 'CS {}', 'One', 300)",
    "prerequisites": (
        "INSERT INTO prerequisites (id, catalog_id, group_number, required_id)"
        " SELECT {}, max(id), {}, min(id) FROM catalog_entries"
    ),
    "course_meetings": (
        "INSERT INTO course_meetings (id, course_id, weekday, starts_minute, ends_minute, starts_on, ends_on)"
        " SELECT {}, min(id), 1, 540, 600, '2026-09-01', '2026-12-18' FROM courses"
    ),
}
_STUDENT = "INSERT INTO students (name) SELECT 'Ada' WHERE NOT EXISTS (SELECT 1 FROM students)"
_COURSE = "INSERT INTO courses (code, title) SELECT 'CS1', 'Programming' WHERE NOT EXISTS (SELECT 1 FROM courses)"
PARENTS = {
    "prerequisites": ["INSERT INTO catalog_entries (code, title, credits) VALUES ('A', 'A', 300), ('B', 'B', 300)"],
    "course_meetings": [_COURSE],
    "accounts": [_STUDENT],
    "holds": [_STUDENT],
    "permissions": [_STUDENT, _COURSE],
    "registration_windows": [
        (
            "INSERT INTO terms (code, title, starts_on, ends_on)"
            " SELECT 'T', 'Fall', '2026-09-01', '2026-12-18' WHERE NOT EXISTS (SELECT 1 FROM terms)"
        )
    ],
}
"""Statements that insert what a row of a table refers to."""


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    return lambda *arguments: CliRunner().invoke(cli.cli, arguments)


@pytest.fixture
def imported(backend: str, sql: Sql) -> Callable[[str, int], None]:
    """Inserts rows with the ids up to `last`, as an import does, and leaves the sequence where it was."""

    def insert(table: str, last: int) -> None:
        for statement in PARENTS.get(table, ()):
            sql(statement)
        with_ids = sql(f"SELECT coalesce(max(id), 0) FROM {table}")[0][0]
        for number in range(with_ids + 1, last + 1):
            sql(INSERTS[table].format(number, number))
        if backend == "sqlite":
            sql(f"DELETE FROM sqlite_sequence WHERE name = '{table}'")

    return insert


def behind(app: Flask) -> list[dict[str, Any]]:
    with app.app_context():
        return next(list(each.evidence) for each in verify.verify() if each.name == NAME)


def test_every_table_with_generated_ids_is_checked() -> None:
    assert sequences.tables() == sorted(INSERTS)


@pytest.mark.parametrize("table", INSERTS)
def test_verify_names_the_sequence_and_the_statement_that_sets_it(
    app: Flask, sql: Sql, imported: Callable[[str, int], None], table: str
) -> None:
    assert behind(app) == []
    imported(table, 5)

    (found,) = [each for each in behind(app) if each["table"] == table]

    assert (found["largest_id"], found["next_id"]) == (5, 1)
    sql(found["fix"])
    assert [each for each in behind(app) if each["table"] == table] == []


@pytest.mark.parametrize("table", INSERTS)
def test_the_command_repairs_every_table(
    app: Flask, run: Run, imported: Callable[[str, int], None], sql: Sql, table: str
) -> None:
    imported(table, 5)
    before = sql(f"SELECT * FROM {table} ORDER BY id")

    repaired, again = run("repair", "sequences"), run("repair", "sequences")

    assert (repaired.exit_code, again.exit_code) == (0, 0)
    assert f"{table}: the next id is 6; it was 1.\n" in repaired.output
    assert again.output == "All sequences are above the existing ids.\n"
    assert sql(f"SELECT * FROM {table} ORDER BY id") == before
    assert behind(app) == []


def is_503_for_the_operator(response: Any, table: str) -> bool:
    found = response.get_json()
    assert (response.status_code, found["code"]) == (503, "database_unavailable")
    assert int(response.headers["Retry-After"]) > 0
    return f"cannot generate an id in {table}" in found["detail"] and "repair sequences" in found["detail"]


def test_a_new_student_or_course_without_an_id_is_503_until_the_repair(
    backend: str, client: FlaskClient, run: Run, imported: Callable[[str, int], None]
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite compares with the largest row, so nothing is refused")
    imported("students", 5)
    imported("courses", 5)
    student, course = {"name": "Ada", "email": "ada@example.edu"}, {"code": "NEW", "title": "New"}

    assert is_503_for_the_operator(client.post("/students", json=student), "students")
    assert is_503_for_the_operator(client.post("/courses", json=course), "courses")
    assert run("verify").exit_code == 1
    assert run("repair", "sequences").exit_code == 0
    assert client.post("/students", json=student).get_json()["id"] == 6
    assert client.post("/courses", json=course).get_json()["id"] == 6


@pytest.mark.parametrize(("method", "path"), [("POST", "enroll"), ("PUT", "enroll"), ("DELETE", "unenroll")])
def test_a_change_whose_ledger_line_gets_no_id_is_503_and_not_applied(
    backend: str,
    client: FlaskClient,
    student: Callable[..., int],
    course: Callable[..., int],
    held: Callable[[int], dict[int, str]],
    enroll: Enroll,
    sql: Sql,
    method: str,
    path: str,
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite compares with the largest row, so nothing is refused")
    ada, wanted, left = student(), course(), course()
    enroll(ada, left)
    for number in range(2, 40):
        sql(INSERTS["enrollment_events"].format(number, number))
    before = held(ada)

    course_ids = [left if method == "DELETE" else wanted]
    response = client.open(f"/students/{ada}/{path}", method=method, json={"course_ids": course_ids})

    assert is_503_for_the_operator(response, "enrollment_events")
    assert held(ada) == before


def test_a_key_or_an_account_without_an_id_is_reported_as_a_sentence(
    backend: str, run: Run, imported: Callable[[str, int], None]
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite compares with the largest row, so nothing is refused")
    imported("api_keys", 5)
    imported("accounts", 5)

    key = run("keys", "create", "--name", "portal", "--scope", "admin")
    account = run("people", "staff", "--issuer", "i", "--subject", "new", "--role", "advisor")

    assert (key.exit_code, account.exit_code) == (1, 1)
    assert "cannot generate an id in api_keys" in key.output
    assert "cannot generate an id in accounts" in account.output


@pytest.mark.parametrize("table", ["students", "courses"])
def test_a_new_student_or_course_does_not_inherit_the_ledger_of_a_deleted_one(
    app: Flask, client: FlaskClient, run: Run, sql: Sql, imported: Callable[[str, int], None], table: str
) -> None:
    """A restore without the sequences: the ledger knows ids whose rows are gone."""
    column = {"students": "student_id", "courses": "course_id"}[table]
    imported(table, 2)
    sql(
        f"INSERT INTO enrollment_events (at, {column}, to_status, actor,"
        f" {'course_id' if table == 'students' else 'student_id'})"
        " VALUES ('2026-01-01 00:00:00.000000', 7, 'unenrolled', 'import', 1)"
    )

    (found,) = [each for each in behind(app) if each["table"] == table]
    assert found["largest_id"] == 7
    run("repair", "sequences")

    new = {"students": {"name": "Ada", "email": "ada@example.edu"}, "courses": {"code": "NEW", "title": "New"}}
    assert client.post(f"/{table}", json=new[table]).get_json()["id"] == 8


@pytest.mark.parametrize(
    ("table", "subject"),
    [
        ("holds", "hold"),
        ("permissions", "permission"),
        ("groups", "group"),
        ("terms", "limit"),
        ("catalog_entries", "completion"),
        ("students", "hold"),
    ],
)
def test_a_new_row_does_not_inherit_lines_of_the_ledger_of_rules(
    app: Flask, run: Run, sql: Sql, imported: Callable[[str, int], None], table: str, subject: str
) -> None:
    imported(table, 2)
    student_id, subject_id = (7, 1) if table == "students" else (1, 7)
    sql(
        "INSERT INTO rule_events (student_id, subject, subject_id, change)"
        f" VALUES ({student_id}, '{subject}', {subject_id}, 'placed')"
    )

    (found,) = [each for each in behind(app) if each["table"] == table]
    assert found["largest_id"] == 7
    assert f"{table}: the next id is 8; it was " in run("repair", "sequences").output
    assert behind(app) == []


@pytest.mark.parametrize("table", ["students", "courses"])
def test_a_row_with_the_largest_id_is_named_and_not_repaired(
    app: Flask, backend: str, client: FlaskClient, run: Run, sql: Sql, table: str
) -> None:
    sql(INSERTS[table].format(MAX_ID, 1))

    result = run("repair", "sequences")

    if backend == "sqlite":  # whose next id is above the largest row in any case
        new = {"students": {"name": "Ada", "email": "ada@example.edu"}, "courses": {"code": "NEW", "title": "New"}}
        assert is_503_for_the_operator(client.post(f"/{table}", json=new[table]), table)
        sql(f"UPDATE sqlite_sequence SET seq = 1 WHERE name = '{table}'")
        result = run("repair", "sequences")
    assert result.exit_code == 1
    assert f"{table}: give the row with id {MAX_ID} another id" in result.output
    (found,) = [each for each in behind(app) if each["table"] == table]
    assert f"id {MAX_ID}" in found["fix"]


def test_the_repair_does_not_move_a_sequence_that_is_ahead(
    client: FlaskClient, run: Run, student: Callable[..., int]
) -> None:
    first = student()
    client.delete(f"/students/{first}")

    run("repair", "sequences")

    assert student() == first + 1
