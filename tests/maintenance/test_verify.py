"""`verify` has no findings in a consistent database, and finds each broken invariant."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import URL, Engine

from course_management import cli
from course_management.background import lease
from course_management.context import RequestContext
from course_management.maintenance import demo, verify
from course_management.services.enrollment import enrolling, promotion

from ..support.fixture_types import Enroll, Sql

TRIGGERS = {
    "student_courses": ["student_courses_inserted", "student_courses_updated", "student_courses_held_rows_stay"],
    "enrollment_events": ["enrollment_events_not_changed", "enrollment_events_not_deleted"],
}


@pytest.fixture
def school(app: Flask) -> None:
    """Demo data, and a waitlisted student."""
    with app.app_context():
        demo.make()
    for student_id in (1, 2):
        app.test_client().post(f"/students/{student_id}/enroll", json={"course_ids": [5], "waitlist": True})


@pytest.fixture
def broken(app: Flask, school: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:  # noqa: ARG001
    """Return the invariants that do not hold, with the evidence."""
    monkeypatch.setattr(verify, "SECOND_LOOK_S", 0.01)
    monkeypatch.setattr(verify, "STALLED_AFTER_S", 0.0)

    def find() -> dict[str, Any]:
        with app.app_context():
            return {each.name: each.evidence for each in verify.verify() if each.evidence}

    return find


@pytest.fixture
def tamper(backend: str, engine: Engine) -> Callable[..., None]:
    """Runs statements with the database's own guards switched off."""

    def run(*statements: str) -> None:
        with engine.connect() as connection:
            if backend == "sqlite":
                driver: Any = connection.connection.driver_connection
                driver.execute("PRAGMA foreign_keys = OFF")
                driver.execute("PRAGMA ignore_check_constraints = ON")
                for names in TRIGGERS.values():
                    for name in names:
                        driver.execute(f"DROP TRIGGER {name}")
            else:
                connection.exec_driver_sql("SET session_replication_role = replica")
                connection.exec_driver_sql("ALTER TABLE courses DROP CONSTRAINT ck_courses_seats_within_capacity")
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()
            connection.invalidate()

    return run


def test_a_consistent_database_has_no_findings(broken: Any) -> None:
    assert broken() == {}


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("seats counted are rows enrolled", "UPDATE courses SET seats_taken = seats_taken + 1 WHERE id = 1"),
        ("no course is oversold", "UPDATE courses SET capacity = 1 WHERE id = 1"),
        ("waiting counted are rows waitlisted", "UPDATE courses SET waiting = 1 WHERE id = 5"),
        (
            "students passed over counted are waiting rows passed over",
            "UPDATE courses SET passed_over_count = 1 WHERE id = 5",
        ),
        ("queue numbers are not ahead of the course's last", "UPDATE courses SET last_queue_number = 1 WHERE id = 5"),
        ("no seat is free while a student waits", "UPDATE courses SET capacity = 3 WHERE id = 5"),
        (
            "each line of the ledger starts from the status of the previous line",
            "UPDATE enrollment_events SET from_status = 'waitlisted' WHERE id = 1",
        ),
        (
            "each line of the ledger starts from the status of the previous line",
            (
                "INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor)"
                " SELECT at, student_id, course_id, to_status, to_status, 'nobody' FROM enrollment_events WHERE id = 1"
            ),
        ),
        ("the ledger alone rebuilds the present", "DELETE FROM enrollment_events WHERE id = 1"),
        (
            "the ledger alone rebuilds the present",
            "UPDATE student_courses SET status = 'unenrolled' WHERE student_id = 2 AND course_id = 1",
        ),
        (
            "the ledger alone rebuilds the present",
            "UPDATE enrollment_events SET to_status = 'garbage' WHERE student_id = 2 AND course_id = 1",
        ),
        (
            "the ledger alone rebuilds the present",
            "DELETE FROM student_courses WHERE student_id = 2 AND course_id = 1",
        ),
        ("no enrollment is an orphan", "DELETE FROM students WHERE id = 3"),
    ],
)
def test_each_broken_invariant_is_found(broken: Any, tamper: Any, name: str, statement: str) -> None:
    tamper(statement)

    found = broken()

    assert name in found
    assert {"course_id", "student_id", "line"} & set(found[name][0])


def test_a_withdrawal_that_the_ledger_has_as_unenrolling_is_found(broken: Any, tamper: Any) -> None:
    pair = "WHERE student_id = 2 AND course_id = 1"
    tamper(
        f"UPDATE enrollment_events SET to_status = 'unenrolled' {pair}",
        f"UPDATE student_courses SET status = 'withdrawn' {pair}",
    )

    (found,) = broken()["the ledger alone rebuilds the present"]

    assert (found["status"], found["ledger"]) == ("withdrawn", "unenrolled")


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], object]], None]:
    """Lets something happen before each look after the first; it is called with the number of the look, from 1.

    The clock goes on by one second a look.
    """

    def arrange(happen: Callable[[int], object]) -> None:
        looks, seconds = itertools.count(1), itertools.count()
        clock = SimpleNamespace(
            sleep=lambda _: happen(next(looks)),
            monotonic=lambda: float(next(seconds)),
            perf_counter=time.perf_counter,
        )
        monkeypatch.setattr(verify, "time", clock)

    return arrange


@pytest.fixture
def waitlist(student: Callable[..., int], course: Callable[..., int], enroll: Enroll) -> Callable[[], int]:
    """Makes a course without a seat that three students wait for; its id."""

    def make() -> int:
        full = course(capacity=0, waitlist_capacity=None)
        for _ in range(3):
            enroll(student(), full, waitlist=True)
        return full

    return make


