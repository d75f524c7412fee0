"""What others change while an import runs stays; each test of a guard has its control, where the guard is removed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import URL

from course_management.background.lease import LEASE_S, lease_of
from course_management.cli import import_run
from course_management.cli import imports as command
from course_management.maintenance.verify import verify
from course_management.services import enrollment
from course_management.transfer import importing, sources
from course_management.transfer.importing import Choices
from course_management.transfer.staging import Stage

from ..support.fixture_types import Sql
from ..support.importing import Import, importer
from ..transfer.files import ENROLLMENTS, FILES

GONE = {"enrollments": "student,course,status\ns1,c1,unenrolled\n"}
OF_S1_IN_C1 = (
    "student_id = (SELECT id FROM students WHERE external_id = 's1')"
    " AND course_id = (SELECT id FROM courses WHERE external_id = 'c1')"
)
AGAIN = [
    f"UPDATE student_courses SET status = '{status}', actor = 'student:1', revision = revision + 1 WHERE {OF_S1_IN_C1}"
    for status in ("unenrolled", "enrolled")
]


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Import:
    return importer(database, monkeypatch, tmp_path)


@pytest.fixture
def status(sql: Sql) -> Callable[[], str]:
    """Returns the status of the student s1 in the course c1."""
    return lambda: str(sql(f"SELECT status FROM student_courses WHERE {OF_S1_IN_C1}")[0][0])


@pytest.mark.parametrize("guarded", [True, False])
def test_a_student_who_enrolls_anew_at_the_moment_of_the_drop_stays(
    run: Import, sql: Sql, status: Any, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> None:
    """The control compares with the enrollments as they are now, instead of those that were looked at."""
    run(FILES)
    exchange_all = enrollment.exchange_all

    def late(requests: Any, seen: Mapping[Any, Any], note: Any) -> Any:
        for statement in AGAIN:
            sql(statement)
        pairs = [(request.student_id, course_id) for request in requests for course_id in request.instead_of]
        now = enrollment.enrollments_of([student for student, _ in pairs], [course for _, course in pairs])
        return exchange_all(requests, seen if guarded else now, note)

    monkeypatch.setattr(enrollment, "exchange_all", late)
    result = run(GONE)
    assert status() == ("enrolled" if guarded else "unenrolled"), result.output
    assert bool(sql("SELECT 1 FROM import_rows WHERE code = 'changed_since'")) == guarded


def test_what_somebody_changes_between_plan_and_drop_stays(
    run: Import, sql: Sql, status: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(FILES)
    apply = importing.apply

    def late(*args: Any) -> None:
        for statement in AGAIN:
            sql(statement)
        apply(*args)

    monkeypatch.setattr(command, "apply", late)
    result = run({"enrollments": ENROLLMENTS.replace("s1,c1\n", "")}, "--mode", "bulk", "--allow-drops", "1")
    assert (result.exit_code, status()) == (0, "enrolled"), result.output


def test_a_row_is_refused_that_finds_its_enrollment_changed_each_time(
    run: Import, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrollment, "exchange_all", lambda requests, *_: [None for _ in requests])
    result = run(FILES)
    assert result.exit_code == 3
    assert sql("SELECT DISTINCT code FROM import_rows WHERE kind = 'enrollments'") == [("busy",)]


def test_a_second_import_waits_until_the_first_has_ended(
    app: Flask, database: URL, run: Import, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "TRY_S", 0.5 - LEASE_S)
    first = lease_of(database, "import")
    with app.app_context():
        assert first.acquire()
        result = run(FILES)
        assert (result.exit_code, sql("SELECT count(*) FROM imports")) == (1, [(0,)])
        assert "Another import is running" in result.output
        first.release()
    assert run(FILES).exit_code == 0


def test_an_import_that_has_lost_its_lease_ends(run: Import, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the machine had slept, and another import had begun meanwhile."""
    monkeypatch.setattr(import_run, "RENEW_S", 0.0)

    class Lost:
        held = 0

        def acquire(self) -> bool:
            self.held += 1
            return self.held == 1

        def release(self) -> None:
            pass

    monkeypatch.setattr(import_run, "lease_of", lambda *_: Lost())
    result = run(FILES)
    assert (result.exit_code, sql("SELECT count(*) FROM student_courses")) == (1, [(0,)])


