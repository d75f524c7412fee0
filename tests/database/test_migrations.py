"""The schema: built by Alembic, the same as the models say, up and down, on both databases."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, inspect, text
from sqlalchemy.exc import IntegrityError

from course_management.database import SCHEMA_REVISION, Base

from ..support.databases import ROOT, Databases, downgrade, migrate
from ..support.schemas import anatomy, connect, rows, run


def test_what_the_migrations_build_is_what_the_models_say(database: URL, empty: URL) -> None:
    with connect(empty).begin() as connection:
        Base.metadata.create_all(connection)

    built, said = anatomy(database), anatomy(empty)

    assert built == said
    assert len([name for name in built if name.startswith("trigger ")]) >= 6
    # Constraints are part of the tables' own text on SQLite.
    assert "ck_courses_seats_within_capacity" in str(built)


def test_a_check_that_only_the_models_have_is_noticed(database: URL, empty: URL) -> None:
    with connect(empty).begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(text("DROP TRIGGER student_courses_inserted" + _on(connection, "student_courses")))

    assert anatomy(database) != anatomy(empty)


def _on(connection: Any, table: str) -> str:
    return f" ON {table}" if connection.dialect.name == "postgresql" else ""


def test_alembic_finds_nothing_to_migrate(database: URL) -> None:
    with connect(database).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, Base.metadata) == []


def test_down_to_nothing_and_up_again_builds_the_same(empty: URL, database: URL) -> None:
    migrate(empty)
    migrate(empty, "base")

    assert set(inspect(connect(empty)).get_table_names()) <= {"alembic_version"}
    assert anatomy(empty) == {}

    migrate(empty)
    assert anatomy(empty) == anatomy(database)


def test_migrating_twice_is_migrating_once(database: URL) -> None:
    before = anatomy(database)

    migrate(database)

    assert anatomy(database) == before


def test_the_code_is_written_for_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_heads() == [SCHEMA_REVISION]


# --- a database with data, from an older schema ----------------------------------------------------------------

FILL = (
    "INSERT INTO students (id, name, email, created_at) VALUES (1, 'Ada', 'ada@example.edu', '2026-01-01 08:00:00')",
    "INSERT INTO students (id, name, email, created_at) VALUES (2, 'Ben', 'ben@xn--bcher-kva.example', '2026-01-01')",
    "INSERT INTO students (id, name, email, created_at) VALUES (7, 'Eve', 'no address', '2026-01-01 08:00:00')",
    (
        "INSERT INTO courses (id, code, title, capacity, waitlist_capacity, created_at)"
        " VALUES (1, 'CS101', 'Programming', 1, NULL, '2026-01-01 08:00:00')"
    ),
    "INSERT INTO courses (id, code, title, created_at) VALUES (5, 'CS105', 'Compilers', '2026-01-01 08:00:00')",
    "INSERT INTO student_courses (student_id, course_id, status) VALUES (1, 1, 'enrolled')",
    "INSERT INTO student_courses (student_id, course_id, status, queue_number) VALUES (2, 1, 'waitlisted', 1)",
    "INSERT INTO student_courses (student_id, course_id, status) VALUES (1, 5, 'enrolled')",
    "UPDATE student_courses SET status = 'unenrolled' WHERE course_id = 5",
    "DELETE FROM students WHERE id = 7",
)
SEQUENCES = (
    "SELECT setval(pg_get_serial_sequence('students', 'id'), 7), setval(pg_get_serial_sequence('courses', 'id'), 5)"
)
TABLES = ("students", "courses", "student_courses", "enrollment_events")


def only(columns: Set[str], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in columns} for row in found]


@pytest.fixture(params=["0001", "0002", "0003", "0004", "0009", "0011"])
def filled(request: pytest.FixtureRequest, empty: URL) -> URL:
    """Return a database of an older schema: students enrolled, waitlisted and unenrolled; the last one deleted."""
    migrate(empty, request.param)
    run(empty, *FILL, *([SEQUENCES] if empty.get_backend_name() == "postgresql" else []))
    return empty


def test_a_filled_database_of_every_older_schema_keeps_its_data(filled: URL, database: URL) -> None:
    before = {table: rows(filled, table) for table in TABLES}

    migrate(filled)

    after = {table: rows(filled, table) for table in TABLES}
    for table in TABLES:
        old = before[table][0].keys() - {"email"}
        assert only(old, after[table]) == only(old, before[table]), table
    if "updated_at" not in before["students"][0]:  # 0005 changed the form of addresses
        assert [row["email"] for row in after["students"]] == ["ada@example.edu", "ben@b\xfccher.example"]
    assert anatomy(filled) == anatomy(database)


def test_ids_go_on_after_the_last_one_ever_given(filled: URL) -> None:
    migrate(filled)
    run(filled, "INSERT INTO students (name, email) VALUES ('New', 'new@example.edu')")

    # Number 7 was deleted before the migration, and its lines of the ledger must not become those of another student.
    assert [row["id"] for row in rows(filled, "students")] == [1, 2, 8]


def test_the_guards_work_after_the_migration(filled: URL) -> None:
    migrate(filled)
    run(filled, "UPDATE student_courses SET status = 'unenrolled' WHERE student_id = 1 AND course_id = 1")

    assert len(rows(filled, "enrollment_events")) == 5
    assert [row["seats_taken"] for row in rows(filled, "courses")] == [0, 0]
    with pytest.raises(IntegrityError):
        run(filled, "DELETE FROM enrollment_events")


def test_the_migration_can_be_taken_back(filled: URL) -> None:
    migrate(filled)
    before = {table: rows(filled, table) for table in TABLES}

    downgrade(filled, "0004")
    run(filled, "INSERT INTO students (id, name, email, created_at) VALUES (9, 'Old', 'OLD@example.edu', '2026-01-01')")
    migrate(filled)

    assert rows(filled, "enrollment_events") == before["enrollment_events"]
    assert [row["email"] for row in rows(filled, "students")][-1] == "old@example.edu"


def refusal(url: URL, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the message of a migration that must change nothing and exit with code 1."""
    before = anatomy(url), {table: rows(url, table) for table in TABLES}
    with pytest.raises(SystemExit) as caught:
        migrate(url)
    assert caught.value.code == 1
    assert (anatomy(url), {table: rows(url, table) for table in TABLES}) == before
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "twins",
    [
        ("a1@b\xfccher.example", "a1@xn--bcher-kva.example"),
        ("a1@\uff45xample.example", "a1@example.example"),
        ("A1@Example.example", "a1@EXAMPLE.example"),  # two old spellings, and neither is the new one
    ],
    ids=ascii,
)
def test_two_students_with_one_address_stop_the_migration(
    empty: URL, capsys: pytest.CaptureFixture[str], twins: Sequence[str]
) -> None:
    migrate(empty, "0004")
    for number, email in enumerate(("someone@example.edu", *twins), 11):
        run(
            empty,
            "INSERT INTO students (id, name, email, created_at)"
            f" VALUES ({number}, 'Ada', '{email}', '2026-01-01 08:00:00')",
        )

    said = refusal(empty, capsys)

    assert said.startswith("Nothing was changed: these students have the same e-mail address")
    assert "students 12, 13\n" in said
    assert "11" not in said
    assert "example" not in said  # an address must not reach a log

    run(empty, "DELETE FROM students WHERE id = 13")
    migrate(empty)


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("students.id", "INSERT INTO students VALUES (9007199254740992, 'Ada', 'ada@example.edu', '2026-01-01')"),
        ("courses.id", "INSERT INTO courses (id, code, title, created_at) VALUES (-1, 'A', 'B', '2026-01-01')"),
        (
            "enrollment_events.student_id",
            (
                "INSERT INTO enrollment_events (at, student_id, course_id, to_status, actor)"
                " VALUES ('2026-01-01', 9223372036854775807, 1, 'enrolled', 'database')"
            ),
        ),
    ],
)
def test_an_id_that_clients_do_not_know_exactly_stops_the_migration(
    empty: URL, capsys: pytest.CaptureFixture[str], table: str, statement: str
) -> None:
    migrate(empty, "0001")  # so that others run before the one that stops, and are rolled back
    run(empty, statement)

    said = refusal(empty, capsys)

    assert said.startswith("Nothing was changed: this version takes ids from 1 to 9007199254740991")
    assert f"{table}: " in said


