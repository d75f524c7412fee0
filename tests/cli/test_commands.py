"""Commands: status, promote, exit codes, and errors reported in sentences. `serve` is tested with the real server."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from course_management import cli, create_app
from course_management.__main__ import INTERRUPTED, main
from course_management.cli.service import service
from course_management.database import db
from course_management.maintenance.demo import DEMO_COURSES, DEMO_NAMES

from ..support.databases import ROOT, Databases, migrate

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


@pytest.mark.usefixtures("run")
def test_statements_of_commands_may_take_longer_than_those_of_requests(backend: str) -> None:
    questions = {"postgresql": ["SHOW statement_timeout", "SHOW lock_timeout"], "sqlite": ["PRAGMA busy_timeout"]}
    with service(), db.engine.connect() as connection:
        limits = [connection.scalar(text(question)) for question in questions[backend]]
    assert limits == {"postgresql": ["10min", "10s"], "sqlite": [10_000]}[backend]


def test_demo_data_is_made_once(run: Run) -> None:
    first, second = run("demo"), run("demo")

    assert first.output == f"Demo data: {len(DEMO_NAMES)} students, {len(DEMO_COURSES)} courses, 10 enrollments.\n"
    assert second.output == "The database is not empty, so no demo data was made.\n"


def test_status_counts_rows(run: Run) -> None:
    run("demo")

    result = run("status")

    assert result.exit_code == 0
    assert f"Students     {len(DEMO_NAMES)}\n" in result.output
    assert f"Courses      {len(DEMO_COURSES)}\n" in result.output


def test_status_counts_enrollments_only_while_they_last(run: Run, database: URL) -> None:
    run("demo")
    execute(database, "UPDATE student_courses SET status = 'unenrolled', queue_number = NULL WHERE student_id = 2")

    assert "Enrollments  8\n" in run("status").output


def test_promote_fills_seats_that_a_crash_left_free(run: Run, database: URL) -> None:
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

    assert first.output == "Promoted 2 students from waitlists.\n"
    assert second.output == "Promoted 0 students from waitlists.\n"


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
    assert "at migration 0000" in result.output
    assert "run `course-management migrate`" in result.output


# --- commands that only look ----------------------------------------------------------------------------------

LOOKING = (["status"], ["check"], ["verify"], ["promote"], ["demo"], ["keys", "list"], ["people", "list"])


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_a_command_on_a_missing_sqlite_file_says_so_and_creates_nothing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/school.db")

    result = CliRunner().invoke(cli.cli, arguments)

    assert result.exit_code == 1
    assert f"There is no database file {tmp_path}/school.db" in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_app_on_a_missing_sqlite_file_responds_503_and_creates_nothing(tmp_path: Path) -> None:
    client = create_app({"DATABASE_URL": f"sqlite:///{tmp_path}/school.db", "LOG_LEVEL": "error"}).test_client()

    assert client.get("/readyz").status_code == 503
    assert client.post("/students", json={"name": "Ada", "email": "ada@example.edu"}).status_code == 503
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a?mode=ro.db", "50%25.db", "a#b.db", "a b.db", "caf\u00e9.db"])
def test_a_sqlite_file_with_an_unusual_name_is_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = URL.create("sqlite", database=str(tmp_path / name))
    migrate(url)
    monkeypatch.setenv("DATABASE_URL", url.render_as_string())

    assert CliRunner().invoke(cli.cli, ["status"]).exit_code == 0
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_only_the_owner_can_read_a_new_database_whatever_the_umask(tmp_path: Path) -> None:
    environ = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/school.db"}

    def run(*command: str) -> None:
        program = Path(sys.executable).parent / command[0]
        subprocess.run([program, *command[1:]], env=environ, umask=0, check=True, cwd=ROOT)  # noqa: S603 - our own

    run("alembic", "upgrade", "head")
    with closing(sqlite3.connect(tmp_path / "school.db")) as reader:
        reader.execute("SELECT count(*) FROM students").fetchall()  # now the write-ahead log stays, to be looked at
        run("course-management", "demo")
        modes = {each.name: oct(each.stat().st_mode & 0o777) for each in tmp_path.iterdir()}

    assert modes == dict.fromkeys(("school.db", "school.db-wal", "school.db-shm"), "0o600")


# --- exit codes -----------------------------------------------------------------------------------------------


@pytest.fixture
def exit_code(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the entry point with arguments; its exit code."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["course-management", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0)

    return call


def test_exit_codes_are_documented(exit_code: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    shown = capsys.readouterr().out
    for code in (0, 1, 2, INTERRUPTED):
        assert re.search(rf"^ +{code:<4} \w", shown, re.MULTILINE)


def test_a_wrong_option_ends_with_exit_code_2(exit_code: Callable[..., int]) -> None:
    assert exit_code("status", "--no-such-option") == 2
    assert exit_code("no-such-command") == 2


def test_a_database_that_is_down_ends_with_exit_code_1(
    exit_code: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:SECRET@127.0.0.1:1/school")

    for arguments in LOOKING:
        assert exit_code(*arguments) == 1
    shown = capsys.readouterr()
    assert "SECRET" not in shown.out + shown.err
    assert "Traceback" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("53100", "The disk of the database is full."),
        ("SQLITE_FULL", "The disk of the database is full."),
        ("25006", "The database is read-only."),
        ("SQLITE_READONLY_DBMOVED", "The database is read-only."),
        ("42501", "The database role lacks a permission."),
        ("55P03", "Another session has held a lock for too long."),
        ("SQLITE_BUSY_SNAPSHOT", "Another session has held a lock for too long."),
        ("SQLITE_CORRUPT", "The database is damaged or not a database."),
    ],
)
def test_a_database_error_is_reported_as_a_sentence_with_a_remedy(
    run: Run, kind: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind.startswith("SQLITE_"):
        error: Exception = sqlite3.OperationalError("its text")
        error.sqlite_errorname = kind  # type: ignore[attr-defined]
    else:
        error = psycopg.errors.lookup(kind)("its text")
    failure = OperationalError("SELECT 1", None, error)
    monkeypatch.setattr("course_management.maintenance.demo.is_empty", Mock(side_effect=failure))

    result = run("demo")

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {sentence}")
    assert "its text" not in result.output


def test_a_file_that_is_not_a_database_is_reported_as_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "school.db").write_text("This is a text, and not a database." * 200)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/school.db")

    for arguments in LOOKING:
        result = CliRunner().invoke(cli.cli, arguments)
        assert result.exit_code == 1
        assert "The database is damaged or not a database." in result.output


def test_a_role_without_permissions_is_reported_as_a_sentence(
    databases: Databases, database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    if databases.backend == "sqlite":
        pytest.skip("SQLite has no roles")
    empty, role = databases.empty(), f"nobody_{os.getpid()}"
    databases.run(f"CREATE ROLE {role} LOGIN")
    try:
        for url, commands in ((database, LOOKING), (empty, [["migrate"]])):
            monkeypatch.setenv("DATABASE_URL", url.set(username=role).render_as_string(hide_password=False))
            for arguments in commands:
                result = CliRunner().invoke(cli.cli, arguments)
                assert (result.exit_code, type(result.exception)) == (1, SystemExit)
                assert "The database role lacks a permission." in result.output
    finally:
        databases.drop(empty)
        databases.run(f"DROP ROLE {role}")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, EOFError])
def test_ctrl_c_ends_with_exit_code_130_and_without_a_traceback(
    exit_code: Callable[..., int],
    interruption: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("course_management.maintenance.checks.find", Mock(side_effect=interruption))

    assert exit_code("check") == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_ctrl_c_during_import_prints_no_traceback(
    exit_code: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class CtrlC:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "course_management.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "course_management.cli")
    monkeypatch.setattr(sys, "meta_path", [CtrlC(), *sys.meta_path])

    assert exit_code("status") == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def run_with_package(folder: Path, name: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run a command while another package, or a broken one, stands in the place of `name`."""
    (folder / f"{name}.py").write_text(code)
    program = [sys.executable, "-m", "course_management", "status"]
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(program, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("orjson", "raise ModuleNotFoundError('No module named orjson', name='orjson')", "No module named orjson"),
        ("cachetools", "__version__ = '1'", "cannot import name"),
    ],
    ids=["missing", "old"],
)
def test_incompatible_packages_are_reported_as_a_sentence(tmp_path: Path, name: str, code: str, said: str) -> None:
    """As after a `git pull` without `make install`."""
    done = run_with_package(tmp_path, name, code)

    assert done.returncode == 1
    assert said in done.stderr
    assert "run `make install`" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_import_error_inside_the_package_is_a_traceback(tmp_path: Path) -> None:
    done = run_with_package(tmp_path, "orjson", "import course_management.nowhere")

    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_importing_the_package_alone_loads_no_slow_module() -> None:
    look = "import sys, course_management.__main__; sys.exit('flask' in sys.modules or 'sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0  # noqa: S603 - our own


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [("| head -0", 1, ""), ("> /dev/full", 1, "Error: No space left on device.\n"), (">&-", 0, ""), ("2>&-", 0, "")],
)
def test_output_that_cannot_be_written_prints_no_traceback(output: str, code: int, said: str, tmp_path: Path) -> None:
    url = URL.create("sqlite", database=str(tmp_path / "school.db"))
    migrate(url)
    program = Path(sys.executable).parent / "course-management"
    environ = {**os.environ, "DATABASE_URL": url.render_as_string(), "PYTHONUNBUFFERED": "1"}

    shell = ["bash", "-c", f"{program} status {output}; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(shell, env=environ, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own

    assert (done.returncode, done.stderr) == (code, said)


def test_a_wrong_setting_ends_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "abc")
    monkeypatch.setattr("sys.argv", ["course-management", "status"])

    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 2
    assert capsys.readouterr().err == "PORT is 'abc', which is not a whole number.\n"