def test_a_promotion_in_progress_is_not_a_finding(app: Flask, broken: Any, sql: Sql, between_looks: Any) -> None:
    sql("UPDATE courses SET capacity = 3 WHERE id = 5")
    between_looks(lambda _: app.test_client().post("/students/3/enroll", json={"course_id": 5}))

    assert broken() == {}


def test_courses_waiting_for_promotion_are_no_finding_while_it_makes_progress(
    app: Flask, broken: Any, sql: Sql, between_looks: Any, waitlist: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first course takes three looks, one student each; only then it is the turn of the second one."""
    monkeypatch.setattr(verify, "STALLED_AFTER_S", 3600.0)
    monkeypatch.setattr(promotion, "BATCH", 1)
    first, second = waitlist(), waitlist()
    sql("UPDATE courses SET capacity = NULL WHERE capacity = 0")

    def one_step(look: int) -> None:
        with app.app_context():
            promotion.promote_batch(first if look <= 3 else second, RequestContext())

    between_looks(one_step)

    assert broken() == {}


def test_a_stalled_course_is_found_although_others_make_progress(
    app: Flask, broken: Any, sql: Sql, between_looks: Any, waitlist: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = waitlist(), waitlist()
    monkeypatch.setattr(promotion, "BATCH", 1)
    sql("UPDATE courses SET capacity = NULL WHERE capacity = 0")
    monkeypatch.setattr(verify, "STALLED_AFTER_S", 4.0)

    def one_step(_: int) -> None:
        with app.app_context():
            promotion.promote_batch(first, RequestContext())

    between_looks(one_step)

    found = broken()

    assert [row["course_id"] for row in found["no seat is free while a student waits"]] == [second]


def test_verify_ends_although_a_waitlist_never_becomes_empty(
    student: Any, enroll: Enroll, app: Flask, broken: Any, sql: Sql, between_looks: Any, waitlist: Any, monkeypatch: Any
) -> None:
    first, second = waitlist(), waitlist()
    monkeypatch.setattr(promotion, "BATCH", 1)
    monkeypatch.setattr(verify, "STALLED_AFTER_S", 3600.0)
    monkeypatch.setattr(verify, "LONGEST_LOOK_S", 10.0)
    sql("UPDATE courses SET capacity = NULL WHERE capacity = 0")

    def one_step(_: int) -> None:
        with app.app_context():
            promotion.promote_batch(first, RequestContext())
            monkeypatch.setattr(enrolling, "promote", lambda *_: promotion.Promotion(0, pending=True))
            enroll(student(), first, waitlist=True)

    between_looks(one_step)

    found = broken()

    assert [row["course_id"] for row in found["no seat is free while a student waits"]] == [second]


def test_verify_waits_longer_than_the_replacement_of_a_dead_leader_takes() -> None:
    assert verify.STALLED_AFTER_S > lease.LEASE_S + lease.TRY_S + verify.SECOND_LOOK_S


@pytest.mark.usefixtures("school")
def test_the_command_prints_the_rows_and_exits_with_1(
    database: URL, tamper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    sound = CliRunner().invoke(cli.cli, ["verify"])
    tamper("UPDATE courses SET seats_taken = 7 WHERE id = 1")

    unsound = CliRunner().invoke(cli.cli, ["verify"])

    assert (sound.exit_code, sound.output.count("ok ")) == (0, len(verify.INVARIANTS))
    assert unsound.exit_code == 1
    assert "BROKEN  seats counted are rows enrolled" in unsound.output
    assert "course_id 1, seats_taken 7, rows_enrolled 2" in unsound.output


# --- notes: what can be right ------------------------------------------------------------------------------------


@pytest.fixture
def notes(app: Flask) -> Callable[[], dict[str, Any]]:
    """Return what is reported although nothing is broken."""

    def find() -> dict[str, Any]:
        with app.app_context():
            return {each.name: list(each.evidence) for each in verify.verify() if each.verdict == "note"}

    return find


@pytest.mark.usefixtures("school")
def test_lines_that_go_back_in_time_are_a_note(broken: Any, notes: Any, sql: Sql) -> None:
    assert notes() == {}
    sql(
        "INSERT INTO student_courses (student_id, course_id, status, status_since)"
        " VALUES (6, 3, 'enrolled', '2020-01-01 00:00:00.000000')"
    )

    ((name, (line,)),) = notes().items()

    assert name == "the lines of the ledger are in order of time in each course"
    assert (line["student_id"], line["course_id"]) == (6, 3)
    assert str(line["at"])[:4] == "2020"
    assert broken() == {name: [line]}


@pytest.mark.parametrize(
    ("email", "form"),
    [("Ada@Example.edu", "another one"), ("a@xn--bcher-kva.example", "another one"), ("-", "no e-mail address")],
)
def test_an_email_address_that_is_not_in_canonical_form_is_a_note(notes: Any, sql: Sql, email: str, form: str) -> None:
    sql("INSERT INTO students (id, name, email) VALUES (1, 'Ada', :email)", email=email)

    found = notes()["e-mail addresses are stored in their canonical form"]

    assert found == [{"student_id": 1, "form": form}]  # and never the address: this goes to logs


@pytest.mark.usefixtures("school")
def test_the_command_prints_notes_and_exits_with_0(database: URL, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    sql("UPDATE students SET email = 'Ada@Example.edu' WHERE id = 1")

    result = CliRunner().invoke(cli.cli, ["verify"])

    assert result.exit_code == 0
    assert "note    e-mail addresses are stored in their canonical form" in result.output
    assert "student_id 1, form another one" in result.output
