"""Upgrades: a database in use at an old schema loses nothing on its way to the newest, on both databases.

The database is built by the first migration, filled, and then migrated step by step. `ROWS` says what is added at which
step; a later migration that creates a table adds a line there, and everything else covers it as it is.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import URL, Connection, inspect, text

from course_management import cli
from course_management.database import SCHEMA_REVISION, migrations
from course_management.database.base import migrations_folder
from course_management.server import serving

from ..support.contract import ContractClient
from ..support.databases import Databases, migrate
from ..support.schemas import anatomy, connect

REVISIONS = [each.revision for each in ScriptDirectory.from_config(migrations.config()).walk_revisions()][::-1]
OLDER = REVISIONS[:-1]

FULL, WAITING, UNLIMITED, CLOSED = 1, 2, 3, 4
"""The courses: without a free seat, with a waitlist besides, without a limit, deleted."""
ROWS: dict[str, list[str]] = {
    "0001": [
        *(
            f"INSERT INTO students (name, email, created_at) VALUES ('Student {n}', 's{n}@example.edu', '{at}')"
            for n, at in enumerate(["2025-08-01 10:00:00.000001", *["2025-08-02 23:59:59.999999"] * 7], start=1)
        ),
        (
            "INSERT INTO courses (code, title, capacity, waitlist_capacity, created_at) VALUES"
            " ('CS101', 'Programming', 2, 0, '2025-07-01 00:00:00.000000'),"
            " ('CS201', 'Algorithms', 1, 5, '2025-07-01 00:00:00.000000'),"
            " ('CS301', 'Databases', NULL, NULL, '2025-07-01 00:00:00.000000'),"
            " ('CS999', 'Closed', 10, 0, '2025-07-01 00:00:00.000000')"
        ),
        *(
            "INSERT INTO student_courses"
            " (student_id, course_id, status, status_since, queue_number, revision, actor, request_id)"
            f" VALUES ({student}, {course}, '{status}', '2025-09-01 08:00:0{student}.000000', {number}, 1,"
            f" 'service:portal', 'request-{student}-{course}')"
            for student, course, status, number in [
                (1, FULL, "enrolled", "NULL"),
                (2, FULL, "enrolled", "NULL"),
                (1, WAITING, "enrolled", "NULL"),
                (4, WAITING, "waitlisted", "1"),
                (2, WAITING, "waitlisted", "2"),
                (3, WAITING, "waitlisted", "3"),
                (5, UNLIMITED, "enrolled", "NULL"),
                (6, UNLIMITED, "enrolled", "NULL"),
                (7, CLOSED, "enrolled", "NULL"),
                (8, UNLIMITED, "enrolled", "NULL"),
            ]
        ),
        # Left by the service, left by hand in a database shell, and left the waitlist.
        (
            "UPDATE student_courses SET status = 'unenrolled', previous_status = 'enrolled', revision = 2,"
            " status_since = '2025-09-02 08:00:00.000000', request_id = NULL WHERE student_id = 6"
        ),
        "UPDATE student_courses SET status = 'unenrolled' WHERE student_id IN (7, 8)",
        (
            "UPDATE student_courses SET status = 'unenrolled', previous_status = 'waitlisted', queue_number = NULL,"
            f" revision = 2, status_since = '2025-09-02 09:00:00.000000' WHERE student_id = 4 AND course_id = {WAITING}"
        ),
        # Deleted, the newest of each kind: their ids are never given again, and their lines stay in the ledger.
        "DELETE FROM students WHERE id = 8",
        f"DELETE FROM courses WHERE id = {CLOSED}",
    ],
    "0002": [
        (
            "INSERT INTO api_keys (name, prefix, digest, scopes, created_at) VALUES"
            " ('portal', 'cmk_1', 'digest', 'admin', '2025-10-01 00:00:00.000000')"
        ),
        (
            "INSERT INTO accounts (issuer, subject, role, student_id, created_at) VALUES"
            " ('https://login.example.edu', 'ada', 'student', 1, '2025-10-01 00:00:00.000000'),"
            " ('https://login.example.edu', 'grace', 'advisor', NULL, '2025-10-01 00:00:00.000000')"
        ),
        "INSERT INTO advisees (account_id, student_id) VALUES (2, 1)",
    ],
    "0004": [
        "INSERT INTO leases (name, holder, expires_at) VALUES ('background', 'host', '2025-10-01 00:00:00.000000')"
    ],
    "0011": [
        "INSERT INTO terms (code, title, starts_on, ends_on) VALUES ('F26', 'Fall', '2026-09-01', '2026-12-18')",
        "INSERT INTO groups (kind, code, title) VALUES ('level', 'UG', 'Undergraduate')",
        (
            "INSERT INTO registration_windows (term_id, group_id, opens_at, closes_at) VALUES"
            " (1, 1, '2026-08-01 08:00:00.000000', '2026-09-15 08:00:00.000000')"
        ),
        "INSERT INTO student_groups (student_id, group_id) VALUES (1, 1)",
        f"UPDATE courses SET term_id = 1 WHERE id = {FULL}",
        f"INSERT INTO course_restrictions (course_id, group_id) VALUES ({FULL}, 1)",
        f"INSERT INTO course_instructors (course_id, person_id) VALUES ({FULL}, 2)",
        "INSERT INTO holds (student_id, kind, contact, blocks) VALUES (3, 'library', 'Room 1', 'both')",
        (
            "INSERT INTO permissions (student_id, course_id, rule, reason) VALUES"
            f" (1, {FULL}, 'restricted', 'Asked for')"
        ),
        "INSERT INTO rule_events (student_id, subject, subject_id, change) VALUES (3, 'hold', 1, 'placed')",
    ],
    "0013": [
        "INSERT INTO catalog_entries (code, title, credits) VALUES ('CS 1', 'One', 300), ('CS 2', 'Two', 400)",
        "INSERT INTO prerequisites (catalog_id, group_number, required_id) VALUES (2, 1, 1)",
        (
            "INSERT INTO completions (student_id, catalog_id, term_code, grade, passed, credits) VALUES"
            " (1, 1, 'F25', 'B+', true, 300)"
        ),
        "INSERT INTO student_terms (student_id, term_id, credit_limit) VALUES (1, 1, 2100)",
        (
            "INSERT INTO course_meetings (course_id, weekday, starts_minute, ends_minute, starts_on, ends_on) VALUES"
            f" ({FULL}, 1, 540, 600, '2026-09-01', '2026-12-18')"
        ),
        f"INSERT INTO course_links (course_id, group_number, linked_id) VALUES ({FULL}, 1, {WAITING})",
    ],
    "0014": [
        (
            "INSERT INTO imports (format, digest, files, options, state) VALUES"
            " ('templates', 'digest', '[\"students.csv\"]', '{}', 'applied')"
        ),
        (
            "INSERT INTO import_rows (import_id, number, kind, unit, file, line, content, outcome) VALUES"
            " (1, 1, 'students', 's1', 'students.csv', 2, '{}', 'create')"
        ),
    ],
    "0015": [
        (
            "INSERT INTO sessions (digest, method, person_id, student_id, account_id, expires_at) VALUES"
            " ('digest1', 'issuer', NULL, 1, 1, '2036-10-01 00:00:00.000000'),"
            " ('digest2', 'protected', NULL, NULL, NULL, '2036-10-01 00:00:00.000000')"
        ),
        (
            "INSERT INTO sign_in_links (digest, student_id, expires_at) VALUES"
            " ('digest1', 1, '2036-10-01 00:00:00.000000')"
        ),
        f"INSERT INTO planned_courses (student_id, course_id) VALUES (1, {UNLIMITED})",
        (
            "INSERT INTO verifications (started_at, ended_at, findings) VALUES"
            " ('2025-10-01 00:00:00.000000', '2025-10-01 00:00:01.000000', '[]')"
        ),
    ],
}
"""Statements for a database at the schema of that revision."""


MOVED = {("accounts", "role"), ("advisees", "account_id")}
"""Columns whose content 0009 moves to other tables; a test of its own says where to."""


def contents(connection: Connection, columns: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Return all rows of these columns of these tables, sorted."""
    return {
        table: sorted(map(repr, connection.execute(text(f"SELECT {', '.join(names)} FROM {table}"))))
        for table, names in columns.items()
    }


