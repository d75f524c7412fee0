"""A OneRoster archive has the files of the standard, is read by our own reader, and makes the same archive again."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL

from course_management.cli import cli

from ..support.databases import Databases
from ..support.fixture_types import Sql
from .reading import read_path, real

Rows = dict[str, list[dict[str, str]]]
SCHOOL = """
INSERT INTO terms (code, title, starts_on, ends_on, external_id) VALUES ('2026-fall', 'Fall', '2026-09-01',
'2026-12-18', 'f26');
INSERT INTO catalog_entries (code, title, credits, external_id) VALUES ('CS 1', 'Programming', 400, 'k1'), ('CS 2',
'Data', 300, NULL);
INSERT INTO courses (code, title, term_id, catalog_id, external_id) SELECT 'A', 'Course A', t.id, k.id, 'c1' FROM
terms t, catalog_entries k WHERE k.code = 'CS 1';
INSERT INTO courses (code, title, term_id, external_id) SELECT 'CS 2', 'Course B', id, 'c2' FROM terms;
INSERT INTO courses (code, title, external_id) VALUES ('B', 'Course, "C"', 'c3');
INSERT INTO courses (code, title) VALUES ('D', '=D');
INSERT INTO students (name, email, external_id) VALUES ('Ada King Lovelace', 'ada@example.edu', 's1'), ('Bob', NULL,
'007'), ('Cy Young', NULL, NULL), ('Dee', NULL, 'p9');
INSERT INTO people (name, given_name, family_name, email, external_id) VALUES ('Prof. Grace Hopper', 'Grace',
'Hopper', 'grace@example.edu', 'p1'), ('Emmy Noether', NULL, NULL, NULL, NULL), ('Not Dee', NULL, NULL, NULL, 'p9'),
('Idle', NULL, NULL, NULL, 'p8');
INSERT INTO people (name, email, external_id, student_id) SELECT 'Ada Lovelace', 'staff@example.edu', 's1', id FROM
students WHERE external_id = 's1';
INSERT INTO course_instructors (course_id, person_id) SELECT c.id, p.id FROM courses c, people p WHERE c.code = 'A'
AND p.name <> 'Idle';
INSERT INTO student_courses (student_id, course_id, status) SELECT s.id, c.id, 'enrolled' FROM students s, courses c
WHERE NOT (c.code = 'A' AND s.external_id = 's1')
"""


@pytest.fixture
def command(database: URL, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(*arguments: object, on: URL = database) -> Result:
        monkeypatch.setenv("DATABASE_URL", on.render_as_string(hide_password=False))
        return CliRunner().invoke(cli, [str(each) for each in arguments])

    return run


@pytest.fixture
def archive(command: Callable[..., Result], sql: Sql, tmp_path: Path) -> Path:
    """Returns an archive of a school with what OneRoster knows only in part."""
    for statement in SCHOOL.split(";"):
        sql(statement)
    result = command("export", "oneroster", tmp_path / "first")
    assert result.exit_code == 0, result.output
    return tmp_path / "first" / "oneroster.zip"


def rows_of(path: Path) -> Rows:
    with zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".csv"): list(csv.DictReader(io.TextIOWrapper(archive.open(name), "utf-8")))
            for name in archive.namelist()
        }


def test_an_archive_has_the_files_that_its_manifest_names(archive: Path) -> None:
    rows = rows_of(archive)
    manifest = {row["propertyName"]: row["value"] for row in rows["manifest"]}
    named = {name.removeprefix("file.") for name, value in manifest.items() if value == "bulk"}
    assert (manifest["oneroster.version"], named) == ("1.2", rows.keys() - {"manifest"})
    assert {row[name] for table in named for row in rows[table] for name in ("status", "dateLastModified")} == {""}
    for name in named:
        ids = [row["sourcedId"] for row in rows[name]]
        assert len(ids) == len({*ids}), name


def test_what_a_row_names_is_in_the_archive(archive: Path) -> None:
    rows = rows_of(archive)
    ids = {name: {row["sourcedId"] for row in table} for name, table in rows.items() if name != "manifest"}
    assert {row["courseSourcedId"] for row in rows["classes"]} <= ids["courses"]
    assert {row["termSourcedIds"] for row in rows["classes"]} <= ids["academicSessions"] | {""}
    assert {row["classSourcedId"] for row in rows["enrollments"]} <= ids["classes"]
    assert {row["userSourcedId"] for row in rows["enrollments"] + rows["roles"]} <= ids["users"]
    entries = {row["sourcedId"]: row["courseCode"] for row in rows["courses"]}
    assert {row["classCode"]: entries[row["courseSourcedId"]] for row in rows["classes"]} == {
        "A": "CS 1",
        "B": "B",
        "CS 2": "CS 2",
        "D": "D",
    }


def test_a_person_who_is_a_student_is_one_user_and_others_are_not_mixed_up(archive: Path) -> None:
    rows = rows_of(archive)
    users = {row["sourcedId"]: (row["givenName"], row["familyName"], row["email"]) for row in rows["users"]}
    assert users["s1"] == ("Ada King", "Lovelace", "ada@example.edu")
    assert users["p1"] == ("Grace", "Hopper", "grace@example.edu")
    assert (users["p9"][0], users["staff:p9"][:2]) == ("Dee", ("Not", "Dee"))
    assert "p8" not in users
    roles = [(row["role"], row["roleType"]) for row in rows["roles"] if row["userSourcedId"] == "s1"]
    assert roles == [("student", "primary"), ("teacher", "secondary")]


def test_an_archive_is_read_without_a_finding_and_makes_the_same_archive_again(
    archive: Path, command: Callable[..., Result], databases: Databases, tmp_path: Path
) -> None:
    _, findings = read_path(archive)
    assert findings == []
    other = databases.migrated()
    result = command("import", archive, "--apply", on=other)
    assert result.exit_code == 0, result.output
    result = command("export", "oneroster", tmp_path / "second", on=other)
    assert rows_of(tmp_path / "second" / "oneroster.zip") == rows_of(archive)
    assert (tmp_path / "second" / "oneroster.zip").read_bytes() == archive.read_bytes()
    databases.drop(other)


def test_an_archive_changes_no_name_of_its_own_database(
    archive: Path, command: Callable[..., Result], sql: Sql, tmp_path: Path
) -> None:
    assert archive.exists()  # of this database
    assert command("export", "oneroster", tmp_path, "--assign-external-ids").exit_code == 0
    staff = "SELECT name, given_name, family_name FROM people WHERE external_id NOT LIKE 'staff:%'"
    queries = "SELECT name FROM students ORDER BY id", f"{staff} AND student_id IS NULL ORDER BY id"
    before = [sql(query) for query in queries]
    assert command("import", tmp_path / "oneroster.zip", "--apply").exit_code == 0
    assert [sql(query) for query in queries] == before


def test_an_archive_changes_no_term_catalog_entry_or_course_of_its_own_database(
    archive: Path, command: Callable[..., Result], sql: Sql, tmp_path: Path
) -> None:
    assert archive.exists()  # of this database
    assert command("export", "oneroster", tmp_path, "--assign-external-ids").exit_code == 0
    tables = ("terms", "catalog_entries", "courses")
    before = [sql(f"SELECT * FROM {table} ORDER BY id") for table in tables]
    result = command("import", tmp_path / "oneroster.zip", "--apply")
    assert result.exit_code == 0, result.output
    assert [sql(f"SELECT * FROM {table} ORDER BY id") for table in tables] == before


def test_the_columns_are_those_of_a_real_archive(archive: Path) -> None:
    with zipfile.ZipFile(real("rosters/oneroster-1.2/full.zip")) as other, zipfile.ZipFile(archive) as ours:
        for name in {*other.namelist()} & {*ours.namelist()}:
            headers = [next(csv.reader(io.TextIOWrapper(each.open(name), "utf-8"))) for each in (other, ours)]
            as_specified = {"dataLastModified": "dateLastModified", "prefferedGivenName": "preferredGivenName"}
            expected = {as_specified.get(each, each.replace("preffered", "preferred")) for each in headers[0] if each}
            assert expected <= {*headers[1]}, name
            if name == "manifest.csv":
                continue
    named = {row["propertyName"] for row in rows_of(real("rosters/oneroster-1.2/full.zip"))["manifest"]}
    assert named == {row["propertyName"] for row in rows_of(archive)["manifest"]}
