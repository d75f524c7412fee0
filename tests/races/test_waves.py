"""Waves of several threads write into the same courses: none waits for another in a circle.

SQLite has one writer. The time limit of locks in a wave is off here: it would end a deadlock before PostgreSQL does.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from select import select
from typing import Any

import pytest
from flask import Flask

from course_management.database import autocommit, failures, hub, pipeline, waves

from ..support.databases import PATIENCE_S
from ..support.fixture_types import Make, Sql
from ..support.traveling import SET_CAPACITY
from ..support.waits import PATIENT

pytestmark = pytest.mark.greenlets

DEADLOCK = "40P01"
WAIT_S = 2
"""How long one wave waits for the other before its second statement; in order, the other cannot have its first one."""


@pytest.fixture
def app(make_app: Callable[..., Flask], backend: str) -> Flask:
    if backend != "postgresql":
        pytest.skip("SQLite has one writer")
    return make_app(threads=4, **PATIENT)


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the kinds of the errors that undo waves; no time limit hides a deadlock."""
    monkeypatch.setattr(waves, "LOCK_TIMEOUT", b"SELECT set_config('lock_timeout', '0', true)")
    kinds: list[str] = []
    kind_of = failures.kind_of
    waves._busy_until.clear()  # noqa: SLF001 - of an earlier test

    def note(error: Any) -> str:
        kinds.append(kind_of(error))
        return kinds[-1]

    monkeypatch.setattr(waves, "kind_of", note)
    return kinds


@pytest.mark.parametrize("ordered", [True, False])
def test_waves_of_two_threads_never_wait_for_each_other_in_a_circle(
    app: Flask, course: Make, sql: Sql, kinds: list[str], monkeypatch: pytest.MonkeyPatch, *, ordered: bool
) -> None:
    """The two groups write into the courses in opposite orders; the control leaves them so."""
    ids = [course() for _ in range(2)]
    if not ordered:
        monkeypatch.setattr(waves, "sorted", lambda calls, **_: list(calls), raising=False)
    both_have_one = threading.Barrier(2)
    send = pipeline.Prepared.send

    def wait_after_the_first(prepared: pipeline.Prepared, pgconn: Any) -> None:
        """Execute the first statement of each wave before the second is sent: the moment of a deadlock."""
        send(prepared, pgconn)
        if prepared.course_id == first_sent.setdefault(threading.get_ident(), prepared.course_id):
            pgconn.send_flush_request()
            pgconn.flush()
            patience_s = WAIT_S if ordered else PATIENCE_S
            select([pgconn.socket], [], [], patience_s)  # its result: the wave has locked the course
            with suppress(threading.BrokenBarrierError):
                both_have_one.wait(patience_s)

    first_sent: dict[int, int] = {}
    monkeypatch.setattr(pipeline.Prepared, "send", wait_after_the_first)

    def write(course_id: int) -> None:
        with app.app_context():
            autocommit(SET_CAPACITY, {"course_ids": [course_id], "seats": 7})

    def run(order: list[int]) -> None:
        hub.run([functools.partial(write, course_id) for course_id in order])

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run, ids), pool.submit(run, ids[::-1])]:
            done.result()

    assert (DEADLOCK in kinds) is not ordered
    assert [row[0] for row in sql("SELECT capacity FROM courses ORDER BY id")] == [7, 7]


def test_the_same_students_in_waves_of_two_threads_are_all_enrolled(
    app: Flask, course: Make, student: Make, open_term: Make, sql: Sql
) -> None:
    """Two waves may lock two students in opposite orders; the time limit of locks undoes one, which is sent again."""
    term_id = open_term()
    students = [student() for _ in range(4)]
    courses = [[course(term_id=term_id) for _ in range(8)] for _ in range(2)]
    waves._busy_until.clear()  # noqa: SLF001 - of an earlier test
    statuses: list[int] = []

    def enroll(student_id: int, course_id: int) -> None:
        response = app.test_client().post(f"/students/{student_id}/enroll", json={"course_id": course_id})
        statuses.append(response.status_code)

    def run(ids: list[int], order: list[int]) -> None:
        hub.run([functools.partial(enroll, order[index % 4], course_id) for index, course_id in enumerate(ids)])

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run, courses[0], students), pool.submit(run, courses[1], students[::-1])]:
            done.result()

    assert statuses == [201] * 16
    assert sql("SELECT count(*) FROM student_courses")[0][0] == 16