def test_addresses_that_change_places_are_no_conflict(empty: URL) -> None:
    """A stored address of one student can be the old spelling of another's."""
    migrate(empty, "0004")
    for number, email in enumerate(("ADA@example.edu", "Ada@b\xfccher.example", "ben@example.edu"), 1):
        run(empty, f"INSERT INTO students VALUES ({number}, 'Ada', '{email}', '2026-01-01 08:00:00')")

    migrate(empty)

    emails = [row["email"] for row in rows(empty, "students")]
    assert emails == ["ada@example.edu", "ada@b\xfccher.example", "ben@example.edu"]


@pytest.mark.parametrize("table", ["students", "courses", "api_keys", "accounts", "people"])
def test_a_row_written_by_hand_need_not_say_when_it_was_made(database: URL, table: str) -> None:
    columns = {
        "students": "name, email) VALUES ('Ada', 'ada@example.edu'",
        "courses": "code, title) VALUES ('CS101', 'Programming'",
        "api_keys": "name, prefix, digest, scopes) VALUES ('sync', 'p', 'd', 'admin'",
        "accounts": "issuer, subject, person_id) VALUES ('i', 's', 1",
        "people": "id, name) VALUES (2, 'Ada'",
    }
    run(database, "INSERT INTO people (id, name) VALUES (1, 'Somebody')")
    run(database, f"INSERT INTO {table} ({columns[table]})")

    assert rows(database, table)[-1]["created_at"] is not None


