"""Courses are moved into a term while students register: nothing is lost, and no student slips through a rule.

Each race has its control: without the guard, the same steps break the rule.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from course_management.context import RequestContext
from course_management.database import execute, kind_of
from course_management.database.failures import TRY_AGAIN
from course_management.database.types import among
from course_management.errors import TermNotFound
from course_management.maintenance import verify
from course_management.models import courses as courses_table
from course_management.services import adopting, enrollment
from course_management.services.enrollment import (
    decided_statements,
    enrolling,
    exchanging,
    loading,
    parameters,
    replacing,
    statements,
)
from course_management.services.enrollment.course_memory import CourseMemory

from ..support.adoption import act, mark_adoptions, slipped_through
from ..support.fixture_types import Enroll, Held, Make, Sql
from ..support.registration import ALWAYS, HOLD
from ..support.removed_guards import TERM_OF_SEATS_STATEMENT, mutant
from ..support.waits import PATIENT, wait_until_blocked

WORKERS, TURNS, STUDENTS = 6, 25, 10
NO_COMPARISON = (
    "and_(courses.c.term_id.is_(None), among(courses.c.id, without_term)),",
    "among(courses.c.id, without_term),",
)
UNLOCKED = select(*statements.LOCK_COURSES.selected_columns).where(among(courses_table.c.id, parameters.course_ids))


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(threads=20, **PATIENT)


@pytest.fixture
def only_postgresql(backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has one writer at a time, from the beginning of its transaction")


@pytest.fixture
def seeing_deadlocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deadlock be an error: otherwise the transaction is tried again, and nobody sees it."""
    monkeypatch.setattr(execute, "TRY_AGAIN", TRY_AGAIN - {"40P01"})


