"""What an export writes, an import reads again: in the same database it changes nothing, in an empty one it makes the
same rows.
"""

from __future__ import annotations

import csv
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL

from course_management.cli import cli
from course_management.database import snapshot
from course_management.repositories import exports
from course_management.transfer.kinds import KINDS

from ..support.databases import Databases
from ..support.fixture_types import Sql
from .files import FILES_OF_OTHER_KINDS, GROUPS
from .reading import real

Files = Mapping[str, bytes]
Command = Callable[..., Result]
"""Runs the command line on the test's database, or on another one (`database=`)."""

TERMS = (
    "external_id,code,title,starts_on,ends_on,credit_limit,drop_until\n"
    "f26,2026-fall,Fall,2026-09-01,2026-12-18,18.5,2026-09-15T22:00:00Z\n"
)
CATALOG = (
    "external_id,code,title,credits,credits_max,courses_per_term\n"
    "k1,CS 101,Programming,4,,\nk2,CS 102,Data,3,6,2\nk3,CS 103,Logic,3,,\n"
)
COURSES = (
    "external_id,code,title,term,catalog,capacity,waitlist_capacity,component,credits,credits_max,"
    "permission_required,closed\n"
    "c1,CS101,Programming,f26,k1,,,LEC,4,,false,false\n"
    "c2,CS102,Data,2026-fall,k2,2,,,3,6,true,false\n"
    "c3,+CS,-Data-,f26,,2,5,,,,false,true\n"
)
STUDENTS = 'external_id,name,email\ns1,Ada,ada@example.edu\ns2,\'Bob,\n007,"\'\'=1+1",\n@s,"O\'Neil, J""r""",\n'
PEOPLE = "external_id,name,given_name,family_name,email,roles,student\np1,Grace,,,,registrar;advisor,\ns1,Ada,A,,,,s1\n"
INSTRUCTORS = "course,person\nc1,p1\nc1,s1\n"
ENROLLMENTS = "student,course,credits\ns1,c1,4\ns1,CS102,4.5\ns2,c1,4\n007,c1,\n@s,c1,\n"
FILES = {
    **{name: text for name, text in FILES_OF_OTHER_KINDS.items() if name != "instructors"},
    "groups": GROUPS,
    "terms": TERMS,
    "catalog": CATALOG,
    "courses": COURSES,
    "students": STUDENTS,
    "people": PEOPLE,
    "instructors": INSTRUCTORS,
    "enrollments": ENROLLMENTS,
}


@pytest.fixture
def command(database: URL, monkeypatch: pytest.MonkeyPatch) -> Command:
    def run(*arguments: object, on: URL = database) -> Result:
        monkeypatch.setenv("DATABASE_URL", on.render_as_string(hide_password=False))
        return CliRunner().invoke(cli, [str(each) for each in arguments])

    return run


@pytest.fixture
def school(command: Command, tmp_path: Path) -> None:
    """Imports a school in which each kind that can be imported has rows, some with texts that look like formulas."""
    folder = tmp_path / "school"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    result = command("import", folder, "--apply")
    assert result.exit_code == 0, result.output


@pytest.fixture
def export(command: Command, tmp_path: Path) -> Callable[..., Files]:
    """Exports to a new folder, and returns the bytes of its files."""

    def run(*options: str, **more: Any) -> Files:
        folder = tmp_path / f"export-{len(list(tmp_path.iterdir()))}"
        result = command("export", "csv", folder, *options, **more)
        assert result.exit_code == 0, result.output
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    return run


def rows_of(file: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(file.decode().splitlines()))


def imported(command: Command, tmp_path: Path, files: Files, **more: Any) -> Result:
    folder = tmp_path / f"import-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return command("import", folder, "--apply", **more)


@pytest.mark.usefixtures("school")
def test_an_export_that_is_imported_again_changes_nothing(
    command: Command, export: Callable[..., Files], tmp_path: Path, sql: Sql
) -> None:
    files = export()
    result = imported(command, tmp_path, files)
    assert result.exit_code == 0, result.output
    assert sql("SELECT kind, unit, detail FROM import_rows WHERE import_id = 2 AND outcome <> 'unchanged'") == []
    assert export() == files


@pytest.mark.usefixtures("school")
def test_an_export_of_a_database_that_was_filled_from_an_export_is_equal(
    command: Command, export: Callable[..., Files], tmp_path: Path, databases: Databases
) -> None:
    files, other = export(), databases.migrated()
    result = imported(command, tmp_path, files, on=other)
    assert result.exit_code == 0, result.output
    assert export(on=other) == files
    databases.drop(other)


