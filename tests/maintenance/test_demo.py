"""Demo data is made only in a new database, and removed without changing anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import URL

from course_management import cli
from course_management.access import keys
from course_management.maintenance import demo, verify
from course_management.services import people

from ..support.databases import migrate
from ..support.fixture_types import Enroll
from ..support.keys import create_key

Run = Callable[..., Result]
Sql = Callable[..., list[Any]]

MADE = "Demo data: 6 students, 5 courses, 10 enrollments.\n"
EMPTY = [("students", 0), ("courses", 0), ("student_courses", 0)]


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command `demo` on the test's database."""
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    return lambda *options: CliRunner().invoke(cli.cli, ["demo", *options])


@pytest.fixture
def counts(sql: Sql) -> Callable[[], list[tuple[str, int]]]:
    return lambda: [(table, sql(f"SELECT count(*) FROM {table}")[0][0]) for table, _ in EMPTY]


# --- only in an empty or a demo database ----------------------------------------------------------------------------


@pytest.fixture
def run_at_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command `demo` on a new SQLite file at the default address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    migrate(URL.create("sqlite", database=str(tmp_path / "course_management.db")))
    return lambda *options: CliRunner().invoke(cli.cli, ["demo", *options])


def test_a_new_file_at_the_default_address_gets_demo_data_once(run_at_default: Run) -> None:
    assert run_at_default("--if-new").output == MADE
    assert run_at_default("--if-new").output == ""
    run_at_default("--remove")
    assert run_at_default("--if-new").output == ""  # it was used, as its ledger shows


