"""What differs where Citus is present, without Citus: a plain PostgreSQL whose catalog names the extension.

It shows what the service recognizes and does, and that its own triggers for Citus write what those of PostgreSQL write.
`TEST_CITUS_URL` runs the suite on a real one (docs/scaling.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from course_management.database import citus, db, sequences
from course_management.database.citus import separate_commands
from course_management.models.triggers.citus import CITUS

from ..support.databases import Databases, migrate
from .test_session_settings import serves

NAMED = """
SET allow_system_table_mods = on;
INSERT INTO pg_extension SELECT 1, 'citus', extowner, extnamespace, false, '13.2' FROM pg_extension LIMIT 1;
"""
CHANGES = """
INSERT INTO students (name) SELECT 'Ada' FROM generate_series(1, 4);
INSERT INTO courses (code, title, waitlist_capacity) VALUES ('A', 'A', 0), ('B', 'B', 0), ('C', 'C', 9);
INSERT INTO student_courses (student_id, course_id, status, actor) SELECT id, 1, 'enrolled', 'import' FROM students;
INSERT INTO student_courses (student_id, course_id, status, status_since, actor, request_id, reason, credits)
    SELECT id, 2, 'enrolled', timestamptz '2026-01-01 08:00Z' + id * interval '1 hour', 'import', 'r1', 'asked', 300
    FROM students;
INSERT INTO student_courses (student_id, course_id, status, queue_number)
    SELECT id, 3, 'waitlisted', id FROM students ORDER BY id DESC;
UPDATE student_courses SET status = 'unenrolled' WHERE student_id = 1 AND course_id <> 3;
UPDATE student_courses SET status = 'enrolled', queue_number = NULL, revision = revision + 1, actor = 'service',
    request_id = 'r2', reason = 'a seat', status_since = timestamptz '2026-02-01 08:00Z' WHERE course_id = 3;
UPDATE student_courses SET credits = 400 WHERE course_id = 2 AND status = 'enrolled';
UPDATE student_courses SET actor = 'nobody';
"""
LEDGER = """
SELECT student_id, course_id, from_status, to_status, actor, request_id, reason, credits,
    CASE WHEN at < '2026-03-01' THEN at END AS chosen,
    at >= lag(at) OVER (PARTITION BY course_id ORDER BY id) AS in_order
FROM enrollment_events ORDER BY id
"""
COUNTERS = "SELECT id, seats_taken, waiting, last_queue_number FROM courses ORDER BY id"


@pytest.fixture(autouse=True)
def only_postgresql(backend: str) -> None:
    if backend != "postgresql":
        pytest.skip("Citus is an extension of PostgreSQL")


def run(url: URL, statements: str) -> list[Any]:
    """Run statements as in a database shell; return the rows of the last one."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        result = connection.exec_driver_sql(statements)
        rows = list(result) if result.returns_rows else []
        connection.commit()
    return rows


@pytest.fixture
def distributed(databases: Databases) -> Iterator[URL]:
    """Return the address of a migrated database that names the extension."""
    url = databases.empty()
    run(url, NAMED)
    migrate(url)
    yield url
    databases.drop(url)


def test_everything_works_where_citus_is_recognized(make_app: Callable[..., Flask], distributed: URL) -> None:
    app = make_app(database_url=distributed.render_as_string(hide_password=False))
    serves(app.test_client())
    with app.app_context(), db.engine.connect() as connection:
        assert citus.is_present(connection)
        assert connection.execute(text("SHOW plan_cache_mode")).scalar() == "auto"


def test_the_triggers_for_citus_write_what_those_of_postgresql_write(database: URL, distributed: URL) -> None:
    bodies = "SELECT prosrc FROM pg_proc WHERE proname IN ('record_new_enrollments', 'record_changed_enrollments')"
    assert all(any(body in function for function in CITUS) for (body,) in run(distributed, bodies))
    for url in (database, distributed):
        run(url, CHANGES)

    assert run(distributed, COUNTERS) == run(database, COUNTERS)
    assert len(run(database, LEDGER)) == 21
    assert run(distributed, LEDGER) == run(database, LEDGER)


def test_ids_of_the_ledger_that_a_worker_generated_are_not_ahead_of_a_sequence(
    make_app: Callable[..., Flask], database: URL, distributed: URL
) -> None:
    found = []
    for url in (database, distributed):
        run(url, "INSERT INTO students (name) VALUES ('Ada'); INSERT INTO courses (code, title) VALUES ('A', 'A')")
        line = "INSERT INTO enrollment_events (id, at, student_id, course_id, to_status, actor)"
        run(url, f"{line} VALUES (281474976710657, now(), 1, 1, 'enrolled', 'service')")
        app = make_app(database_url=url.render_as_string(hide_password=False))
        with app.app_context(), db.engine.connect() as connection:
            found.append([sequence.table for sequence in sequences.behind(connection)])
    assert found == [["enrollment_events"], []]


@pytest.mark.parametrize(
    ("statement", "commands"),
    [
        ("SELECT 1, 2", ["SELECT 1, 2"]),
        ("ALTER TABLE a ADD b integer", ["ALTER TABLE a ADD b integer"]),
        (
            "\nALTER TABLE a ADD b numeric(5, 2), ADD CONSTRAINT c CHECK (b IN (1, 2)), ALTER d SET DEFAULT 'x, (y'",
            [
                "ALTER TABLE a ADD b numeric(5, 2)",
                "ALTER TABLE a ADD CONSTRAINT c CHECK (b IN (1, 2))",
                "ALTER TABLE a ALTER d SET DEFAULT 'x, (y'",
            ],
        ),
    ],
)
def test_commands_are_sent_one_at_a_time(statement: str, commands: list[str]) -> None:
    assert separate_commands(statement) == commands
