"""`students export` and `students erase`: all data about a student, and none of it afterwards but the number."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import URL, Engine, String, Text, insert, select, text
from sqlalchemy.exc import DBAPIError

from course_management.database import Base
from course_management.database.types import among
from course_management.maintenance import ledger_seal
from course_management.models import courses, import_rows
from course_management.models.personal import (
    DELETED,
    ERASED_NAME,
    NOT_ABOUT_STUDENTS,
    TREATMENTS,
    column_of_student,
    tables_about_students,
)
from course_management.services import erasure
from course_management.services.enrollment import parameters

from ..support.filled import fill
from ..support.waits import PATIENT, wait_until_blocked
from .test_copying import content, opened

Run = Callable[..., Result]
ERASED_STUDENT, OTHER = 2, 1


@pytest.fixture
def two_students(database: URL) -> None:
    """Fill all tables with rows about two students, in a term that has ended."""
    with opened(database) as connection, connection.begin():
        for number in (1, 2):
            fill(connection, number)
            connection.execute(
                insert(import_rows).values(
                    import_id=number, number=10 + number, kind="enrollments", unit=f"students.external_id {number} é",
                    part="cs", file="f", content={"student": f"students.external_id {number} é", "note": "x"},
                )
            )  # fmt: skip


def texts_about(student_id: int) -> Iterator[str]:
    """Yield the texts of the rows about a student that `fill` has written, without those of keys and the ledger."""
    for table in tables_about_students():
        treatment = TREATMENTS[table.name]
        for column in table.c:
            is_text = isinstance(column.type, String | Text) and column.name != "search_text"
            is_erased = treatment.is_deleted or column.name in treatment.empties
            if (
                is_text
                and is_erased
                and (getattr(column.type, "length", None) or 99) >= 30
                and table.name != "enrollment_events"
            ):
                yield f"{table.name}.{column.name} {student_id} é"


PERSONAL = "src/course_management/models/personal.py"

# --- the tables ---------------------------------------------------------------------------------------------


def test_every_table_is_said_to_be_about_students_or_not() -> None:
    about = {table.name for table in tables_about_students()} | {"import_rows"}

    treatment = "say what an erasure does with them, in TREATMENTS"
    assert about - {*TREATMENTS} == set(), f"They refer to students: {treatment} in {PERSONAL}."
    assert about & NOT_ABOUT_STUDENTS == set(), (
        f"Remove them from NOT_ABOUT_STUDENTS in {PERSONAL}: they refer to students."
    )
    unknown = {*Base.metadata.tables} - about - NOT_ABOUT_STUDENTS
    assert unknown == set(), f"Add them to NOT_ABOUT_STUDENTS in {PERSONAL}, or {treatment} there."


@pytest.mark.parametrize("name", [name for name, treatment in TREATMENTS.items() if treatment is not DELETED])
def test_every_column_about_a_student_is_emptied_or_kept(name: str) -> None:
    treatment = TREATMENTS[name]
    columns = {column.name for column in Base.metadata.tables[name].columns}

    said = treatment.keeps | {*treatment.empties}
    assert said == columns, f"Say in TREATMENTS in {PERSONAL} whether an erasure keeps or empties {said ^ columns}."
    assert treatment.keeps & {*treatment.empties} == set()


# --- export -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two_students")
def test_an_export_has_every_row_about_the_student_and_none_about_another(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "student.json"

    result = run("students", "export", ERASED_STUDENT, file)

    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    document = json.loads(file.read_text())
    for table in tables_about_students():
        rows = document["data"][table.name]
        assert {row[column_of_student(table).name] for row in rows} == {ERASED_STUDENT}, table.name
        assert {*rows[0]} == {column.name for column in table.columns}
    assert [row["number"] for row in document["data"]["import_rows"]] == [12]
    assert document["named"]["courses"] == {"2": "courses.code 2 é courses.title 2 é"}
    exported = file.read_text()
    assert all(json.dumps(each, ensure_ascii=False)[1:-1] in exported for each in texts_about(ERASED_STUDENT))
    assert not any(json.dumps(each, ensure_ascii=False)[1:-1] in exported for each in texts_about(OTHER))


def test_an_unknown_student_is_a_sentence(run: Run, tmp_path: Path) -> None:
    for command in (["export", "7", tmp_path / "f"], ["erase", "7", "--yes"]):
        result = run("students", *command)
        assert result.exit_code == 2
        assert "there is no student 7" in result.output
    assert list(tmp_path.iterdir()) == [] or not (tmp_path / "f").exists()


def test_an_export_replaces_a_file_only_by_force(run: Run, tmp_path: Path, student: Callable[..., int]) -> None:
    student()
    (tmp_path / "f").write_text("precious")

    assert run("students", "export", "1", tmp_path / "f").exit_code == 1
    assert (tmp_path / "f").read_text() == "precious"
    assert run("students", "export", "1", tmp_path / "f", "--force").exit_code == 0


# --- erasure ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two_students")
def test_an_erased_student_is_a_number_and_everybody_else_stays(
    backend: str, run: Run, database: URL, tmp_path: Path
) -> None:
    with opened(database) as connection:
        before = content(connection)
    result = run("students", "erase", ERASED_STUDENT, "--yes")

    assert result.exit_code == 0, result.output
    with opened(database) as connection:
        after = content(connection)
    assert not [each for each in texts_about(ERASED_STUDENT) if each in repr(after)]
    assert all(each in repr(after) for each in texts_about(OTHER))
    for name, rows in before.items():
        table = Base.metadata.tables[name]
        if table in tables_about_students():
            index = list(table.c).index(column_of_student(table))
            assert [row for row in after[name] if row[index] == OTHER] == [row for row in rows if row[index] == OTHER]
        elif name != "import_rows":
            assert after[name] == rows
    for name in ("student_courses", "enrollment_events", "rule_events", "completions", "holds", "permissions"):
        assert len(after[name]) == len(before[name])
    assert run("verify").exit_code == 0
    assert run("students", "erase", ERASED_STUDENT, "--yes").exit_code == 0
    if backend == "sqlite":
        file = Path(str(database.database)).read_bytes()
        assert not [each for each in texts_about(ERASED_STUDENT) if each.encode() in file]
    assert tmp_path


@pytest.mark.usefixtures("two_students")
def test_the_seal_of_the_ledger_stays_valid_and_says_what_was_erased(run: Run, tmp_path: Path) -> None:
    assert run("verify", "--seal", tmp_path / "seal").exit_code == 0
    assert run("students", "erase", ERASED_STUDENT, "--yes").exit_code == 0

    result = run("verify", "--against", tmp_path / "seal")

    assert result.exit_code == 0, result.output
    assert "note    the ledger is as it was sealed" in result.output
    assert "reasons_erased 1" in result.output


@pytest.mark.usefixtures("two_students")
def test_a_reason_that_was_changed_is_not_taken_for_an_erased_one(
    backend: str, run: Run, database: URL, tmp_path: Path
) -> None:
    assert run("verify", "--seal", tmp_path / "seal").exit_code == 0
    with opened(database) as connection, connection.begin():
        on = " ON enrollment_events" if backend == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER enrollment_events_not_changed{on}")
        connection.exec_driver_sql("UPDATE enrollment_events SET reason = 'forged'")

    result = run("verify", "--against", tmp_path / "seal")

    assert "BROKEN  the ledger is as it was sealed" in result.output
    with opened(database) as connection:
        assert ledger_seal.make(connection, 2**53).lines == 2


@pytest.mark.parametrize(
    "change",
    [
        "reason = 'other'",
        "reason = NULL",
        "reason = 'erased', actor = 'x'",
        "reason = 'erased', to_status = 'withdrawn'",
        "at = at, credits = 7",
    ],
)
def test_the_ledger_lets_nothing_but_a_reason_be_erased(database: URL, two_students: None, change: str) -> None:
    assert two_students is None
    with opened(database) as connection, pytest.raises(DBAPIError, match="append_only"):
        connection.execute(text(f"UPDATE enrollment_events SET {change}"))


def test_a_student_who_is_enrolled_in_a_course_that_has_not_ended_is_not_erased(
    run: Run, client: FlaskClient, student: Callable[..., int], course: Callable[..., int], enroll: Callable[..., Any]
) -> None:
    student_id, course_id = student(), course()
    enroll(student_id, course_id)

    refused = run("students", "erase", student_id, "--yes")

    assert refused.exit_code == 3
    assert f"courses that have not ended: {course_id}. Unenroll the student first." in refused.output
    assert client.get(f"/students/{student_id}").get_json()["name"] == "Ada Lovelace"
    client.delete(f"/students/{student_id}/unenroll", json={"course_id": course_id})
    assert run("students", "erase", student_id, "--yes").exit_code == 0
    body = client.get(f"/students/{student_id}").get_json()
    assert (body["name"], body["email"]) == (ERASED_NAME, None)
    assert "Lovelace" not in client.get("/students?q=lovelace").text


def test_nothing_is_erased_without_a_yes(run: Run, client: FlaskClient, student: Callable[..., int]) -> None:
    student_id = student()

    assert run("students", "erase", student_id).exit_code == 1  # there is no input
    assert client.get(f"/students/{student_id}").get_json()["name"] == "Ada Lovelace"


@pytest.mark.parametrize("is_locked", [True, False], ids=["locked", "control"])
def test_an_erasure_and_an_enrollment_wait_for_each_other_without_a_deadlock(
    backend: str, is_locked: bool, make_app: Callable[..., Flask], database: URL, engine: Engine,
    client: FlaskClient, student: Callable[..., int],
    course: Callable[..., int], open_term: Callable[..., int], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The enrollment has its course and its row, and then raises the revision of the student."""
    if backend != "postgresql":
        pytest.skip("SQLite has one writer")
    app = make_app(**PATIENT)
    student_id, course_id = student(), course(term_id=open_term())
    body = {"course_id": course_id}
    assert client.post(f"/students/{student_id}/enroll", json=body).status_code == 201
    assert client.delete(f"/students/{student_id}/unenroll", json=body).status_code == 200
    if not is_locked:
        without_lock = select(courses.c.id).where(among(courses.c.id, parameters.course_ids))
        monkeypatch.setattr(erasure, "LOCK_COURSES", without_lock)
    deadlocks: list[str] = []

    def erase() -> None:
        with app.app_context():
            try:
                erasure.erase.__wrapped__(student_id, date(2026, 1, 1))  # type: ignore[attr-defined]
            except erasure.StillEnrolled:
                pass
            except DBAPIError as error:
                deadlocks.append(str(getattr(error.orig, "sqlstate", "")))

    with ThreadPoolExecutor(1) as pool:
        with opened(database) as rival:
            transaction = rival.begin()
            rival.execute(text("SELECT FROM courses WHERE id = :id FOR NO KEY UPDATE"), {"id": course_id})
            rival.execute(text("UPDATE student_courses SET passed_over_for = 'x'"))  # has the row
            erasing = pool.submit(erase)
            wait_until_blocked(engine)
            try:
                rival.execute(text("UPDATE student_courses SET status = 'enrolled'"))
                transaction.commit()
            except DBAPIError as error:
                deadlocks.append(str(getattr(error.orig, "sqlstate", "")))
                transaction.rollback()
        erasing.result(60)

    assert deadlocks == ([] if is_locked else ["40P01"])


def test_an_enrollment_in_another_course_meanwhile_makes_the_erasure_begin_again(
    backend: str,
    make_app: Callable[..., Flask],
    database: URL,
    engine: Engine,
    student: Callable[..., int],
    course: Callable[..., int],
) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite has one writer")
    app = make_app(**PATIENT)
    student_id, course_id = student(), course()

    def erase() -> str:
        with app.app_context():
            try:
                erasure.erase(student_id, date(2026, 1, 1))
            except erasure.StillEnrolled as refusal:
                return str(refusal)
            return "erased"

    with ThreadPoolExecutor(1) as pool:
        with opened(database) as rival, rival.begin():
            rival.execute(
                text("INSERT INTO student_courses (student_id, course_id, status) VALUES (:s, :c, 'enrolled')"),
                {"s": student_id, "c": course_id},
            )
            erasing = pool.submit(erase)
            wait_until_blocked(engine)
        outcome = erasing.result(60)

    assert f"courses that have not ended: {course_id}" in outcome  # and not erased with a seat