@pytest.mark.parametrize("number", [0, -1, 2**53])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO students (id, name, email) VALUES ({}, 'Ada', 'ada@example.edu')",
        "INSERT INTO courses (id, code, title) VALUES ({}, 'CS101', 'Programming')",
        (
            "INSERT INTO enrollment_events (id, at, student_id, course_id, to_status, actor)"
            " VALUES ({}, '2026-01-01', 1, 1, 'enrolled', 'database')"
        ),
        "INSERT INTO api_keys (id, name, prefix, digest, scopes) VALUES ({}, 'sync', 'p', 'd', 'admin')",
        "INSERT INTO accounts (id, issuer, subject, student_id) VALUES ({}, 'i', 's', 1)",
        "INSERT INTO people (id, name) VALUES ({}, 'Ada')",
    ],
)
def test_the_database_takes_no_id_that_clients_do_not_know_exactly(database: URL, statement: str, number: int) -> None:
    with pytest.raises(IntegrityError, match="id_in_range"):
        run(database, statement.format(number))


def test_sql_to_read_before_it_runs(
    backend: str, empty: URL, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty.render_as_string(hide_password=False))
    config = Config(ROOT / "alembic.ini")
    if backend == "postgresql":
        command.upgrade(config, "head", sql=True)
        assert "ck_students_id_in_range" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit):
            command.upgrade(config, "head", sql=True)
        assert "no SQL script" in capsys.readouterr().err
    assert anatomy(empty) == {}


# --- columns of resources ---------------------------------------------------------------------------------------


def test_words_of_existing_rows_are_found_after_the_migration(empty: URL) -> None:
    migrate(empty, "0007")
    for number in range(1, 6):
        run(empty, f"INSERT INTO students (name, email) VALUES ('ÅSA {number}', 's{number}@example.edu')")
    run(empty, "INSERT INTO courses (code, title) VALUES ('MA1', 'Größen')")

    migrate(empty, "0008")

    assert [row["search_text"] for row in rows(empty, "students")] == [
        f"åsa {number} s{number}@example.edu" for number in range(1, 6)
    ]
    assert [row["search_text"] for row in rows(empty, "courses")] == ["ma1 grössen"]


