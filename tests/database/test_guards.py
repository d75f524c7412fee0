"""Constraints and triggers guard the data against any writer: psql, imports, and errors in this code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import URL, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from course_management.database import broken_constraint

from ..support.fixture_types import Counters, Enroll, Make, Sql

ENROLL = "INSERT INTO student_courses (student_id, course_id, status) VALUES (:student, :course, 'enrolled')"


@pytest.fixture
def refused(sql: Sql) -> Callable[..., str]:
    """Runs a statement that the database must refuse; the name of what refused."""

    def run(statement: str, **parameters: Any) -> str:
        with pytest.raises(IntegrityError) as caught:
            sql(statement, **parameters)
        return broken_constraint(caught.value)

    return run


def test_a_plain_insert_is_counted_and_in_the_ledger(
    client: FlaskClient, student: Make, course: Make, sql: Sql, counters: Counters
) -> None:
    ada, programming = student(), course(capacity=1)

    sql(ENROLL, student=ada, course=programming)

    assert counters(programming) == (1, 0)
    (line,) = client.get(f"/students/{ada}/history").get_json()["items"]
    assert (line["from"], line["to"], line["actor"], line["request_id"]) == (None, "enrolled", "database", None)


def test_a_plain_update_is_counted_and_signed_by_the_database(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, sql: Sql, counters: Counters
) -> None:
    ada, programming = student(), course(capacity=1)
    enroll(ada, programming)

    sql("UPDATE student_courses SET status = 'unenrolled'")

    assert counters(programming) == (0, 0)
    line = client.get(f"/students/{ada}/history").get_json()["items"][0]
    assert (line["from"], line["to"], line["actor"], line["request_id"]) == (
        "enrolled",
        "unenrolled",
        "database",
        None,
    )


def test_a_bulk_insert_is_one_line_and_one_seat_each(student: Make, course: Make, sql: Sql, counters: Counters) -> None:
    programming = course()
    for _ in range(5):
        student()

    sql(
        "INSERT INTO student_courses (student_id, course_id, status) SELECT id, :course, 'enrolled' FROM students",
        course=programming,
    )

    assert counters(programming) == (5, 0)
    assert sql("SELECT count(*) FROM enrollment_events") == [(5,)]


def test_a_queue_number_taken_by_hand_does_not_stop_the_waitlist(
    student: Make, course: Make, enroll: Enroll, sql: Sql, client: FlaskClient
) -> None:
    full, by_hand, later = course(capacity=0, waitlist_capacity=None), student(), student()
    sql(
        "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
        " VALUES (:student, :course, 'waitlisted', 41)",
        student=by_hand,
        course=full,
    )

    enroll(later, full, waitlist=True)

    waitlist = client.get(f"/courses/{full}/students?status=waitlisted").get_json()["items"]
    assert [(entry["student_id"], entry["position"]) for entry in waitlist] == [(by_hand, 1), (later, 2)]


def test_a_plain_insert_cannot_oversell_a_course(student: Make, course: Make, refused: Any) -> None:
    refusal = refused(ENROLL, student=student(), course=course(capacity=0))

    assert refusal == "ck_courses_seats_within_capacity"


def test_a_second_row_of_a_student_and_course_is_refused(student: Make, course: Make, sql: Sql, enroll: Enroll) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)

    with pytest.raises(IntegrityError):
        sql(ENROLL, student=ada, course=programming)


def test_a_row_of_an_unknown_student_is_refused(course: Make, sql: Sql) -> None:
    with pytest.raises(IntegrityError):
        sql(ENROLL, student=999, course=course())


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("status = 'dreaming'", "ck_student_courses_status_known"),
        ("status = 'waitlisted'", "ck_student_courses_queue_number_iff_waiting"),
        ("queue_number = 1", "ck_student_courses_queue_number_iff_waiting"),
        ("student_id = student_id + 1", "student_courses_key_is_fixed"),
        ("course_id = course_id + 1", "student_courses_key_is_fixed"),
    ],
)
def test_an_inconsistent_row_is_refused(
    student: Make, course: Make, enroll: Enroll, refused: Any, change: str, refusal: str
) -> None:
    enroll(student(), course())

    assert refused(f"UPDATE student_courses SET {change}") == refusal


def test_a_held_row_cannot_be_deleted(student: Make, course: Make, enroll: Enroll, refused: Any) -> None:
    enroll(student(), course())

    assert refused("DELETE FROM student_courses") == "student_courses_held_rows_stay"


@pytest.mark.parametrize(
    "statement", ["UPDATE enrollment_events SET actor = 'nobody'", "DELETE FROM enrollment_events"]
)
def test_the_ledger_cannot_be_rewritten(
    student: Make, course: Make, enroll: Enroll, refused: Any, statement: str
) -> None:
    enroll(student(), course())

    assert refused(statement) == "enrollment_events_append_only"


def test_insert_or_replace_does_not_bypass_the_triggers(
    backend: str, student: Make, course: Make, enroll: Enroll, refused: Any
) -> None:
    if backend != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    ada, programming = student(), course()
    enroll(ada, programming)

    refusal = refused("INSERT OR REPLACE" + ENROLL.removeprefix("INSERT"), student=ada, course=programming)

    assert refusal == "student_courses_held_rows_stay"


LINE = "(id, at, student_id, course_id, to_status, actor) VALUES (1, '2026-01-01', 1, 1, 'enrolled', 'nobody')"


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT OR REPLACE INTO enrollment_events {LINE}",
        f"REPLACE INTO enrollment_events {LINE}",
        f"INSERT INTO enrollment_events {LINE} ON CONFLICT DO UPDATE SET actor = 'nobody'",
        f"INSERT INTO enrollment_events {LINE.replace('id', 'rowid', 1)}",
        "UPDATE OR REPLACE enrollment_events SET id = 1 WHERE id = 2",
        (
            "REPLACE INTO enrollment_events SELECT id, at, 9, course_id, from_status, to_status, actor, request_id,"
            " reason, credits FROM enrollment_events"
        ),
    ],
)
def test_a_ledger_line_cannot_be_replaced_from_a_stock_sqlite(
    backend: str, database: URL, student: Make, course: Make, enroll: Enroll, statement: str, recursive_triggers: str
) -> None:
    """A connection of another program has none of the settings of the service."""
    if backend != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    enroll(student(), course(), course())
    with closing(sqlite3.connect(str(database.database))) as stock:
        stock.execute(f"PRAGMA recursive_triggers = {recursive_triggers}")
        before = stock.execute("SELECT * FROM enrollment_events").fetchall()

        with pytest.raises(sqlite3.IntegrityError, match="enrollment_events_append_only"):
            stock.execute(statement)

        assert stock.execute("SELECT * FROM enrollment_events").fetchall() == before
        stock.execute(f"INSERT INTO enrollment_events {LINE.replace('(1,', '(77,')}")  # adding a line is no replacing


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        (f"INSERT INTO enrollment_events {LINE}", "pk_enrollment_events"),
        (
            f"INSERT INTO enrollment_events {LINE.replace(' VALUES', ' OVERRIDING SYSTEM VALUE VALUES')}",
            "pk_enrollment_events",
        ),
        (
            f"INSERT INTO enrollment_events {LINE} ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
            "enrollment_events_append_only",
        ),
    ],
)
def test_a_ledger_line_cannot_be_replaced_on_postgresql(
    backend: str, student: Make, course: Make, enroll: Enroll, refused: Any, statement: str, refusal: str
) -> None:
    if backend != "postgresql":
        pytest.skip("these are PostgreSQL's ways")
    enroll(student(), course())

    assert refused(statement) == refusal


def test_replacing_a_row_that_is_not_held_still_works_on_sqlite(
    backend: str, student: Make, course: Make, enroll: Enroll, client: FlaskClient
) -> None:
    """The upsert that enrolls must not meet a guard against REPLACE on `student_courses`."""
    if backend != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    ada, wanted = student(), course()
    for _ in range(2):
        enroll(ada, wanted)
        client.delete(f"/students/{ada}/unenroll?course_id={wanted}")

    assert [each["outcome"] for each in enroll(ada, wanted).get_json()["results"]] == ["enrolled"]


@pytest.mark.parametrize("table", ["student_courses", "enrollment_events"])
def test_nothing_can_be_truncated(backend: str, refused: Any, table: str) -> None:
    if backend != "postgresql":
        pytest.skip("TRUNCATE is PostgreSQL's")

    assert refused(f"TRUNCATE {table}") == f"{table}_no_truncate"


def test_the_triggers_do_not_depend_on_who_calls(
    backend: str, engine: Engine, student: Make, course: Make, counters: Counters
) -> None:
    """A session with another search path still finds the tables of the schema it writes to."""
    if backend != "postgresql":
        pytest.skip("SQLite has no schemas")
    ada, programming = student(), course()
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL search_path = ''")
        connection.exec_driver_sql(
            f"INSERT INTO public.student_courses (student_id, course_id, status)"
            f" VALUES ({ada}, {programming}, 'enrolled')"
        )

    assert counters(programming) == (1, 0)


def test_a_deleted_id_is_never_generated_again(client: FlaskClient, student: Make) -> None:
    first = student()
    client.delete(f"/students/{first}")

    assert student() > first


def test_time_limits_come_with_the_connection(backend: str, sql: Sql) -> None:
    if backend == "sqlite":
        assert [sql(f"PRAGMA {name}")[0][0] for name in ("foreign_keys", "journal_mode", "synchronous")] == [
            1,
            "wal",
            2,
        ]
        assert sql("PRAGMA recursive_triggers") == [(1,)]
    else:
        assert [sql(f"SHOW {name}")[0][0] for name in ("lock_timeout", "statement_timeout", "timezone")] == [
            "1200ms",
            "1400ms",
            "UTC",
        ]


def test_a_writer_that_reads_first_waits_for_the_other(backend: str, engine: Engine, course: Make) -> None:
    """By default, SQLite would let both read, and one of them lose its update without an error."""
    if backend != "sqlite":
        pytest.skip("PostgreSQL locks rows")
    course()
    with engine.connect() as first, engine.connect() as second:
        first.exec_driver_sql("SELECT 1")
        with pytest.raises(DBAPIError, match="locked"):
            second.exec_driver_sql("UPDATE courses SET title = 'second'")
