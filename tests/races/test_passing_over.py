"""A hold that is placed while a student is promoted, or let in. The control does not lock the student."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select, text

from course_management.context import RequestContext
from course_management.errors import EnrollmentRefused
from course_management.models import students
from course_management.services import enrollment
from course_management.services.enrollment import EnrollmentRequest, exchanging, passing_over
from course_management.services.enrollment.letting_in import let_in
from course_management.services.enrollment.parameters import student_id

from ..support.fixture_types import Enroll, Held, Make, Sql
from ..support.registration import ALWAYS
from ..support.waits import PATIENT, wait_until_blocked


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(threads=8, **PATIENT)


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("is_promotion", [True, False])
def test_a_hold_that_is_placed_during_the_promotion_stops_it(
    app: Flask,
    backend: str,
    client: FlaskClient,
    engine: Engine,
    student: Make,
    course: Make,
    term: Make,
    enroll: Enroll,
    held: Held,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    *,
    guarded: bool,
    is_promotion: bool,
) -> None:
    """The control reads the student without the lock, so it misses the hold that is not committed yet."""
    if backend == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    fall, ada = term(), student()
    client.put(f"/terms/{fall}/windows", json=[ALWAYS])
    full = course(term_id=fall, capacity=1, waitlist_capacity=None)
    enroll(student(), full)
    enroll(ada, full, waitlist=True)
    sql("UPDATE courses SET capacity = 2")
    if not guarded:
        unlocked = select(students.c.id).where(students.c.id == student_id)
        monkeypatch.setattr(passing_over if is_promotion else exchanging, "LOCK_STUDENT", unlocked)

    def promote() -> None:
        with app.app_context(), suppress(EnrollmentRefused):
            if is_promotion:
                enrollment.promote_all(RequestContext())
            else:
                let_in(EnrollmentRequest(ada, [full], context=RequestContext()))

    with engine.connect() as connection, ThreadPoolExecutor(1) as pool:
        raised = "UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = :ada"
        connection.execute(text(raised), {"ada": ada})
        hold = "INSERT INTO holds (student_id, kind, contact, blocks, placed_by) VALUES (:ada, 'x', 'x', 'both', 'x')"
        connection.execute(text(hold), {"ada": ada})
        promotion = pool.submit(promote)
        wait_until_blocked(engine)
        connection.commit()
        promotion.result()

    assert held(ada) == {full: "waitlisted" if guarded else "enrolled"}