def test_students_without_an_address_get_one_that_cannot_exist_when_the_migration_is_taken_back(empty: URL) -> None:
    migrate(empty, "0008")
    run(empty, "INSERT INTO students (name) VALUES ('Ada')", "INSERT INTO students (name) VALUES ('Ben')")

    downgrade(empty, "0007")

    emails = [row["email"] for row in rows(empty, "students")]
    assert emails == ["student-1@missing.invalid", "student-2@missing.invalid"]


# --- people -----------------------------------------------------------------------------------------------------

ACCOUNTS = (
    "INSERT INTO students (id, name, email) VALUES (1, 'Ada', 'ada@example.edu'), (2, 'Ben', 'ben@example.edu')",
    (
        "INSERT INTO accounts (issuer, subject, role, student_id, created_at) VALUES"
        " ('i', 'ada', 'student', 1, '2026-01-01 08:00:00'), ('i', 'grace', 'advisor', NULL, '2026-01-02 08:00:00'),"
        " ('i', 'emmy', 'registrar', NULL, '2026-01-03'), ('i', 'gone', 'registrar', NULL, '2026-01-04')"
    ),
    "INSERT INTO advisees (account_id, student_id) VALUES (2, 1), (2, 2), (1, 2)",
    "DELETE FROM accounts WHERE subject = 'gone'",
)


@pytest.fixture
def staffed(empty: URL) -> URL:
    """Return a database of the schema before people, with accounts of each role; the newest one is deleted."""
    migrate(empty, "0008")
    run(empty, *ACCOUNTS)
    return empty


def found(url: URL, statement: str) -> list[tuple[Any, ...]]:
    with connect(url).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def test_staff_become_people_with_the_number_of_their_account(staffed: URL, database: URL) -> None:
    made = found(staffed, "SELECT id, created_at FROM accounts ORDER BY id")

    migrate(staffed)

    assert found(staffed, "SELECT id, name FROM people ORDER BY id") == [(2, "grace"), (3, "emmy")]
    assert found(staffed, "SELECT * FROM person_roles ORDER BY 1") == [(2, "advisor"), (3, "registrar")]
    assert found(staffed, "SELECT * FROM advisees ORDER BY 1, 2") == [(2, 1), (2, 2)]
    assert found(staffed, "SELECT id, subject, person_id, student_id FROM accounts ORDER BY id") == [
        (1, "ada", None, 1),
        (2, "grace", 2, None),
        (3, "emmy", 3, None),
    ]
    assert found(staffed, "SELECT id, created_at FROM accounts ORDER BY id") == made
    assert found(staffed, "SELECT created_at FROM people ORDER BY id") == [(each[1],) for each in made[1:]]
    assert anatomy(staffed) == anatomy(database)


def test_a_new_person_never_gets_the_number_of_an_old_account(staffed: URL) -> None:
    migrate(staffed)

    run(staffed, "INSERT INTO people (name) VALUES ('New')")
    run(staffed, "INSERT INTO accounts (issuer, subject, student_id) VALUES ('i', 'new', 2)")

    # 4 was deleted, and the ledger may name it.
    assert found(staffed, "SELECT max(id) FROM people") == [(5,)]
    assert found(staffed, "SELECT max(id) FROM accounts") == [(5,)]


def test_an_account_belongs_to_a_person_or_to_a_student(staffed: URL) -> None:
    migrate(staffed)

    for owner in ("NULL, NULL", "2, 1"):
        with pytest.raises(IntegrityError, match="person_or_student"):
            run(staffed, f"INSERT INTO accounts (issuer, subject, person_id, student_id) VALUES ('i', 'new', {owner})")


def test_people_become_accounts_with_one_role_again(staffed: URL, databases: Databases) -> None:
    migrate(staffed)
    run(
        staffed,
        "INSERT INTO person_roles VALUES (2, 'registrar')",
        "INSERT INTO people (name) VALUES ('Nobody')",
        "INSERT INTO accounts (issuer, subject, person_id) VALUES ('i', 'emmy2', 3), ('i', 'nobody', 5)",
    )

    downgrade(staffed, "0008")

    assert found(staffed, "SELECT id, subject, role, student_id FROM accounts ORDER BY id") == [
        (2, "grace", "registrar", None),
        (3, "emmy", "registrar", None),
        (7, "ada", "student", 1),
        (8, "emmy2", "registrar", None),
    ]
    assert found(staffed, "SELECT * FROM advisees ORDER BY 1, 2") == [(2, 1), (2, 2)]
    before = databases.empty()
    migrate(before, "0008")
    assert anatomy(staffed) == anatomy(before)
    databases.drop(before)

    migrate(staffed)  # and there again
    assert found(staffed, "SELECT id, name FROM people ORDER BY id") == [(2, "grace"), (3, "emmy"), (8, "emmy2")]


