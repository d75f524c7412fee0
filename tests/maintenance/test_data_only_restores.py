"""Rows that were loaded without their triggers, or with triggers twice: found by `verify` and `check`, and repaired."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import URL, Engine, text

from course_management.config import ConfigurationError
from course_management.maintenance import checks, counters, trigger_state

from ..support.waits import wait_until_blocked
from .test_copying import opened

Run = Callable[..., Result]


@pytest.fixture
def alter(database: URL) -> Callable[[str], None]:
    """Runs a statement as the owner of the database, outside of the service."""

    def change(statement: str) -> None:
        with opened(database) as connection, connection.begin():
            connection.exec_driver_sql(statement)

    return change


@pytest.fixture
def filled(student: Callable[..., int], course: Callable[..., int], enroll: Callable[..., Any]) -> int:
    """Make a course with two seats taken and one student waiting; its id."""
    course_id = course(capacity=2, waitlist_capacity=5)
    for _ in range(3):
        enroll(student(), course_id, waitlist=True)
    return course_id


def test_a_missing_trigger_is_found_refuses_the_start_and_is_created_again(
    backend: str, run: Run, alter: Callable[[str], None], filled: int, database: URL
) -> None:
    on = " ON student_courses" if backend == "postgresql" else ""
    alter(f"DROP TRIGGER student_courses_inserted{on}")

    found, checked, served = run("verify"), run("check"), run("serve")

    assert found.exit_code == 1
    assert "BROKEN  all triggers exist and are enabled" in found.output
    assert "table student_courses, trigger student_courses_inserted, state missing" in found.output
    assert "course-management repair triggers" in found.output
    assert "DANGER  Triggers of the database do not run (student_courses_inserted of student_courses" in checked.output
    assert isinstance(served.exception, ConfigurationError)

    assert run("repair", "triggers").output == "Repaired: student_courses_inserted of student_courses is missing.\n"
    assert run("verify").exit_code == 0
    assert run("repair", "triggers").output == "All triggers exist and are enabled.\n"
    with opened(database) as connection:
        assert trigger_state.number(connection) > 10
    assert filled


def test_disabled_triggers_are_enabled_again(backend: str, run: Run, alter: Callable[[str], None]) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite cannot disable triggers")
    alter("ALTER TABLE student_courses DISABLE TRIGGER ALL")  # as an interrupted `pg_restore --disable-triggers`

    found = run("verify")

    assert "trigger student_courses_updated, state disabled" in found.output
    assert "trigger foreign keys, state disabled" in found.output
    assert run("repair", "triggers").exit_code == 0
    assert run("verify").exit_code == 0


def test_a_missing_function_is_created_with_its_trigger(backend: str, run: Run, alter: Callable[[str], None]) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite has no functions")
    alter("DROP FUNCTION refuse_change CASCADE")

    assert run("verify").exit_code == 1
    assert run("repair", "triggers").exit_code == 0
    assert run("verify").exit_code == 0


def test_counters_that_triggers_raised_twice_are_counted_again(
    run: Run, alter: Callable[[str], None], filled: int, client: FlaskClient
) -> None:
    alter("UPDATE courses SET capacity = 4, seats_taken = 4, waiting = 2, last_queue_number = 0")

    found, repaired = run("verify"), run("repair", "counters")

    assert "course-management repair counters" in found.output
    assert repaired.exit_code == 0
    assert f"Course {filled} (CS001): seats_taken 4 to 2, waiting 2 to 1, last_queue_number 0 to 1." in repaired.output
    assert client.get(f"/courses/{filled}").get_json()["seats_taken"] == 2
    assert run("repair", "counters").output == "All counters agree with the enrollments.\n"


def test_a_course_with_more_students_than_seats_is_named_and_left(
    run: Run, alter: Callable[[str], None], filled: int
) -> None:
    alter("UPDATE courses SET capacity = 1, seats_taken = 0")

    result = run("repair", "counters")

    assert result.exit_code == 1
    assert f"Course {filled} (CS001): 2 students are enrolled, and the capacity is 1: raise it first." in result.output


def test_a_ledger_that_triggers_wrote_again_is_recognized_as_such(
    run: Run, alter: Callable[[str], None], filled: int
) -> None:
    alter(
        "INSERT INTO enrollment_events (at, student_id, course_id, to_status, actor)"
        " SELECT status_since, student_id, course_id, status, actor FROM student_courses"
    )

    result = run("verify")

    assert result.exit_code == 1
    assert "triggers wrote it again" in result.output
    assert "course-management restore" in result.output
    assert filled


def test_sequences_behind_their_tables_are_reported_by_check(run: Run, alter: Callable[[str], None]) -> None:
    alter("INSERT INTO groups (kind, code, title) VALUES ('level', 'UG', 'Undergraduate')")
    alter("UPDATE groups SET id = 77")

    result = run("check")

    assert "Rows were inserted with explicit ids (groups)" in result.output
    assert run("repair", "sequences").exit_code == 0
    assert "explicit ids" not in run("check").output


@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "control"])
def test_counting_again_waits_for_a_change_in_progress(
    backend: str, is_locked: bool, database: URL, engine: Engine, run: Run, filled: int, alter: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if backend != "postgresql":
        pytest.skip("SQLite has one writer")
    if not is_locked:
        monkeypatch.setattr(counters, "LOCK", "")
    alter("UPDATE student_courses SET status = 'unenrolled', queue_number = NULL WHERE status = 'waitlisted'")
    alter("UPDATE courses SET capacity = NULL, seats_taken = 7")
    with ThreadPoolExecutor(1) as pool:
        with opened(database) as rival, rival.begin():
            rival.execute(text("UPDATE student_courses SET status = 'unenrolled'"))
            repair = pool.submit(run, "repair", "counters")
            wait_until_blocked(engine)
        assert repair.result().exit_code == 0

    assert run("verify").exit_code == (0 if is_locked else 1)
    assert filled


_DROP = "DROP TRIGGER rule_events_not_replaced"


def test_a_newer_schema_may_have_other_triggers(
    backend: str, run: Run, alter: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "SCHEMA_REVISION", "0001")
    alter("DROP TRIGGER rule_events_no_truncate ON rule_events" if backend == "postgresql" else _DROP)
    assert "Triggers" not in run("check").output
