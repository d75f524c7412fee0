"""Many requests of one student at the same time: none of them is 503."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.database import Raced
from course_management.services.enrollment import replacing, rules, statements, unenrolling

from ..support.fixture_types import Enroll, Held, Make, Sql
from ..support.limited_courses import LIMITED, AtMost
from ..support.registration import ALWAYS
from ..support.waits import PATIENT

CLIENTS, REQUESTS = 16, 10
INTO = "INSERT INTO student_courses (student_id, course_id, status)"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(threads=CLIENTS, **PATIENT)


@pytest.mark.parametrize("with_replacements", [False, True])
def test_no_request_of_one_student_from_sixteen_clients_is_503(
    app: Flask,
    client: FlaskClient,
    student: Make,
    course: Make,
    term: Make,
    held: Held,
    monkeypatch: pytest.MonkeyPatch,
    with_replacements: bool,
) -> None:
    fall = term()
    client.put(f"/terms/{fall}/windows", json=[ALWAYS])
    monkeypatch.setattr(rules, "RULES", (*rules.RULES, AtMost(3)))
    ada, courses = student(), [course(code=f"{LIMITED}{n}", term_id=fall) for n in range(12)]

    def work(number: int) -> set[int]:
        chance, mine = random.Random(number), app.test_client()  # noqa: S311 - a repeatable choice
        statuses = set()
        for _ in range(REQUESTS):
            some = chance.sample(courses, chance.choice([1, 1, 3]))
            calls = [
                lambda some=some: mine.post(f"/students/{ada}/enroll", json={"course_ids": some[:1]}),
                lambda some=some: mine.delete(f"/students/{ada}/unenroll", json={"course_ids": some}),
            ]
            if with_replacements:
                calls.append(lambda some=some: mine.put(f"/students/{ada}/enroll", json={"course_ids": some[:1]}))
            statuses.add(chance.choice(calls)().status_code)
        return statuses

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = set().union(*pool.map(work, range(CLIENTS)))

    assert statuses <= {200, 201, 409}
    assert len(held(ada)) <= 3


@pytest.mark.parametrize("guarded", [True, False])
def test_a_replacement_succeeds_although_the_student_is_enrolled_elsewhere_again_and_again(
    *,
    guarded: bool,
    backend: str,
    client: FlaskClient,
    student: Make,
    course: Make,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each attempt finds one more course than it has locked. The control counts attempts as other races do."""
    if backend == "sqlite":
        pytest.skip("SQLite has one writer: nothing changes during a replacement")
    ada, wanted, others = student(), course(), [course() for _ in range(8)]
    lock = replacing._lock  # noqa: SLF001

    def lock_late(execute: Any, *args: Any) -> Any:
        def run(statement: Any, values: Any) -> Any:
            rows = execute(statement, values)
            if statement is statements.LOCK_COURSES and others:
                sql(f"{INTO} VALUES ({ada}, {others.pop()}, 'enrolled')")
            return rows

        found = lock(run, *args)
        if found is None and not guarded:
            raise Raced
        return found

    monkeypatch.setattr(replacing, "_lock", lock_late)

    response = client.put(f"/students/{ada}/enroll", json={"course_ids": [wanted]})

    assert response.status_code == (200 if guarded else 503)


@pytest.mark.parametrize("guarded", [True, False])
def test_an_unenrolling_whose_statement_finds_nothing_each_time_is_decided_under_the_locks(
    *,
    guarded: bool,
    client: FlaskClient,
    student: Make,
    course: Make,
    term: Make,
    enroll: Enroll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the student had left, each time, the course that the statement saw, and joined the other."""
    fall, ada = term(), student()
    client.put(f"/terms/{fall}/windows", json=[ALWAYS])
    one, other = course(term_id=fall), course(term_id=fall)
    enroll(ada, one)
    send = unenrolling.autocommit  # type: ignore[attr-defined]

    def too_late(statement: Any, values: Any) -> Any:
        return [] if statement in unenrolling.UNENROLL_AS_DECIDED.values() else send(statement, values)  # type: ignore[attr-defined]

    def again(*_: Any) -> Any:
        raise Raced

    monkeypatch.setattr(unenrolling, "autocommit", too_late)
    if not guarded:
        monkeypatch.setattr(unenrolling, "lock_and_exchange", again)

    response = client.delete(f"/students/{ada}/unenroll", json={"course_ids": [one, other]})

    assert response.status_code == (200 if guarded else 503)
    assert not guarded or [each["outcome"] for each in response.get_json()["results"]] == ["unenrolled", "not_enrolled"]