# --- terms, groups, holds -----------------------------------------------------------------------------------------

IN_TERMS = (
    (
        "INSERT INTO terms (id, code, title, starts_on, ends_on) VALUES"
        " (1, 'F26', 'Fall', '2026-09-01', '2026-12-18'), (2, 'S27', 'Spring', '2027-01-11', '2027-05-07')"
    ),
    "UPDATE courses SET term_id = 1",
    "UPDATE student_courses SET passed_over_at = '2026-09-01 08:00:00', reason = 'x' WHERE status = 'waitlisted'",
)


def test_courses_of_terms_stay_without_their_terms_when_the_migration_is_taken_back(
    empty: URL, databases: Databases
) -> None:
    migrate(empty, "0009")
    run(empty, *FILL)
    before = {table: rows(empty, table) for table in TABLES}
    migrate(empty)
    run(empty, *IN_TERMS)

    downgrade(empty, "0009")

    assert {table: rows(empty, table) for table in TABLES} == before
    old = databases.empty()
    migrate(old, "0009")
    assert anatomy(empty) == anatomy(old)
    databases.drop(old)
    migrate(empty)  # and there again
    assert [row["passed_over_count"] for row in rows(empty, "courses")] == [0, 0]


def test_two_courses_of_one_code_stop_the_way_back(empty: URL, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(empty)
    run(empty, *IN_TERMS, "INSERT INTO courses (code, title, term_id) VALUES ('CS101', 'A', 1), ('CS101', 'A', 2)")
    before = anatomy(empty), rows(empty, "courses")

    with pytest.raises(SystemExit):
        downgrade(empty, "0009")

    assert (anatomy(empty), rows(empty, "courses")) == before
    assert (
        "several courses have these. Change or delete courses, then migrate again: CS101\n" in capsys.readouterr().err
    )


# --- catalog, credits, withdrawing --------------------------------------------------------------------------------


def test_students_who_have_withdrawn_are_unenrolled_when_the_migration_is_taken_back(
    empty: URL, databases: Databases
) -> None:
    migrate(empty)
    run(
        empty,
        *FILL,
        *IN_TERMS,
        "INSERT INTO catalog_entries (code, title, credits) VALUES ('CS 1', 'Programming', 300)",
        "UPDATE courses SET credits = 300, catalog_id = 1",
        "UPDATE student_courses SET credits = 300, status = 'withdrawn' WHERE status = 'enrolled'",
    )

    downgrade(empty, "0011")

    assert [row["status"] for row in rows(empty, "student_courses")] == ["unenrolled", "unenrolled", "waitlisted"]
    assert [row["to_status"] for row in rows(empty, "enrollment_events")][-2:] == ["withdrawn", "unenrolled"]
    old = databases.empty()
    migrate(old, "0011")
    assert anatomy(empty) == anatomy(old)
    databases.drop(old)
    migrate(empty)  # and there again


def test_a_key_whose_scopes_are_too_long_for_the_older_schema_stops_the_way_back(
    empty: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate(empty)
    run(
        empty,
        f"INSERT INTO api_keys (name, prefix, digest, scopes) VALUES ('a', 'p', 'd', '{'x' * 200}')",
        f"INSERT INTO api_keys (name, prefix, digest, scopes) VALUES ('b', 'q', 'd', '{'x' * 201}')",
    )
    before = anatomy(empty)

    with pytest.raises(SystemExit):
        downgrade(empty, "0011")

    assert anatomy(empty) == before
    assert "Delete the rows from api_keys, then migrate again: 2\n" in capsys.readouterr().err