def test_a_real_roster_is_the_same_after_an_export_and_an_import(
    command: Command, export: Callable[..., Files], tmp_path: Path, databases: Databases
) -> None:
    assert command("import", real("rosters/oneroster-a"), "--apply").exit_code == 0
    files, other = export(), databases.migrated()
    result = imported(command, tmp_path, files, on=other)
    assert result.exit_code == 0, result.output
    assert len(rows_of(files["enrollments.csv"])) == 225
    assert export(on=other) == files
    databases.drop(other)


@pytest.mark.usefixtures("school")
def test_a_spreadsheet_takes_no_cell_for_a_formula(export: Callable[..., Files]) -> None:
    files = export()
    names = {row["external_id"]: row["name"] for row in rows_of(files["students.csv"])}
    assert names == {"007": "''=1+1", "'@s": 'O\'Neil, J"r"', "s1": "Ada", "s2": "'Bob"}
    cells = [cell for data in files.values() for row in rows_of(data) for cell in row.values()]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert "'+CS" in cells


@pytest.mark.usefixtures("school")
def test_values_are_written_as_the_templates_take_them(export: Callable[..., Files]) -> None:
    files = export()
    assert list(files) == sorted(f"{kind.name}.csv" for kind in KINDS)
    assert [name for name, data in files.items() if not rows_of(data)] == []
    (term,) = rows_of(files["terms.csv"])
    assert term | {"drop_until": "2026-09-15T22:00:00Z", "credit_limit": "18.5", "starts_on": "2026-09-01"} == term
    assert [row["roles"] for row in rows_of(files["people.csv"])] == ["advisor;registrar", ""]
    second = {row["external_id"]: row for row in rows_of(files["courses.csv"])}["c2"]
    assert (second["term"], second["permission_required"], second["credits_max"]) == ("f26", "true", "6")
    assert [tuple(row.values()) for row in rows_of(files["enrollments.csv"])][-2:] == [
        ("s1", "c2", "enrolled", "4.5"),
        ("s2", "c1", "enrolled", "4"),
    ]


def test_each_kind_is_read_with_the_columns_of_its_template(app: Any) -> None:
    assert set(exports.EXPORTED_KINDS) == {kind.name for kind in KINDS}
    with app.app_context(), snapshot() as connection:
        assert [list(exports.rows(connection, kind.name, list(kind.fields))) for kind in KINDS] == [[]] * len(KINDS)


@pytest.mark.usefixtures("school")
def test_an_export_of_a_term_has_its_courses_students_and_enrollments(
    command: Command, export: Callable[..., Files], sql: Sql
) -> None:
    sql("INSERT INTO students (name, external_id) VALUES ('Eve', 's9')")
    sql("INSERT INTO courses (code, title, external_id) VALUES ('X', 'X', 'c9')")
    sql(
        "INSERT INTO student_courses (student_id, course_id, status) SELECT s.id, c.id, 'enrolled' FROM students s,"
        " courses c WHERE s.external_id = 's9' AND c.external_id = 'c9'"
    )
    files = export("--term", "2026-fall")
    assert list(files) == ["courses.csv", "enrollments.csv", "students.csv"]
    assert b"c9" not in b"".join(files.values())
    assert [row["external_id"] for row in rows_of(files["students.csv"])] == ["007", "'@s", "s1", "s2"]
    assert b"c9" in export()["enrollments.csv"]
    assert command("export", "csv", "unused", "--term", "2027").exit_code == 2


@pytest.mark.usefixtures("school")
def test_rows_without_an_external_id_are_warned_of_and_can_get_one(
    command: Command, export: Callable[..., Files], tmp_path: Path, sql: Sql
) -> None:
    sql("UPDATE students SET external_id = NULL")
    result = command("export", "csv", tmp_path / "warned")
    assert "4 students" in result.stderr
    files = export("--assign-external-ids")
    names = [row["external_id"] for row in rows_of(files["students.csv"])]
    assert (len({*names}), "" in names) == (4, False)
    assert {row["student"] for row in rows_of(files["enrollments.csv"])} == {*names}


@pytest.mark.usefixtures("school")
def test_files_are_private_and_replaced_only_where_that_is_asked_for(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert command("export", "csv", folder).exit_code == 0
    (folder / "terms.csv").write_text("mine")
    result = command("export", "csv", folder)
    assert (result.exit_code, (folder / "terms.csv").read_text()) == (2, "mine")
    assert "--force" in result.output
    assert command("export", "csv", folder, "--force").exit_code == 0
    assert (folder / "terms.csv").read_text() != "mine"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.usefixtures("school")
def test_an_export_that_fails_leaves_no_file(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("course_management.cli.output_files.os.fsync", full)
    folder = tmp_path / "out"
    assert isinstance(command("export", "csv", folder).exception, OSError)
    assert list(folder.iterdir()) == []