@pytest.fixture
def without_guard(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Removes a guard."""

    def remove(guard: str) -> None:
        if guard == "statement":
            for module in (enrolling, replacing):
                monkeypatch.setattr(
                    module, "ENROLL_BY_SEATS", mutant(statements, TERM_OF_SEATS_STATEMENT).ENROLL_BY_SEATS
                )
        elif guard == "comparison":
            monkeypatch.setattr(
                enrolling, "ENROLL_AS_DECIDED", mutant(decided_statements, NO_COMPARISON).ENROLL_AS_DECIDED
            )
        else:
            monkeypatch.setattr(exchanging, "LOCK_COURSES", UNLOCKED)

    return remove


# --- many students ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("removed", [None, "statement"])
@pytest.mark.usefixtures("seeing_deadlocks")
def test_nothing_is_lost_and_no_student_slips_through_while_courses_get_their_terms(
    removed: str | None,
    app: Flask,
    client: FlaskClient,
    engine: Engine,
    student: Make,
    course: Make,
    term: Make,
    without_guard: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each request is one of a process that has just started: it does not know yet which courses have a term."""
    for module in (enrolling, loading):
        monkeypatch.setattr(module, "memory_of", lambda _: CourseMemory())
    closed, open_to_all = term(), term(promote_until="2100-01-01T00:00:00Z")
    client.put(f"/terms/{open_to_all}/windows", json=[ALWAYS])
    students, courses = (
        [student() for _ in range(STUDENTS)],
        [course(capacity=3, waitlist_capacity=3) for _ in range(8)],
    )
    for each in students[::2]:
        client.post(f"/students/{each}/holds", json=HOLD)
    mark_adoptions(engine)
    if removed:
        without_guard(removed)
    # Before, while and after the courses get their terms: three of four from the command, one from PATCH.
    before, during, after = (Barrier(WORKERS + 1) for _ in range(3))

    def register(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - no secret
        with app.app_context():
            for barrier in (before, during, after):
                barrier.wait()
                for _ in range(TURNS):
                    act(dice, students, courses)

    def adopt() -> None:
        before.wait()
        during.wait()
        with app.app_context():
            for first in range(0, len(courses), 4):
                list(adopting.adopt(closed, courses[first : first + 2]))
                list(adopting.adopt(open_to_all, [courses[first + 2]]))
                assert client.patch(f"/courses/{courses[first + 3]}", json={"term_id": open_to_all}).status_code == 200
        after.wait()

    with ThreadPoolExecutor(WORKERS + 1) as pool:
        for future in [pool.submit(adopt), *(pool.submit(register, seed) for seed in range(WORKERS))]:
            future.result()

    with engine.connect() as connection:
        assert bool(slipped_through(connection)) is bool(removed)
    with app.app_context():
        enrollment.promote_all(RequestContext())
        assert [each for each in verify.verify() if each.verdict == "BROKEN"] == []


# --- step by step: what waits for a course that is being moved ----------------------------------------------------


@pytest.fixture
def adopting_slowly(app: Flask, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a request while a course is being moved into a term; the request waits for the lock of the course."""

    @contextmanager
    def run(term_id: int, course_id: int, request: Callable[[], Any]) -> Iterator[Future[Any]]:
        moved, may_commit, original = Event(), Event(), adopting.run  # type: ignore[attr-defined]

        def slowly(connection: Any, statement: Any, parameters: Any) -> Any:
            rows = original(connection, statement, parameters)
            if statement is adopting._ADOPT:  # noqa: SLF001
                moved.set()
                assert may_commit.wait(30)
            return rows

        def adopt() -> Any:
            with app.app_context():
                return list(adopting.adopt(term_id, [course_id]))

        monkeypatch.setattr(adopting, "run", slowly)
        with ThreadPoolExecutor(2) as pool:
            adoption = pool.submit(adopt)
            assert moved.wait(30)
            waiting = pool.submit(request)
            wait_until_blocked(engine)
            may_commit.set()
            adoption.result()
            yield waiting

    return run


def codes(response: Any) -> set[str]:
    return {reason["code"] for each in response.get_json()["decisions"] for reason in each["reasons"]}


@pytest.mark.parametrize(
    ("call", "removed", "slips"),
    [
        ("enroll", set(), False),
        ("enroll", {"statement"}, True),
        ("enroll with another", set(), False),
        ("enroll with another", {"comparison"}, True),
        ("replace", set(), False),
        ("replace", {"lock"}, False),
        ("replace", {"statement"}, False),
        ("replace", {"lock", "statement"}, True),
    ],
)
@pytest.mark.usefixtures("only_postgresql")
def test_a_request_that_waits_for_a_course_which_gets_a_term_is_decided_by_its_rules(
    call: str,
    removed: set[str],
    slips: bool,
    client: FlaskClient,
    student: Make,
    course: Make,
    term: Make,
    enroll: Enroll,
    held: Held,
    adopting_slowly: Any,
    without_guard: Callable[[str], None],
) -> None:
    ada, closed, open_to_all = student(), term(), term()
    client.put(f"/terms/{open_to_all}/windows", json=[ALWAYS])
    of_term, adopted = course(term_id=open_to_all), course()
    ids = [of_term, adopted] if call == "enroll with another" else [adopted]
    enroll(student(), of_term)  # from now on, the service knows that its rules must be asked first
    for guard in removed:
        without_guard(guard)
    method = "PUT" if call == "replace" else "POST"

    def request() -> Any:
        return client.open(f"/students/{ada}/enroll", method=method, json={"course_ids": ids})

    with adopting_slowly(closed, adopted, request) as waiting:
        response = waiting.result()

    if slips:
        assert held(ada) == dict.fromkeys(ids, "enrolled")
    else:
        assert (response.status_code, codes(response)) == (409, {"registration_closed"})
        assert held(ada) == {}


@pytest.mark.parametrize("by_rules", [True, False])
@pytest.mark.usefixtures("only_postgresql")
def test_a_promotion_that_waits_for_a_course_which_gets_a_term_asks_its_rules(
    *,
    by_rules: bool,
    app: Flask,
    client: FlaskClient,
    engine: Engine,
    student: Make,
    course: Make,
    term: Make,
    enroll: Enroll,
    held: Held,
    sql: Sql,
    adopting_slowly: Any,
) -> None:
    """The control is a promotion that takes the head of the waitlist once it has the course."""
    ada, adopted, fall = student(), course(capacity=0, waitlist_capacity=1), term(promote_until="2100-01-01T00:00:00Z")
    enroll(ada, adopted, waitlist=True)
    client.post(f"/students/{ada}/holds", json=HOLD)
    sql("UPDATE courses SET capacity = 1")

    def promote() -> None:
        with app.app_context():
            enrollment.promote([adopted], RequestContext())

    def promote_without_rules() -> None:
        with engine.begin() as connection:
            connection.execute(text("SELECT 1 FROM courses FOR NO KEY UPDATE"))
            connection.execute(
                text("UPDATE student_courses SET status = 'enrolled', queue_number = NULL, revision = revision + 1")
            )

    with adopting_slowly(fall, adopted, promote if by_rules else promote_without_rules) as waiting:
        waiting.result()

    assert held(ada) == {adopted: "waitlisted" if by_rules else "enrolled"}


# --- the order of locks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.usefixtures("only_postgresql", "seeing_deadlocks")
def test_adoptions_of_courses_with_the_same_students_do_not_deadlock(
    *,
    guarded: bool,
    app: Flask,
    engine: Engine,
    student: Make,
    course: Make,
    term: Make,
    enroll: Enroll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trigger takes the students of the first course, then those of the second: here, the greater id first."""
    ada, alan, fall = student(), student(), term()
    courses = [course(), course()]
    enroll(alan, courses[0])
    enroll(ada, courses[1])
    if not guarded:
        monkeypatch.setattr(adopting, "_LOCK_STUDENTS", UNLOCKED)
    lock = text("SELECT 1 FROM students WHERE id = :id FOR NO KEY UPDATE")

    def adopt() -> Any:
        with app.app_context():
            return list(adopting.adopt(fall, courses))

    errors: list[str] = []
    with engine.connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute(lock, {"id": ada})
        adoption = pool.submit(adopt)
        wait_until_blocked(engine)
        steps: list[Callable[[], Any]] = [lambda: other.execute(lock, {"id": alan}), other.commit, adoption.result]
        for step in steps:
            try:
                step()
            except OperationalError as error:
                errors.append(kind_of(error))
                other.rollback()

    assert errors == ([] if guarded else ["40P01"])


@pytest.mark.parametrize("ends", ["committed", "rolled back"])
@pytest.mark.usefixtures("only_postgresql")
def test_a_course_with_the_same_code_that_is_created_meanwhile_is_reported(
    ends: str, app: Flask, engine: Engine, course: Make, term: Make
) -> None:
    adopted, fall = course(code="LOG"), term()

    def adopt() -> Any:
        with app.app_context():
            return list(adopting.adopt(fall, [adopted]))

    with engine.connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute(text(f"INSERT INTO courses (code, title, term_id) VALUES ('LOG', 'Logic', {fall})"))
        adoption = pool.submit(adopt)
        wait_until_blocked(engine)
        if ends == "committed":
            other.commit()
        else:
            other.rollback()
        (outcome,) = adoption.result()

    assert getattr(outcome.refusal, "code", None) == ("code_taken" if ends == "committed" else None)


def test_a_term_that_is_deleted_meanwhile_takes_no_course(
    app: Flask, client: FlaskClient, course: Make, term: Make, sql: Sql
) -> None:
    number, gone = course(), term()
    client.delete(f"/terms/{gone}")

    with app.app_context(), pytest.raises(TermNotFound):
        list(adopting.adopt(gone, [number]))
    assert sql("SELECT term_id FROM courses") == [(None,)]
