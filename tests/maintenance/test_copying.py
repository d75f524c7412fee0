"""`copy --to`: everything is in the copy, as it was at one moment, on both kinds of database."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import URL, Connection, create_engine, select, text
from sqlalchemy.pool import NullPool

from course_management.database import Base, migration_engine, sequences
from course_management.maintenance import copying, ledger_seal, trigger_state

from ..support.databases import Databases, migrate
from ..support.filled import fill
from .conftest import address

Run = Callable[..., Result]
Make = Callable[[str], URL]


@pytest.fixture
def target(backend: str, new_database: Make) -> URL:
    """Return the URL of a new database of the other kind, without tables."""
    return new_database("postgresql" if backend == "sqlite" else "sqlite")


def opened(url: URL) -> Any:
    return migration_engine(url, 10_000).connect()


def content(connection: Connection) -> dict[str, list[Any]]:
    """Return all rows of a database that are copied."""
    return {
        table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
        for table in Base.metadata.sorted_tables
        if table.name not in copying.NOT_COPIED
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_table_the_sequences_and_the_ledger_are_in_the_copy(
    run: Run, database: URL, kind: str, new_database: Make
) -> None:
    target = new_database(kind)
    with opened(database) as connection, connection.begin():
        for number in (1, 2):
            fill(connection, number)
        connection.execute(text("INSERT INTO groups (kind, code, title) VALUES ('level', 'UG', 'Undergraduate')"))
        connection.execute(text("DELETE FROM groups WHERE id = 3"))  # its id is never given again

    result = run("copy", "--to", address(target))

    assert result.exit_code == 0, result.output
    with opened(database) as source, opened(target) as copy:
        before, after = content(source), content(copy)
        assert all(before.values()), "a table has no row"
        assert after == before
        assert sequences.last_given(copy) == sequences.last_given(source)
        assert sequences.last_given(copy)["groups"] == 3
        assert trigger_state.flaws(copy) == []
        assert ledger_seal.make(copy, 2**53).sha256 == ledger_seal.make(source, 2**53).sha256
    assert "The copy is complete" in result.output


def test_a_seat_that_has_just_become_free_is_only_a_note_in_a_copy(
    run: Run, database: URL, new_database: Make, student: Callable[..., int], course: Callable[..., int], enroll: Any
) -> None:
    """No service promotes in the copy while it is checked, so the check must not wait for that."""
    course_id = course(capacity=1, waitlist_capacity=1)
    enroll(student(), course_id)
    assert enroll(student(), course_id, waitlist=True).status_code == 201
    with opened(database) as connection, connection.begin():
        connection.execute(text("UPDATE courses SET capacity = 2"))

    result = run("copy", "--to", address(new_database("sqlite")))

    assert result.exit_code == 0, result.output
    assert "note    no seat is free while a student waits: 1 checked" in result.output
    assert "course-management promote" in result.output


def test_a_copy_serves_and_counts_on(
    run: Run, target: URL, student: Callable[..., int], course: Callable[..., int], enroll: Callable[..., Any],
    make_app: Callable[..., Any],
) -> None:  # fmt: skip
    student_id, course_id = student(), course(capacity=2)
    enroll(student_id, course_id)
    assert run("copy", "--to", address(target)).exit_code == 0

    client: FlaskClient = make_app(database_url=address(target)).test_client()
    new = client.post("/students", json={"name": "Grace", "email": "grace@example.edu"}).get_json()["id"]

    assert new == student_id + 1
    assert client.post(f"/students/{new}/enroll", json={"course_id": course_id}).status_code == 201
    assert client.get(f"/courses/{course_id}").get_json()["seats_taken"] == 2
    assert run("verify", url=target).exit_code == 0


@pytest.fixture
def enroll_meanwhile(
    client: FlaskClient, student: Callable[..., int], course: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Returns a function that lets a new student enroll in three courses before each table is copied."""
    offered = [course() for _ in range(3)]
    copy_table = copying.copy_table

    def begin(read_from: Callable[[Connection], Connection]) -> None:
        def after_an_enrollment(source: Connection, *arguments: Any) -> int:
            response = client.post(f"/students/{student()}/enroll", json={"course_ids": offered})
            assert response.status_code == 201, response.text
            return copy_table(read_from(source), *arguments)

        monkeypatch.setattr(copying, "copy_table", after_an_enrollment)

    client.post(f"/students/{student()}/enroll", json={"course_ids": offered})
    return begin