def columns(connection: Connection) -> dict[str, list[str]]:
    """Return the columns of all tables, except for those that the migrations themselves write."""
    found = inspect(connection)
    return {
        table: [
            column["name"]
            for column in found.get_columns(table)
            if column["name"] != "last_event_at" and (table, column["name"]) not in MOVED
        ]
        for table in found.get_table_names()
        if table not in {"alembic_version", "schema_compatibility"}
    }


def fill(url: URL, revision: str) -> None:
    """Add the rows that are meant for the schema of `revision`."""
    with connect(url).begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")  # deleting a student deletes its enrollments, too
        else:
            connection.exec_driver_sql("SET TIME ZONE 'UTC'")
        for statement in ROWS.get(revision, []):
            connection.exec_driver_sql(statement)


@pytest.fixture
def old(databases: Databases) -> Iterator[URL]:
    """Return a filled database at the schema of the first migration."""
    url = databases.empty()
    migrate(url, "0001")
    fill(url, "0001")
    yield url
    databases.drop(url)


@pytest.fixture
def database(old: URL) -> URL:
    """Return the database of `make_app`, `app` and `client`."""
    return old


def upgrade_step_by_step(url: URL, compare: Callable[[str, Any, Any], None]) -> None:
    """Migrate through each revision, adding its rows; `compare` gets what was there before and after each step."""
    for revision in REVISIONS[1:]:
        with connect(url).connect() as connection:
            known = columns(connection)
            before = contents(connection, known)
        migrate(url, revision)
        with connect(url).connect() as connection:
            compare(revision, before, contents(connection, known))
        fill(url, revision)