def test_imports_of_overlapping_files_at_the_same_time_leave_one_line_for_each_change(
    app: Flask, sql: Sql, tmp_path: Path
) -> None:
    """Beside each other, as when one has slept and lost its lease: nothing depends on it."""
    students = [f"s{number}" for number in range(40)]
    folders = []
    for part in (students[:30], students[10:]):
        folder = tmp_path / part[0]
        folder.mkdir()
        files = {
            "terms": FILES["terms"],
            "courses": FILES["courses"].replace(",1\n", ",15\n"),
            "students": "external_id,name\n" + "".join(f"{each},Name\n" for each in part),
            "enrollments": "student,course\n" + "".join(f"{each},c1\n{each},c2\n" for each in part),
        }
        for name, text in files.items():
            (folder / f"{name}.csv").write_text(text)
        folders.append(folder)

    def work(folder: Path) -> None:
        with app.app_context():
            choices = Choices()
            importing.apply(importing.plan(sources.find([folder]), choices, UTC), choices, UTC)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, folders))

    assert sql("SELECT count(*) FROM students") == [(40,)]
    assert sql("SELECT external_id, seats_taken FROM courses ORDER BY 1") == [("c1", 40), ("c2", 15)]
    assert sql("SELECT count(*) FROM enrollment_events") == [(55,)]
    with app.app_context():
        assert [each.name for each in verify() if each.verdict == "BROKEN"] == []


def test_a_file_that_changes_while_it_is_read_is_refused(
    run: Import, sql: Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = Stage.flush

    def later(stage: Stage) -> None:
        flush(stage)
        with (tmp_path / "files" / "students.csv").open("a") as file:
            file.write("s9,Zoe,\n")

    monkeypatch.setattr(Stage, "flush", later)
    result = run(FILES)
    assert (result.exit_code, sql("SELECT count(*) FROM students")) == (2, [(0,)])
    assert "students.csv: The file changed while it was read" in result.output


def test_a_file_that_has_changed_since_its_plan_is_refused(run: Import, sql: Sql) -> None:
    run(FILES, "--plan")
    more = FILES | {"students": FILES["students"] + "s9,Zoe,\n"}
    result = run(more, "--as-planned", "1")
    assert (result.exit_code, sql("SELECT count(*) FROM students")) == (2, [(0,)])
    assert "students.csv: The file has changed since plan 1" in result.output
    assert "The options have changed" in run(FILES, "--as-planned", "1", "--mode", "bulk").output
    assert run(FILES, "--as-planned", "1").exit_code == 0
    assert "Plan 1 has been applied already" in run(FILES, "--as-planned", "1").output


def test_a_student_who_waits_elsewhere_is_enrolled(run: Import, sql: Sql) -> None:
    """The course of the waitlist is locked as well, since the change may end what stops a promotion there."""
    courses = FILES["courses"].replace("capacity", "capacity,waitlist_capacity").replace(",1\n", ",1,5\n")
    courses = courses.replace("f26,\n", "f26,,\n")
    waits = "student,course\ns1,c2\ns2,c2\n"
    run(FILES | {"courses": courses, "enrollments": waits}, "--on-full", "waitlist")
    run({"enrollments": "student,course\ns2,c1\n"})
    statuses = sql(
        "SELECT status FROM student_courses JOIN students ON id = student_id WHERE external_id = 's2' ORDER BY 1"
    )
    assert sorted(map(tuple, statuses)) == [("enrolled",), ("waitlisted",)]


def test_progress_is_shown_in_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    class Held:
        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            pass

    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=is_terminal: answer)
        run = import_run.Run(Held())
        run.take()
        run.progress("Reading", 500, 0)
        run.progress("Applying", 5, 10)
        run.progress("Applying", 5, 10)
        run.release()
        shown = capsys.readouterr().err
        assert ("Reading ...\n" in shown, "Applying" in shown, "100%" in shown) == (is_terminal,) * 3, shown
