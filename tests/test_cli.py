"""The command line: demo data, state, promotion, wrong settings. `serve` is tested with the real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, create_engine, text
from sqlalchemy.pool import NullPool

from course_management import cli
from course_management.demo import COURSES, PEOPLE

Run = Callable[..., Result]


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli.cli, arguments)

    return call


def execute(database: URL, statement: str) -> None:
    with create_engine(database, poolclass=NullPool).begin() as connection:
        connection.execute(text(statement))


def test_demo_data_is_made_once(run: Run) -> None:
    first, second = run("demo"), run("demo")

    assert first.output == f"Demo data: {len(PEOPLE)} students, {len(COURSES)} courses, 10 enrollments.\n"
    assert second.output == "The database has data already; no demo data made.\n"


def test_status_counts_what_is_there(run: Run) -> None:
    run("demo")

    result = run("status")

    assert result.exit_code == 0
    assert f"Students     {len(PEOPLE)}\n" in result.output
    assert f"Courses      {len(COURSES)}\n" in result.output


def test_promote_seats_those_whom_a_crash_left_waiting(run: Run, database: URL) -> None:
    run("demo")
    execute(database, "UPDATE courses SET waitlist_capacity = 3 WHERE id = 5")
    for student_id, number in ((1, 1), (2, 2), (3, 3)):
        execute(
            database,
            "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
            f" VALUES ({student_id}, 5, 'waitlisted', {number})",
        )
    execute(database, "UPDATE courses SET capacity = 4 WHERE id = 5")

    first, second = run("promote"), run("promote")

    assert first.output == "Promoted 2 from waitlists.\n"
    assert second.output == "Promoted 0 from waitlists.\n"


def test_status_hides_the_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@127.0.0.1:1/school")

    result = run("status")

    assert result.exit_code == 1
    assert "secret" not in result.output
    assert "Not ready" in result.output


def test_status_of_an_old_schema_says_what_to_run(run: Run, database: URL) -> None:
    execute(database, "UPDATE alembic_version SET version_num = '0000'")

    result = run("status")

    assert result.exit_code == 1
    assert "run: alembic upgrade head" in result.output


def test_a_wrong_setting_ends_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "abc")
    monkeypatch.setattr("sys.argv", ["course-management", "status"])

    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 2
    assert capsys.readouterr().err == "PORT is 'abc', which is not a whole number.\n"