def test_setting_the_default_database_url_explicitly_changes_nothing(
    run_at_default: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///course_management.db")
    assert run_at_default("--if-new").output == MADE


def test_a_file_with_a_key_is_not_new(run_at_default: Run) -> None:
    CliRunner().invoke(cli.cli, ["keys", "create", "--name", "portal", "--scope", "admin"])
    assert run_at_default("--if-new").output == ""


def test_a_configured_database_gets_no_demo_data_automatically(
    run: Run, counts: Callable[[], list[tuple[str, int]]]
) -> None:
    result = run("--if-new")

    assert (result.exit_code, result.output) == (0, "")
    assert counts() == EMPTY
    assert run().output == MADE


def test_making_and_removing_at_once_is_refused(run: Run) -> None:
    assert run("--if-new", "--remove").exit_code == 2


# --- removing ----------------------------------------------------------------------------------------------------


def test_removing_leaves_nothing_but_the_ledger(run: Run, app: Flask, sql: Sql, counts: Callable[[], Any]) -> None:
    run()
    client = app.test_client()
    client.post("/students/1/enroll", json={"course_ids": [1, 5], "waitlist": True})  # as the README shows

    result = run("--remove")

    assert result.output == "Removed 6 students, 5 courses, 12 enrollments. The ledger keeps its lines.\n"
    assert counts() == EMPTY
    assert sql("SELECT count(*) FROM enrollment_events WHERE actor = 'demo' AND to_status = 'unenrolled'") == [(12,)]
    with app.app_context():
        assert [each.name for each in verify.verify() if each.evidence] == []


def test_removing_twice_is_removing_once(run: Run) -> None:
    run()
    run("--remove")

    result = run("--remove")

    assert (result.exit_code, result.output) == (0, "There is no demo data.\n")


def test_what_was_entered_about_the_demo_goes_with_it(run: Run, client: Any, term: Any, entry: Any, sql: Sql) -> None:
    run()
    fall = term()
    for number in (1, 2):
        client.patch(f"/courses/{number}", json={"term_id": fall})
    client.put("/courses/1/links", json={"groups": [[2]]})
    completion = {"grade": "A", "passed": True, "credits": 3}
    assert client.put(f"/students/1/completions/{entry()}/F25", json=completion).status_code == 201
    sql("UPDATE student_courses SET status = 'withdrawn' WHERE status = 'enrolled' AND course_id = 2")

    assert run("--remove").exit_code == 0
    assert [sql(f"SELECT count(*) FROM {table}") for table in ("students", "courses", "completions")] == [[(0,)]] * 3


def test_a_course_that_is_linked_to_a_demo_course_keeps_the_demo(
    run: Run, client: Any, term: Any, course: Any, counts: Callable[[], Any]
) -> None:
    run()
    fall = term()
    client.patch("/courses/1", json={"term_id": fall})
    client.put(f"/courses/{course(code='LAB', term_id=fall)}/links", json={"groups": [[1]]})
    before = counts()

    result = run("--remove")

    assert (result.exit_code, "is linked to course 1 of the demo data" in result.output) == (1, True)
    assert counts() == before


def test_removing_leaves_other_data_alone(run: Run, student: Any, course: Any, enroll: Enroll, sql: Sql) -> None:
    run()
    grace = student(email="grace@school.example")
    programming = course(code="CS1010", title="Programming")
    enroll(grace, programming)

    assert run("--remove").exit_code == 0
    assert sql("SELECT id FROM students") == [(grace,)]
    assert sql("SELECT id, seats_taken FROM courses") == [(programming, 1)]


def test_real_data_that_looks_like_the_demo_is_left_alone(run: Run, student: Any, course: Any, enroll: Enroll) -> None:
    ada = student(name="Ada Lovelace", email="ada@example.edu")
    cs101 = course(code="CS101", title="Programming", capacity=30)
    enroll(ada, cs101)

    assert run("--remove").output == "There is no demo data.\n"


def test_a_renamed_demo_course_is_not_removed(run: Run, client: Any, counts: Callable[[], Any]) -> None:
    run()
    client.patch("/courses/1", json={"title": "Programming in Python"})
    before = counts()

    result = run("--remove")

    assert result.exit_code == 1
    assert "is or was in course 1, and only one of the two is demo data" in result.output
    assert counts() == before


@pytest.mark.parametrize("then", ["stays", "leaves"])
def test_demo_courses_that_a_real_student_was_in_stay(
    run: Run, student: Any, enroll: Enroll, client: Any, counts: Callable[[], Any], then: str
) -> None:
    run()
    real = student(email="real@school.example")
    enroll(real, 1)
    if then == "leaves":
        client.delete(f"/students/{real}/unenroll", json={"course_id": 1})
    before = counts()

    result = run("--remove")

    assert result.exit_code == 1
    assert result.output == (
        f"Error: Student {real} is or was in course 1, and only one of the two is demo data. Delete one of them first. "
        "Nothing was removed.\n"
    )
    assert counts() == before


def test_a_demo_student_in_a_real_course_stays(
    run: Run, course: Any, enroll: Enroll, counts: Callable[[], Any]
) -> None:
    run()
    enroll(1, course(code="REAL1"))
    before = counts()

    assert run("--remove").exit_code == 1
    assert counts() == before


@pytest.mark.parametrize("link", ["student", "advisee"])
def test_a_demo_student_with_an_account_or_an_advisor_stays(
    run: Run, app: Flask, counts: Callable[[], Any], link: str
) -> None:
    run()
    with app.app_context():
        if link == "student":
            people.link_student("https://issuer", "ada", 1)
        else:
            people.appoint("https://issuer", "grace", "advisor")
            people.advise("https://issuer", "grace", 2)
    before = counts()

    result = run("--remove")

    assert result.exit_code == 1
    assert "is named by `course-management people list`" in result.output
    assert counts() == before


def test_making_the_demo_twice_at_the_same_time_is_reported_as_a_sentence(
    run: Run, student: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    student(email="ada@example.edu")
    monkeypatch.setattr(demo, "is_empty", lambda: True)  # what this one saw a moment before

    result = run()

    assert result.exit_code == 1
    assert result.output.startswith("Error: Another student has this e-mail address")


def test_removing_the_demo_keeps_api_keys(run: Run, app: Flask) -> None:
    run()
    with app.app_context():
        create_key("portal", ["admin"])
        run("--remove")
        assert len(keys.list_all()) == 1
