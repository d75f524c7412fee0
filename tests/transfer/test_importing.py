"""An import changes what its plan says; a second one changes nothing, and a killed one goes on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import URL

from course_management.cli import cli
from course_management.cli import imports as command
from course_management.maintenance.verify import verify
from course_management.services import imports as service
from course_management.transfer.enrolling import EnrollmentHandler

from ..support.fixture_types import Sql
from ..support.importing import Import
from .files import COURSES, ENROLLMENTS, FILES, STUDENTS
from .reading import real

ALL = [("007", "c1", "enrolled"), ("s1", "c1", "enrolled"), ("s1", "c2", "enrolled"), ("s2", "c1", "enrolled")]


def lines(sql: Sql) -> int:
    found: int = sql("SELECT count(*) FROM enrollment_events")[0][0]
    return found


def test_a_plan_changes_nothing(run: Import, held: Any, sql: Sql) -> None:
    result = run(FILES, "--plan")
    assert (result.exit_code, held(), sql("SELECT count(*) FROM students")) == (0, [], [(0,)])
    assert "planned" in result.output


def test_files_become_students_courses_and_enrollments(app: Flask, run: Import, held: Any, sql: Sql) -> None:
    result = run(FILES)
    assert (result.exit_code, held()) == (0, ALL), result.output
    assert sql("SELECT DISTINCT actor FROM enrollment_events") == [("import:1",)]
    with app.app_context():
        assert [each.name for each in verify() if each.verdict == "BROKEN"] == []


def test_a_second_import_changes_nothing(run: Import, sql: Sql) -> None:
    run(FILES)
    before = lines(sql), sql("SELECT max(updated_at) FROM students")
    result = run(FILES)
    assert (lines(sql), sql("SELECT max(updated_at) FROM students")) == before
    assert "unchanged" in result.output
    assert "create" not in result.output


def test_a_changed_row_changes_what_it_says(run: Import, sql: Sql) -> None:
    run(FILES)
    result = run({"students": STUDENTS.replace("Bob,", "Bob Dylan,bob@example.edu")})
    assert "students.csv, line 3: s2: email: (empty) -> bob@example.edu; name: Bob -> Bob Dylan\n" in result.output
    assert sql("SELECT name, email FROM students WHERE external_id = 's2'") == [("Bob Dylan", "bob@example.edu")]


def test_what_somebody_has_changed_since_the_last_import_is_kept(run: Import, held: Any, sql: Sql) -> None:
    run(FILES)
    sql("UPDATE students SET name = 'Robert' WHERE external_id = 's2'")
    sql(
        "UPDATE student_courses SET status = 'unenrolled', actor = 'registrar:1' WHERE student_id ="
        " (SELECT id FROM students WHERE external_id = 's2')"
    )
    run(FILES)
    assert sql("SELECT name FROM students WHERE external_id = 's2'") == [("Robert",)]
    assert held() == ALL[:3]
    assert sql("SELECT count(*) FROM import_rows WHERE code = 'changed_since'") == [(2,)]


def test_a_course_that_is_full_refuses_the_row(run: Import, held: Any) -> None:
    result = run(FILES | {"enrollments": ENROLLMENTS + "s2,c2\n"})
    assert (result.exit_code, held()) == (3, ALL)
    assert "course_full" in result.output


def test_the_capacity_of_a_full_course_can_be_raised(run: Import, held: Any, sql: Sql) -> None:
    result = run(FILES | {"enrollments": ENROLLMENTS + "s2,c2\n"}, "--on-full", "raise")
    assert result.exit_code == 0, result.output
    assert ("s2", "c2", "enrolled") in held()
    assert sql("SELECT capacity FROM courses WHERE external_id = 'c2'") == [(2,)]


def test_a_student_of_a_full_course_can_join_its_waitlist(run: Import, held: Any) -> None:
    courses = (
        COURSES.replace("capacity", "capacity,waitlist_capacity").replace("f26,\n", "f26,,\n").replace(",1\n", ",1,5\n")
    )
    run(FILES | {"courses": courses, "enrollments": ENROLLMENTS + "s2,c2\n"}, "--on-full", "waitlist")
    assert ("s2", "c2", "waitlisted") in held()


def test_rules_refuse_rows_where_they_are_asked_to(run: Import, held: Any) -> None:
    result = run(FILES, "--rules", "refuse")
    assert (result.exit_code, held()) == (3, [])
    assert "registration_closed" in result.output


def test_a_plan_says_for_how_many_rows_it_has_not_asked_the_rules(run: Import) -> None:
    result = run(FILES, "--plan", "--rules", "refuse")
    assert "not checked for 4 enrollments, of students or in courses that this import creates" in result.output
    assert "not checked for 4 enrollments, in this plan" in run(FILES, "--plan").output
    assert "not checked" not in run(FILES).output
    result = run({"enrollments": ENROLLMENTS + "s2,c2\n"}, "--plan", "--rules", "refuse")
    assert "not checked" not in result.output


def test_students_that_no_file_describes_are_refused_or_made(run: Import, held: Any, sql: Sql) -> None:
    files = {name: text for name, text in FILES.items() if name != "students"}
    result = run(files)
    assert (result.exit_code, held()) == (3, [])
    assert "student_not_found" in result.output
    assert "4 rows name students or staff that are neither in the files nor in the database. Add " in result.output
    assert (run(files, "--create-missing").exit_code, held()) == (0, ALL)
    assert sql("SELECT name FROM students WHERE external_id = '007'") == [("007",)]


def test_a_row_of_a_refused_course_is_refused(run: Import, held: Any) -> None:
    result = run(FILES | {"courses": COURSES.replace("c1,CS101,Programming,f26", "c1,CS101,Programming,f99")})
    assert (result.exit_code, held()) == (3, [("s1", "c2", "enrolled")])
    assert "term_not_found" in result.output
    assert "course_not_found" in result.output


def test_the_same_row_twice_counts_once_and_of_contradicting_ones_the_enrolled(run: Import, held: Any) -> None:
    enrollments = "student,course,status\ns1,c1,unenrolled\ns1,c1,enrolled\ns2,c1,enrolled\ns2,c1,enrolled\n"
    result = run(FILES | {"enrollments": enrollments})
    assert held() == [ALL[1], ALL[3]]
    assert "contradicting_row" in result.output
    assert "duplicate_row" in result.output


def test_rows_about_the_past_say_why_they_change_nothing(run: Import, held: Any, sql: Sql) -> None:
    enrollments = "student,course,status\ns1,c1,completed\ns2,c1,unenrolled\n"
    result = run(FILES | {"enrollments": enrollments})
    assert (result.exit_code, held()) == (0, [])
    codes = sql("SELECT outcome, code FROM import_rows WHERE kind = 'enrollments' ORDER BY number")
    assert codes == [("unchanged", "completed_in_file"), ("unchanged", "not_enrolled")]


def test_students_who_contradict_each_other_are_refused(run: Import, sql: Sql) -> None:
    result = run({"students": STUDENTS + "s2,Ben,\n"})
    assert result.exit_code == 3
    assert sql("SELECT count(*) FROM students WHERE external_id = 's2'") == [(0,)]


def test_only_a_bulk_import_drops_what_the_files_lack(run: Import, held: Any) -> None:
    run(FILES)
    fewer = {"enrollments": ENROLLMENTS.replace("007,c1\n", "")}
    run(fewer)
    assert held() == ALL
    assert "--mode bulk drops enrollments only." in run(fewer, "--mode", "bulk", "--plan").output
    result = run(fewer, "--mode", "bulk")
    assert (result.exit_code, held()) == (2, ALL)
    assert "--allow-drops 1" in result.output
    assert "course-management import --mode bulk /" in result.output
    assert run(fewer, "--mode", "bulk", "--allow-drops", "2").exit_code == 2
    result = run(fewer, "--mode", "bulk", "--allow-drops", "1")
    assert (result.exit_code, held()) == (0, ALL[1:]), result.output


def test_a_bulk_import_drops_nobody_whom_a_person_enrolled(run: Import, held: Any, sql: Sql) -> None:
    run(FILES)
    sql("UPDATE student_courses SET actor = 'registrar:1'")
    run({"enrollments": ENROLLMENTS.replace("007,c1\n", "")}, "--mode", "bulk")
    assert held() == ALL


def test_a_file_with_only_a_header_empties_nothing(run: Import, held: Any) -> None:
    run(FILES)
    result = run({"enrollments": "student,course\n"}, "--mode", "bulk")
    assert (result.exit_code, held()) == (0, ALL)


ROSTER = {
    "academicSessions": "sourcedId,title,type,startDate,endDate\nf26,Fall,term,2026-09-01,2026-12-18\n",
    "classes": "sourcedId,title,courseSourcedId,orgSourcedId,sessionSourcedIds\nc1,A,,1,f26\nc2,B,,2,f26\n",
    "users": "sourcedId,username,givenName,familyName\ns1,ada,Ada,L\ns2,bob,Bob,B\n",
    "enrollments": "classSourcedId,userSourcedId,role\nc1,s1,student\nc1,s2,student\nc2,s1,student\n",
}


def test_a_bulk_import_of_one_school_drops_only_in_its_courses(run: Import, held: Any) -> None:
    run(ROSTER)
    assert held() == [("s1", "c1", "enrolled"), ("s1", "c2", "enrolled"), ("s2", "c1", "enrolled")]
    fewer = ROSTER | {"enrollments": "classSourcedId,userSourcedId,role\nc1,s1,student\n"}
    result = run(fewer, "--mode", "bulk", "--school", "1", "--allow-drops", "1")
    assert held() == [("s1", "c1", "enrolled"), ("s1", "c2", "enrolled")], result.output


def test_a_school_is_refused_for_files_that_do_not_say_it(run: Import) -> None:
    result = run(FILES, "--school", "1")
    assert (result.exit_code, "does not say of which school a row is. Leave out --school" in result.output) == (2, True)


def test_a_killed_import_goes_on(run: Import, held: Any, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EnrollmentHandler, "write_all", killed)
        run(FILES)
    assert (sql("SELECT state FROM imports"), held()) == ([("applying",)], [])
    result = run(FILES)
    assert held() == ALL
    assert "continued after an interruption" in result.output
    assert sql("SELECT state FROM imports") == [("applied",)]


def test_what_a_killed_import_did_last_is_done_once(run: Import, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    record_outcomes = service.record_outcomes

    def killed(import_id: int, verdicts: Any, *, applied: bool) -> None:
        if applied:
            raise KeyboardInterrupt
        record_outcomes(import_id, verdicts, applied=applied)

    with monkeypatch.context() as patch:
        patch.setattr(service, "record_outcomes", killed)
        run(FILES)
    assert sql("SELECT code FROM terms") == [("2026-fall",)]
    result = run(FILES)
    assert result.exit_code == 0, result.output
    assert sql("SELECT outcome FROM import_rows WHERE kind = 'terms'") == [("create",)]


def test_the_report_has_a_line_for_each_row(run: Import, tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    run(FILES | {"students": STUDENTS + "=1+1,Dee,\n,Eve,\n"}, "--report", str(path))
    assert path.stat().st_mode & 0o777 == 0o600  # it has personal data
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["file"], row["line"]): (row["external_id"], row["outcome"], row["code"]) for row in rows}
    assert found["students.csv", "5"] == ("'=1+1", "create", "")
    assert found["students.csv", "6"] == ("", "refuse", "value_missing")
    assert found["enrollments.csv", "2"] == ("s1/c1", "enroll", "registration_closed")


def test_the_report_is_written_although_the_output_is_not_read(
    run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `| head`, which closes the pipe."""

    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(command, "_show", closed)
    run(FILES, "--report", str(tmp_path / "report.csv"))
    assert (tmp_path / "report.csv").read_text().count("\n") == 11


def test_a_file_that_cannot_be_used_changes_nothing(run: Import, sql: Sql) -> None:
    result = run(FILES | {"students": STUDENTS + '"Dee\n'})
    assert (result.exit_code, sql("SELECT count(*) FROM terms")) == (2, [(0,)])
    assert "students.csv, line 5: The quotes" in result.output


@pytest.mark.usefixtures("run")
def test_a_template_is_printed() -> None:
    result = CliRunner().invoke(cli, ["import", "--template", "enrollments"])
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "student,course,status,credits")


def test_a_real_roster_is_imported_whole_and_a_second_time_without_a_change(
    database: URL, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    folder = real("rosters/oneroster-a")
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    for _ in range(2):
        result = CliRunner().invoke(cli, ["import", str(folder), "--apply"])
        assert (result.exit_code, lines(sql)) == (0, 225), result.output
    assert sql("SELECT count(*) FROM course_instructors") == [(80,)]
    assert sql("SELECT code FROM import_rows WHERE import_id = 2 AND outcome <> 'unchanged'") == [("several_schools",)]
