"""Every transaction locks courses, then students: PostgreSQL, since SQLite has one writer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from course_management.context import RequestContext
from course_management.database import kind_of
from course_management.services import enrollment

from ..support.fixture_types import Enroll, Held, Make, Sql
from ..support.waits import PATIENT, wait_until_blocked

LOCK_COURSE = text("SELECT id FROM courses WHERE id = :course FOR NO KEY UPDATE")
LOCK_STUDENT = text("SELECT id FROM students WHERE id = :student FOR NO KEY UPDATE")
PROMOTE = text(
    "UPDATE student_courses SET status = 'enrolled', queue_number = NULL, revision = revision + 1"
    " WHERE student_id = :student AND course_id = :course"
)
DEADLOCK = "40P01"


@pytest.fixture(autouse=True)
def on_postgresql(backend: str) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite has one writer")


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(threads=20, **PATIENT)


@pytest.fixture
def waiting(student: Make, course: Make, enroll: Enroll, sql: Sql) -> dict[str, int]:
    """Return a student on the waitlist of a course of a term, which then has a free seat."""
    ada, contested = student(), course(capacity=0, waitlist_capacity=1)
    enroll(ada, contested, waitlist=True)
    sql("INSERT INTO terms (code, title, starts_on, ends_on) VALUES ('F26', 'Fall', '2026-09-01', '2026-12-18')")
    sql("UPDATE courses SET term_id = 1, capacity = 1")
    return {"student": ada, "course": contested}


def test_a_replacement_that_waits_for_a_course_does_not_stop_the_promotion_of_its_student(
    app: Flask, engine: Engine, waiting: dict[str, int], held: Held
) -> None:
    """The promotion has the course, and its trigger raises the schedule revision of the student."""

    def replace() -> Any:
        with app.app_context():
            return enrollment.replace(enrollment.EnrollmentRequest(waiting["student"], [], context=RequestContext()))

    with ThreadPoolExecutor(1) as pool, engine.connect() as promotion:
        promotion.execute(LOCK_COURSE, waiting)
        replacement = pool.submit(replace)
        wait_until_blocked(engine)
        promotion.execute(text(f"{LOCK_STUDENT} NOWAIT"), waiting)  # else PostgreSQL might end the other transaction
        promotion.execute(PROMOTE, waiting)
        promotion.commit()
        done = replacement.result()

    assert done.unenrolled == [waiting["course"]]
    assert held(waiting["student"]) == {}


def test_locking_the_student_before_the_course_deadlocks_with_a_promotion(
    engine: Engine, waiting: dict[str, int]
) -> None:
    """The control: what `replace` did before there were courses of terms."""
    with ThreadPoolExecutor(1) as pool, engine.connect() as promotion, engine.connect() as replacement:
        promotion.execute(LOCK_COURSE, waiting)
        replacement.execute(LOCK_STUDENT, waiting)
        blocked = pool.submit(replacement.execute, LOCK_COURSE, waiting)
        wait_until_blocked(engine)

        errors: list[str] = []
        steps: list[Callable[[], Any]] = [lambda: promotion.execute(PROMOTE, waiting), blocked.result]
        for step in steps:
            try:
                step()
            except OperationalError as error:
                errors.append(kind_of(error))
                promotion.rollback()

    assert errors == [DEADLOCK]