def test_every_migration_keeps_every_row_of_the_schema_before_it(old: URL) -> None:
    steps = []

    def compare(revision: str, before: Any, after: Any) -> None:
        assert after == before, revision
        steps.append(revision)

    upgrade_step_by_step(old, compare)

    assert steps == REVISIONS[1:]
    with connect(old).connect() as connection:
        empty = [table for table, rows in contents(connection, columns(connection)).items() if not rows]
    assert empty == [], "add rows to ROWS, so that the next migration has something to lose"


def test_a_filled_database_has_the_schema_of_a_new_one_after_an_upgrade(old: URL, databases: Databases) -> None:
    migrate(old)

    assert anatomy(old) == anatomy(databases.template)


@pytest.mark.parametrize("revision", OLDER)
def test_a_filled_database_of_every_older_schema_is_upgraded_and_moves_its_courses_into_a_term(
    old: URL, revision: str, databases: Databases, run: Callable[..., Result]
) -> None:
    for each in REVISIONS[1 : REVISIONS.index(revision) + 1]:
        migrate(old, each)
        fill(old, each)
    with connect(old).connect() as connection:
        known = columns(connection)
        before = contents(connection, known)

    assert run("migrate").exit_code == 0

    with connect(old).begin() as connection:
        assert contents(connection, known) == before
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        revisions = connection.execute(text("SELECT sum(schedule_revision) FROM students")).scalar_one()
        connection.execute(
            text("INSERT INTO terms (code, title, starts_on, ends_on) VALUES ('S27', 'S', '2027-01-11', '2027-05-07')")
        )
    assert anatomy(old) == anatomy(databases.template)
    adopted = run("terms", "adopt", "S27", "--courses", f"id={WAITING}", f"id={UNLIMITED}")
    assert adopted.output == "Moved 2 courses with 4 enrollments into S27.\n"
    with connect(old).connect() as connection:
        raised = connection.execute(text("SELECT sum(schedule_revision) FROM students")).scalar_one()
        assert raised - revisions == 4
        assert contents(connection, {"enrollment_events": known["enrollment_events"]}) == {
            "enrollment_events": before["enrollment_events"]
        }
    verified, repaired = run("verify"), run("repair", "sequences")
    assert (verified.exit_code, "BROKEN" in verified.output) == (0, False), verified.output
    assert repaired.output == "All sequences are above the existing ids.\n"


@pytest.mark.parametrize("by", ["one command", "single steps"])
def test_the_service_goes_on_where_it_was_after_an_upgrade(
    old: URL, by: str, make_app: Callable[..., Flask], run: Callable[..., Result]
) -> None:
    with connect(old).connect() as connection:
        last = connection.execute(text("SELECT max(id) FROM enrollment_events")).scalar_one()

    if by == "one command":
        assert run("migrate").exit_code == 0
    else:
        upgrade_step_by_step(old, lambda *_: None)
        with connect(old).begin() as connection:
            connection.execute(text("DELETE FROM api_keys"))  # with a key, the calls below would need it

    verified = run("verify")
    assert (verified.exit_code, "BROKEN" in verified.output) == (0, False), verified.output
    assert f"Ledger lines {last}\n" in run("status").output
    client = make_app().test_client()
    assert isinstance(client, ContractClient)
    assert client.get("/readyz").status_code == 200
    # Ids go on behind those that were ever given, also behind deleted ones.
    assert client.post("/students", json={"name": "New", "email": "new@example.edu"}).get_json()["id"] == 9
    assert client.post("/courses", json={"code": "NEW1", "title": "New"}).get_json()["id"] == CLOSED + 1
    # The first on the waitlist gets the seat that becomes free, and a full course stays full.
    assert client.get("/students/2/courses?status=waitlisted").get_json()["courses"][0]["position"] == 1
    assert client.delete("/students/1/unenroll", json={"course_ids": [WAITING]}).status_code == 200
    roster = client.get(f"/courses/{WAITING}/students").get_json()["items"]
    assert [each["student_id"] for each in roster] == [2]
    assert client.post("/students/9/enroll", json={"course_id": FULL}).status_code == 409
    assert client.post("/students/9/enroll", json={"course_id": UNLIMITED}).status_code == 201
    with connect(old).connect() as connection:
        lines = connection.execute(text("SELECT id FROM enrollment_events WHERE student_id = 9")).scalars().all()
    assert min(lines) > last
    assert run("verify").exit_code == 0


