"""Promises of imports beside other programs, each with its control: without the guard, the promise is broken."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import URL, Engine, event

from course_management.background.lease import LEASE_S
from course_management.cli import import_run
from course_management.context import NamedActor, RequestContext
from course_management.database import db
from course_management.services import enrollment
from course_management.services import imports as service
from course_management.services.enrollment import EnrollmentRequest, bulk, taking_seats
from course_management.transfer import enrollment_plan
from course_management.transfer.handlers import base, resources
from course_management.transfer.staging import Stage

from ..support.fixture_types import Make
from ..support.importing import Import, importer
from ..support.removed_guards import mutant
from ..transfer.files import ENROLLMENTS, FILES

OF_S1_IN_C1 = (
    "student_id = (SELECT id FROM students WHERE external_id = 's1')"
    " AND course_id = (SELECT id FROM courses WHERE external_id = 'c1')"
)
BY_STUDENT = (
    f"UPDATE student_courses SET status = '{{}}', actor = 'student:1', revision = revision + 1 WHERE {OF_S1_IN_C1}"
)
SEATS, STUDENTS = 10, 16


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Import:
    return importer(database, monkeypatch, tmp_path)


@pytest.fixture
def changes(sql: Any) -> Callable[[], list[str]]:
    """Returns the statuses that the student s1 has got in the course c1, one for each line of the ledger."""
    lines = f"SELECT to_status FROM enrollment_events WHERE {OF_S1_IN_C1} ORDER BY id"
    return lambda: [status for (status,) in sql(lines)]


class NoLease:
    """A lease that everybody gets."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def drop_check_of_seats(engine: Engine) -> None:
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE courses DROP CONSTRAINT ck_courses_seats_within_capacity")
    else:
        engine.dispose()
        event.listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA ignore_check_constraints = ON"))


@pytest.mark.parametrize("guarded", [True, False])
def test_an_import_and_students_who_enroll_at_the_same_time_never_oversell(
    app: Flask, student: Make, course: Make, sql: Any, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> None:
    """The control does not look at the seats that are left, and the CHECK is gone."""
    contested = [course(capacity=SEATS) for _ in range(3)]
    imported, others = [student() for _ in range(STUDENTS)], [student() for _ in range(STUDENTS)]
    start = Barrier(3)

    def request(student_id: int, *course_ids: int) -> EnrollmentRequest:
        return EnrollmentRequest(student_id, course_ids, context=RequestContext(caller=NamedActor("import:1")))

    def import_them() -> None:
        with app.app_context():
            start.wait()
            for first in range(0, STUDENTS, 4):
                requests = [request(student_id, *contested) for student_id in imported[first : first + 4]]
                enrollment.exchange_all(requests, {})

    def enroll(students: list[int]) -> None:
        client = app.test_client()
        start.wait()
        for student_id in students:
            for course_id in contested:
                response = client.post(f"/students/{student_id}/enroll", json={"course_id": course_id})
                assert response.status_code in {201, 409}, response.text

    if not guarded:
        with app.app_context():
            drop_check_of_seats(db.engine)
        is_open = ('not decision.allows("enroll")', 'decision.action != "enroll"')
        has_seat = ("course.seats_taken + taken[course.id] < course.capacity", "True")
        monkeypatch.setattr(bulk, "take_seats", mutant(taking_seats, is_open, has_seat).take_seats)
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(import_them), *(pool.submit(enroll, others[first::2]) for first in range(2))]
    for each in running:
        each.result()

    for (taken,) in sql("SELECT seats_taken FROM courses"):
        assert taken == SEATS if guarded else taken >= STUDENTS


@pytest.mark.parametrize("guarded", [True, False])
def test_an_import_does_not_undo_what_a_student_has_done_since_the_last_one(
    run: Import, sql: Any, changes: Any, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> None:
    """The control does not compare with the file of the last import, by which the change is known."""
    run(FILES)
    sql(BY_STUDENT.format("unenrolled"))
    if not guarded:
        monkeypatch.setattr(enrollment_plan.EnrollmentPlan, "_is_of_somebody_else", lambda *_: False)
    run(FILES | {"enrollments": ENROLLMENTS.replace("s2,c1\n", "")})
    assert changes() == ["enrolled", "unenrolled", *([] if guarded else ["enrolled"])]


@pytest.mark.parametrize("guarded", [True, False])
def test_an_import_does_not_undo_what_the_staff_has_changed_since_the_last_one(
    run: Import, sql: Any, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> None:
    """The control compares with the present row only."""
    run(FILES)
    sql("UPDATE courses SET title = 'By the staff' WHERE external_id = 'c1'")
    if not guarded:
        monkeypatch.setattr(resources, "compared", lambda row, _, *others: base.compared(row, None, *others))
    run(FILES | {"enrollments": ENROLLMENTS.replace("s2,c1\n", "")})
    expected = "By the staff" if guarded else "Programming"
    assert sql("SELECT title FROM courses WHERE external_id = 'c1'") == [(expected,)]


@pytest.mark.parametrize("guarded", [True, False])
def test_an_import_that_begins_while_the_same_files_are_read_is_refused(
    run: Import, sql: Any, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> None:
    """The control has no lease: the second import deletes what the first has read, and reads it anew."""
    monkeypatch.setattr(import_run, "TRY_S", 0.5 - LEASE_S)
    if not guarded:
        monkeypatch.setattr(import_run, "lease_of", lambda *_: NoLease())
    flush, seconds = Stage.flush, list[Result]()

    def import_again_first(stage: Stage) -> None:
        monkeypatch.setattr(Stage, "flush", flush)
        seconds.append(run(FILES))
        flush(stage)

    monkeypatch.setattr(Stage, "flush", import_again_first)
    first = run(FILES)
    (second,) = seconds
    assert (first.exit_code, second.exit_code) == ((0, 1) if guarded else (1, 0)), (first.output, second.output)
    assert ("Another import is running" in second.output) is guarded
    assert sql("SELECT count(*) FROM enrollment_events") == [(4,)]


@pytest.mark.parametrize("guarded", [True, False])
def test_an_import_that_goes_on_does_not_do_again_what_was_done_before(
    run: Import, sql: Any, changes: Any, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> None:
    """The student leaves while the import is interrupted. The control has not marked the row as applied."""

    def exchange_and_die(requests: Any, seen: Any, note: Any) -> None:
        exchange_all(requests, seen, note)
        raise KeyboardInterrupt

    exchange_all = enrollment.exchange_all
    with monkeypatch.context() as patch:
        patch.setattr(enrollment, "exchange_all", exchange_and_die)
        if not guarded:
            patch.setattr(service, "record_outcomes_within", lambda *_, **__: nullcontext())
        run(FILES)
    assert changes() == ["enrolled"]
    sql(BY_STUDENT.format("unenrolled"))
    assert "continued after an interruption" in run(FILES).output
    assert changes() == ["enrolled", "unenrolled", *([] if guarded else ["enrolled"])]
