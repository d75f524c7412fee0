"""Imports by the real command: killed again and again, beside students who enroll, and while the database stops."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from benchmarks.imports import Client, Phases, check, generate, moments
from sqlalchemy import URL, create_engine, text

from ..support.databases import PATIENCE_S, Databases, PostgreSQL, migrate
from ..support.real_server import COMMAND, PATIENT, Server, environment, until

STUDENTS = 300
REPORT = "SELECT kind, unit, part, outcome, code, detail FROM import_rows"
LEDGER = (
    "SELECT s.external_id, c.external_id, e.from_status, e.to_status, e.actor FROM enrollment_events e"
    " JOIN students s ON s.id = e.student_id JOIN courses c ON c.id = e.course_id"
)


@pytest.fixture
def school(tmp_path: Path) -> Path:
    """Return a folder with the files of a school of 300 students and 3,000 enrollments."""
    folder = tmp_path / "school"
    folder.mkdir()
    generate(folder, STUDENTS)
    return folder


@pytest.fixture
def another(databases: Databases) -> Iterator[URL]:
    url = databases.migrated()
    yield url
    databases.drop(url)


def rows(url: URL, query: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return sorted((tuple(row) for row in connection.execute(text(query))), key=str)
    finally:
        engine.dispose()


def end_lease(url: URL) -> None:
    """End the lease that a killed import keeps on PostgreSQL, so that the next one does not wait for 12 s."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM leases"))
    engine.dispose()


def test_an_import_killed_six_times_ends_as_one_that_was_not(database: URL, another: URL, school: Path) -> None:
    assert Client(another, school, None).watch(Phases())
    kills = 0
    for kill in [*moments(6, 10 * STUDENTS, random.Random(1)), None]:  # noqa: S311 - a repeatable choice
        kills += not Client(database, school, None).watch(Phases(), kill)
        if kills > 1:
            end_lease(database)

    assert kills >= 5  # the last one comes too late if this process was not running for the last tenth of the import
    assert (check(database, 10 * STUDENTS), check(another, 10 * STUDENTS)) == ([], [])
    assert rows(database, REPORT) == rows(another, REPORT)
    assert rows(database, LEDGER) == rows(another, LEDGER)


def test_students_who_enroll_beside_an_import_keep_what_they_did_and_no_course_is_oversold(
    database: URL, school: Path, tmp_path: Path
) -> None:
    """The courses have no term here, so that students may enroll; half of the seats are taken by the import."""
    (school / "terms.csv").unlink()
    courses = school / "courses.csv"
    header, *lines = courses.read_text().splitlines()
    names = header.split(",")
    keep = [names.index(name) for name in ("external_id", "code", "title", "capacity")]
    few = ["120" if name == "capacity" else "" for name in names]
    table = [",".join(few[at] or line.split(",")[at] for at in keep) for line in lines]
    courses.write_text("\n".join(["external_id,code,title,capacity", *table, ""]))
    (school / "catalog.csv").unlink()
    enrollments = (school / "enrollments.csv").read_text()
    (school / "enrollments.csv").write_text("student,course\n")
    server = Server(tmp_path, database, COMMAND, None, **PATIENT)
    try:
        server.wait()
        assert Client(database, school, None).watch(Phases())
        (school / "enrollments.csv").write_text(enrollments)
        ids = [row[0] for row in rows(database, "SELECT id FROM courses")]
        stopped, done, slowest = [False], list[tuple[int, int]](), [0.0]

        def students(number: int) -> None:
            chance = random.Random(number)  # noqa: S311 - a repeatable choice
            while not stopped[0]:
                student_id, course_id = chance.randrange(number, STUDENTS, 4) + 1, chance.choice(ids)
                started = time.monotonic()
                status, _ = server.ask("POST", f"/students/{student_id}/enroll", {"course_id": course_id})
                slowest[0] = max(slowest[0], time.monotonic() - started)
                assert status in {200, 201, 409}, status
                if status == 201:
                    done.append((student_id, course_id))

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(students, number) for number in range(4)]
            try:
                assert Client(database, school, None).watch(Phases())
            finally:
                stopped[0] = True
        for each in asking:
            each.result()
    finally:
        server.end()

    present = {row[:2]: row[2] for row in rows(database, "SELECT student_id, course_id, actor FROM student_courses")}
    assert done
    assert [pair for pair in done if present[pair].startswith("import:")] == []
    assert rows(database, "SELECT id FROM courses WHERE seats_taken > capacity") == []
    assert check_verified(database) == ""


def check_verified(url: URL) -> str:
    command = [str(Path(sys.executable).parent / "course-management"), "verify"]
    done = subprocess.run(command, env=environment(url, 0), capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout if done.returncode else ""


@pytest.fixture
def own_server() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    yield server
    server.end()


def test_an_import_says_what_to_do_when_the_database_stops_and_goes_on_afterwards(
    own_server: PostgreSQL, school: Path
) -> None:
    migrate(own_server.url)
    client = Client(own_server.url, school, None)
    until(lambda: is_applying(own_server.url), "an import that is being applied")
    own_server.kill()
    output, errors = client.process.communicate(timeout=PATIENCE_S)
    assert client.process.returncode == 1, output
    assert b"The import was interrupted. Give the same command again" in errors
    assert b"Traceback" not in errors
    own_server.start()
    assert Client(own_server.url, school, None).watch(Phases())
    assert check(own_server.url, 10 * STUDENTS) == []


def is_applying(url: URL) -> bool:
    return bool(rows(url, "SELECT 1 FROM import_rows WHERE applied_at IS NOT NULL AND kind = 'enrollments' LIMIT 1"))