# --- a schema that is older or newer than the code ---------------------------------------------------------


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command on the test's database."""
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    return lambda *arguments: CliRunner().invoke(cli.cli, arguments)


COMMANDS = [["demo"], ["promote"], ["verify"], ["keys", "list"], ["people", "list"], ["status"], ["check"]]


@pytest.mark.parametrize("revision", OLDER)
def test_every_command_says_what_to_run_on_an_older_schema(
    old: URL, revision: str, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(old, revision)
    sentence = f"is at migration {revision}, and this version needs {SCHEMA_REVISION}: run `course-management migrate`"
    monkeypatch.setattr(serving, "serve", lambda *_: None)

    for command in COMMANDS:
        result = run(*command)
        assert (result.exit_code, sentence in result.output) == (1, True), (command, result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit), command
    served = run("serve")
    assert sentence in served.output
    assert served.exit_code == 0  # it responds 503 until the migration, and needs no restart then


@pytest.mark.parametrize("revision", OLDER)
def test_a_server_on_an_older_schema_responds_503_until_the_migration(
    old: URL, revision: str, make_app: Callable[..., Flask]
) -> None:
    migrate(old, revision)
    client = make_app().test_client()

    ready = client.get("/readyz")
    responses = [client.get("/students"), client.get("/courses/1/students"), client.get("/students/1/courses")]

    assert (ready.status_code, ready.get_json()["code"]) == (503, "database_unavailable")
    assert "course-management migrate" in ready.get_json()["detail"]
    assert {response.status_code for response in responses} <= {200, 503}
    migrate(old)
    assert client.get("/readyz").status_code == 200
    assert client.get("/students").status_code == 200


def test_a_missing_column_is_503_only_while_the_schema_is_another_one(
    old: URL, make_app: Callable[..., Flask], run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "serve", lambda *_: None)
    migrate(old)
    client = make_app().test_client()
    with connect(old).begin() as connection:
        connection.execute(text("ALTER TABLE students RENAME COLUMN email TO mail"))
        connection.execute(text("ALTER TABLE courses RENAME COLUMN waiting TO queue"))

    assert client.get("/students").status_code == 500  # a bug, which must not be reported as an outage
    with connect(old).begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{OLDER[-1]}'"))
    assert client.get("/students").status_code == 503
    served = run("serve")
    assert served.exit_code == 0
    assert "run `course-management migrate`" in served.output
    assert "is not available yet" not in served.output  # it does


def test_a_database_of_a_newer_version_is_left_alone(old: URL, run: Callable[..., Result]) -> None:
    migrate(old)
    with connect(old).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE schema_compatibility SET oldest_revision = '9998'"))
    before = anatomy(old)

    for command in (["migrate"], ["verify"], ["status"], ["check"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "The database is newer than this version: its schema is 9999" in result.output
    assert anatomy(old) == before


# --- the command -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("old")
def test_migrate_names_each_migration_that_it_ran_and_is_repeatable(run: Callable[..., Result]) -> None:
    first, second = run("migrate"), run("migrate")

    assert [line.split(":")[0] for line in first.output.splitlines()[:-1]] == [f"Migration {n}" for n in REVISIONS[1:]]
    ready = f"The database is ready for this version, whose schema is {SCHEMA_REVISION}."
    assert first.output.splitlines()[-1] == second.output.strip() == ready


def test_a_database_that_cannot_be_reached_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@127.0.0.1:1/school")

    result = CliRunner().invoke(cli.cli, ["migrate"])

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "secret" not in result.output


def test_a_wheel_has_its_migrations_inside_the_package_and_a_checkout_beside_it(tmp_path: Any) -> None:
    package = tmp_path / "src" / "course_management"
    package.mkdir(parents=True)
    assert migrations_folder(package) == tmp_path / "migrations"
    (package / "migrations").mkdir()
    assert migrations_folder(package) == package / "migrations"
    assert (migrations_folder() / "env.py").exists()


def test_a_server_does_not_load_alembic() -> None:
    check = "import sys, course_management.cli; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0  # noqa: S603 - a fixed command
