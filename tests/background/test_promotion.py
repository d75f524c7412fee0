"""The promotion job does what requests left undone, in order and once, and no course blocks another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from course_management.background import Worker, worker
from course_management.background import promotion as module
from course_management.background.promotion import PromotionJob
from course_management.config import Settings
from course_management.context import RequestContext
from course_management.database import db
from course_management.database.types import among
from course_management.models import courses
from course_management.services.enrollment import promotion as service
from course_management.services.enrollment.parameters import course_ids

from ..support.databases import PATIENCE_S
from ..support.fixture_types import Counters, Make, Sql
from ..support.real_server import until
from ..support.waits import PATIENT, wait_until_blocked


@pytest.fixture
def full_course(course: Make, sql: Sql) -> Callable[[int], tuple[int, list[int]]]:
    """Makes a course without a seat, and a waitlist of so many students: its id, and theirs in order, newest first."""
    made = 0

    def make(length: int) -> tuple[int, list[int]]:
        nonlocal made
        made += 1
        full = course(capacity=0, waitlist_capacity=None)
        sql(
            "INSERT INTO students (name, email, created_at)"
            f" WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {length})"
            f" SELECT 'Ada', 'q' || n || '@{made}.example.edu', CURRENT_TIMESTAMP FROM n"
        )
        ids = [
            row.id for row in sql(f"SELECT id FROM students WHERE email LIKE '%@{made}.example.edu' ORDER BY id DESC")
        ]
        sql(
            "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
            f" SELECT id, :course, 'waitlisted', {max(ids) + 1} - id FROM students"
            f" WHERE email LIKE '%@{made}.example.edu'",
            course=full,
        )
        return full, ids

    return make


@pytest.fixture
def promoted(sql: Sql) -> Callable[[int], list[int]]:
    """Return the students that were promoted in a course, in the order of the ledger."""

    def read(course_id: int) -> list[int]:
        lines = sql(
            "SELECT student_id FROM enrollment_events WHERE course_id = :course AND actor = 'promotion' ORDER BY id",
            course=course_id,
        )
        return [line.student_id for line in lines]

    return read


@pytest.fixture
def run(app: Flask) -> Callable[[PromotionJob], list[int]]:
    """Does one run of the job; what each step promoted."""

    def steps(job: PromotionJob) -> list[int]:
        with app.app_context():
            return [len(batch.promoted) for batch in job.steps()]

    return steps


@pytest.fixture
def background(database: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Return the background work of the test's database, with short pauses."""
    for name in ("IDLE_S", "TRY_S", "LONGEST_REST_S"):
        monkeypatch.setattr(worker, name, 0.01)
    running = Worker(Settings.load({"DATABASE_URL": database.render_as_string(hide_password=False)}, {}))
    running.start()
    yield
    running.stop()
    assert running.join(PATIENCE_S)


@pytest.mark.usefixtures("background")
@pytest.mark.parametrize("capacity", [None, 250, 300])
def test_promotions_that_a_request_does_not_finish_are_done_in_the_background(
    client: FlaskClient,
    full_course: Any,
    promoted: Any,
    counters: Counters,
    monkeypatch: pytest.MonkeyPatch,
    capacity: int | None,
) -> None:
    full, waiting = full_course(300)
    monkeypatch.setattr(service, "TIME_LIMIT_S", 0)
    monkeypatch.setattr(service, "BATCH", 20)

    response = client.patch(f"/courses/{full}", json={"capacity": capacity}).get_json()

    assert response["promotion"]["pending"] is True
    assert 0 < response["promotion"]["promoted"] <= 20
    seats = min(capacity or 300, 300)
    until(lambda: counters(full) == (seats, 300 - seats), "the end of the promotion")
    lines = promoted(full)
    for first in range(0, seats, 20):
        assert {*lines[first : first + 20]} == {*waiting[first : first + 20][: seats - first]}


@pytest.mark.usefixtures("background")
def test_seats_freed_by_hand_are_given_to_waiting_students(full_course: Any, sql: Sql, counters: Counters) -> None:
    full, _ = full_course(3)

    sql("UPDATE courses SET capacity = 2 WHERE id = :course", course=full)

    until(lambda: counters(full) == (2, 1), "the promotion")


