"""Sixteen processes register for ten seconds while courses are moved into terms."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from course_management import create_app
from course_management.context import RequestContext
from course_management.database import db, execute
from course_management.database.failures import TRY_AGAIN
from course_management.maintenance import verify
from course_management.services import adopting, enrollment
from course_management.services.enrollment import enrolling, loading, replacing, statements
from course_management.services.enrollment.course_memory import CourseMemory

from ..support.adoption import act, mark_adoptions, slipped_through
from ..support.fixture_types import Make
from ..support.registration import ALWAYS, HOLD
from ..support.removed_guards import TERM_OF_SEATS_STATEMENT, Edit, mutant
from ..support.waits import PATIENT

PROCESSES, SECONDS = 16, 10
START_S = 300
"""How long the processes may take to start."""


class Start:
    """What the processes wait for, so that none begins while others are still starting."""

    barrier: Barrier

    @classmethod
    def set(cls, barrier: Barrier) -> None:
        """Keep the barrier in a new process."""
        cls.barrier = barrier


def register(url: str, seed: int, students: Sequence[int], courses: Sequence[int], removed: Sequence[Edit]) -> int:
    """Register at random in a process of its own, until the time is over. Return how often. A deadlock is an error."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    vars(execute)["TRY_AGAIN"] = TRY_AGAIN - {"40P01"}
    for module in (enrolling, loading):  # so that it does not know which courses have a term
        vars(module)["memory_of"] = lambda _: CourseMemory()
    if removed:
        statement = mutant(statements, *removed).ENROLL_BY_SEATS
        enrolling.ENROLL_BY_SEATS = replacing.ENROLL_BY_SEATS = statement  # type: ignore[attr-defined]
    settings = {name.upper(): value for name, value in PATIENT.items()}
    turns = 0
    with create_app({"DATABASE_URL": url, "LOG_LEVEL": "error", **settings}).app_context():
        Start.barrier.wait(START_S)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            act(dice, students, courses)
            turns += 1
        db.engine.dispose()
    return turns


@pytest.mark.parametrize("removed", [[], [TERM_OF_SEATS_STATEMENT]], ids=["guarded", "control"])
def test_sixteen_processes_register_while_courses_get_their_terms(
    removed: Sequence[Edit],
    make_app: Callable[..., Flask],
    client: FlaskClient,
    engine: Engine,
    student: Make,
    course: Make,
    term: Make,
    record_property: Any,
) -> None:
    closed, open_to_all = term(), term(promote_until="2100-01-01T00:00:00Z")
    client.put(f"/terms/{open_to_all}/windows", json=[ALWAYS])
    students = [student() for _ in range(12)]
    courses = [course(capacity=3, waitlist_capacity=3) for _ in range(30)]
    for each in students[::2]:
        client.post(f"/students/{each}/holds", json=HOLD)
    mark_adoptions(engine)
    url = engine.url.render_as_string(hide_password=False)

    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(PROCESSES + 1)
    with ProcessPoolExecutor(PROCESSES, spawn, Start.set, (barrier,)) as pool:
        workers = [pool.submit(register, url, seed, students, courses, removed) for seed in range(PROCESSES)]
        barrier.wait(START_S)
        with make_app(**PATIENT).app_context():
            for first in range(0, len(courses), 3):
                time.sleep(SECONDS / len(courses) * 3)
                list(adopting.adopt(closed, courses[first : first + 2]))
                list(adopting.adopt(open_to_all, [courses[first + 2]]))
        turns = sum(worker.result() for worker in workers)

    record_property("turns", turns)
    with engine.connect() as connection:
        assert bool(slipped_through(connection)) is bool(removed)
    with make_app().app_context():
        enrollment.promote_all(RequestContext())
        assert [each for each in verify.verify() if each.verdict == "BROKEN"] == []