def test_a_copy_is_of_one_moment_while_students_enroll(
    run: Run, target: URL, enroll_meanwhile: Callable[..., None]
) -> None:
    enroll_meanwhile(lambda snapshot: snapshot)

    result = run("copy", "--to", address(target))

    assert result.exit_code == 0, result.output  # it was verified: counters, rows and ledger agree
    with opened(target) as copy:
        tables = ("students", "student_courses", "enrollment_events")
        assert [copy.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables] == [1, 3, 3]


def test_without_a_snapshot_the_copy_is_not_of_one_moment(
    run: Run, database: URL, target: URL, enroll_meanwhile: Callable[..., None]
) -> None:
    """The control of the test above: the same enrollments, and each table is read as it is then."""
    engine = create_engine(database, poolclass=NullPool)
    enroll_meanwhile(lambda _: engine.connect())

    result = run("copy", "--to", address(target))

    assert result.exit_code == 1
    assert re.search("BROKEN|The ledger is different|refer to rows that do not exist|constraint", result.output)


def test_a_target_with_a_row_in_any_table_is_refused_and_keeps_it(run: Run, database: URL, target: URL) -> None:
    migrate(target)
    with opened(target) as connection, connection.begin():
        connection.execute(text("INSERT INTO groups (kind, code, title) VALUES ('level', 'UG', 'Undergraduate')"))
        before = content(connection)

    result = run("copy", "--to", address(target))

    assert result.exit_code == 3
    assert "The target is not empty: groups. Nothing was copied." in result.output
    with opened(target) as connection:
        assert content(connection) == before
        assert trigger_state.flaws(connection) == []
    assert database != target


def test_a_target_of_another_schema_is_refused(run: Run, target: URL) -> None:
    migrate(target, "0013")

    result = run("copy", "--to", address(target))

    assert result.exit_code == 1
    assert "The target has the schema 0013" in result.output


def test_a_copy_that_fails_in_the_middle_leaves_an_empty_target_with_its_triggers(
    run: Run, target: URL, course: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    course()
    real = copying.digest
    monkeypatch.setattr(copying, "digest", lambda rows: real(rows) + 1)

    result = run("copy", "--to", address(target))

    assert result.exit_code == 1
    assert "different after copying" in result.output
    monkeypatch.undo()
    with opened(target) as connection:
        assert not any(content(connection).values())
        assert trigger_state.flaws(connection) == []


def test_a_row_that_the_target_does_not_accept_is_named(
    backend: str, run: Run, database: URL, new_database: Make, student: Callable[..., int]
) -> None:
    if backend == "postgresql":
        pytest.skip("PostgreSQL is the stricter one")
    student()
    with opened(database) as connection, connection.begin():
        connection.execute(text("INSERT INTO students (name) VALUES (:name)"), {"name": "x" * 300})

    result = run("copy", "--to", address(new_database("postgresql")))

    assert result.exit_code == 1
    assert "the row of students with id 2 in the column name (value too long" in result.output
    assert "xxx" not in result.output


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u@h/d", "unknown database 'mysql'"),
        ("school.db", "is not a database URL"),
        ("postgresql://u:secret@127.0.0.1:1/d", "The target cannot be used"),
    ],
)
def test_a_wrong_url_is_a_sentence_without_a_password(run: Run, url: str, sentence: str) -> None:
    result = run("copy", env={"TARGET_DATABASE_URL": url})

    assert result.exit_code in {1, 2}
    assert sentence in result.output
    assert "secret" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_the_database_is_not_copied_into_itself(run: Run, database: URL) -> None:
    result = run("copy", "--to", address(database))

    assert result.exit_code == 2
    assert "the database of DATABASE_URL itself" in result.output


def test_every_table_is_copied_or_said_not_to_be() -> None:
    assert {table.name for table in copying.tables()} | {*copying.NOT_COPIED} == {*Base.metadata.tables}
    assert set(copying.NOT_COPIED) <= {*Base.metadata.tables}


def test_a_table_of_something_else_is_named_and_not_copied(
    run: Run, database: URL, target: URL, databases: Databases
) -> None:
    with opened(database) as connection, connection.begin():
        connection.execute(text("CREATE TABLE reports (id integer)"))

    result = run("copy", "--to", address(target))

    assert result.exit_code == 0
    assert "the table reports does not belong to this service" in result.output
    assert databases