def test_promotion_alternates_between_courses(
    full_course: Any, sql: Sql, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    ids = [full_course(6)[0] for _ in range(3)]
    sql("UPDATE courses SET capacity = NULL")

    run(PromotionJob(UTC))

    lines = sql("SELECT course_id FROM enrollment_events WHERE actor = 'promotion' ORDER BY id")
    assert [line.course_id for line in lines] == [each for _ in range(3) for each in ids for _ in range(2)]


def test_a_course_that_fails_does_not_block_others_and_is_tried_again(
    full_course: Any, sql: Sql, run: Any, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = full_course(3)[0], full_course(3)[0]
    sql("UPDATE courses SET capacity = NULL")
    tries = 0
    batch = service._promote_batch  # noqa: SLF001

    def fail(course_id: int, context: RequestContext) -> service.PromotionBatch:
        nonlocal tries
        if course_id != stuck:
            return batch(course_id, context)
        tries += 1
        raise OperationalError("", None, Exception())

    now = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    job = PromotionJob(UTC)
    with monkeypatch.context() as patch:
        patch.setattr(service, "_promote_batch", fail)
        run(job)
        run(job)
        assert (counters(stuck), counters(other), tries) == ((0, 3), (3, 0), 1)
        for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
            before = tries
            now += 0.9 * pause
            run(job)
            assert tries == before, pause
            now += 0.2 * pause
            run(job)
            assert tries == before + 1, pause

    now += 61.0
    run(job)

    assert counters(stuck) == (3, 0)


def test_a_course_with_a_wrong_counter_is_postponed(course: Make, sql: Sql, run: Any, statements: list[str]) -> None:
    course(capacity=1)
    sql("UPDATE courses SET waiting = 1, waitlist_capacity = 1")
    job = PromotionJob(UTC)
    assert run(job) == [0]
    statements.clear()

    run(job)

    assert len(statements) == 1, statements


def test_without_work_promotion_is_one_read(full_course: Any, run: Any, statements: list[str]) -> None:
    full_course(3)
    statements.clear()

    assert run(PromotionJob(UTC)) == []

    assert len(statements) == 1
    assert statements[0].startswith("SELECT")


def test_several_leaders_at_the_same_time_promote_each_student_once(
    app: Flask, full_course: Any, sql: Sql, promoted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a leader that was frozen comes back beside its successor, and requests promote as well."""
    monkeypatch.setattr(service, "BATCH", 3)
    full, waiting = full_course(60)
    sql("UPDATE courses SET capacity = 50")

    def lead(_: int) -> int:
        with app.app_context():
            job, found = PromotionJob(UTC), 0
            # A step that came too late for a seat promotes no student, and the course is postponed for a while.
            while service.due_courses():
                job._postponed.clear()  # noqa: SLF001
                found += sum(len(batch.promoted) for batch in job.steps())
            return found

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lead, range(8))) == 50

    lines = promoted(full)
    assert {*lines} == {*waiting[:50]}
    assert len(lines) == 50
    assert sql("SELECT seats_taken, waiting FROM courses") == [(50, 10)]


@pytest.mark.parametrize("guarded", [True, False])
def test_concurrent_promotions_choose_different_students_because_of_the_lock(
    make_app: Callable[..., Flask],
    backend: str,
    full_course: Any,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    *,
    guarded: bool,
) -> None:
    """The control looks at the free seats without locking the course: then both promote the same students."""
    if backend == "sqlite":
        pytest.skip("SQLite has one writer: its transactions begin with the lock")
    if not guarded:
        unlocked = select(*service._LOCK.selected_columns).where(among(courses.c.id, course_ids))  # noqa: SLF001
        monkeypatch.setattr(service, "_LOCK", unlocked)
    monkeypatch.setattr(service, "BATCH", 2)
    full, waiting = full_course(6)
    sql("UPDATE courses SET capacity = 4")
    app = make_app(threads=4, **PATIENT)
    with app.app_context():
        engine = db.engine

    def promote() -> Sequence[int]:
        with app.app_context():
            return service._promote_batch(full, RequestContext()).promoted  # noqa: SLF001

    with ThreadPoolExecutor(2) as pool, engine.connect() as rival:
        rival.execute(text("SELECT id FROM courses FOR NO KEY UPDATE"))
        both = [pool.submit(promote), pool.submit(promote)]
        wait_until_blocked(engine, 2)
        rival.rollback()
        found = Counter(student for each in both for student in each.result())

    assert (found == Counter(waiting[:4])) is guarded
    assert found == Counter(waiting[:4]) or found == Counter(2 * waiting[:2])
