"""Races by rules, step by step: another request changes the database at the worst moment of a first one.

Each has its control: without the guard, the same steps break the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from course_management.database import Raced, execute, waves
from course_management.database.failures import TRY_AGAIN
from course_management.services.enrollment import (
    decided_statements,
    enrolling,
    exchanging,
    loading,
    rules,
    statements,
    unenrolling,
)

from ..support.fixture_types import Enroll, Held, Make, Sql
from ..support.grouping import MODE
from ..support.limited_courses import LIMITED, AtMost
from ..support.registration import ALWAYS, HOLD
from ..support.removed_guards import TERM_OF_SEATS_STATEMENT, Edit, mutant, without_revision
from ..support.waits import PATIENT, wait_until_blocked

BUMP = "UPDATE students SET schedule_revision = schedule_revision + 1"
Happen = Callable[[], Any]


def meanwhile(happen: Happen) -> None:
    """Let something happen in another thread, as another request does, and wait for it."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(happen).result()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(threads=12, **PATIENT)


@pytest.fixture
def fall(client: FlaskClient, term: Make) -> int:
    """Return a term that is open to everybody, until the year 2100."""
    number = term(promote_until="2100-01-01T00:00:00Z")
    assert client.put(f"/terms/{number}/windows", json=[ALWAYS]).status_code == 200
    return number


@pytest.fixture
def limited(course: Make, fall: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Return two courses of which a student can be enrolled in one."""
    monkeypatch.setattr(rules, "RULES", (*rules.RULES, AtMost(1)))
    first, second = (course(code=f"{LIMITED}{n}", capacity=1, waitlist_capacity=5, term_id=fall) for n in (1, 2))
    return first, second


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Happen], None]:
    """Lets something happen once, before a step (a function of `enrolling` or `exchanging`) of the next request."""

    def arrange(step: str, happen: Happen) -> None:
        module = enrolling if hasattr(enrolling, step) else exchanging
        original = getattr(module, step)

        def once(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(module, step, original)
            meanwhile(happen)
            return original(*args, **kwargs)

        monkeypatch.setattr(module, step, once)

    return arrange


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch, backend: str, sql: Sql) -> Callable[[str], None]:
    """Removes a guard."""

    def remove(guard: str) -> None:
        if guard == "the revision raised by the trigger":
            for statement in without_revision(backend):
                sql(statement)
        else:
            module, name, edits = GUARDS[guard]
            user = unenrolling if name == "UNENROLL_BY_SEATS" else enrolling
            monkeypatch.setattr(user, name, getattr(mutant(module, *edits), name))

    return remove


GUARDS: Mapping[str, tuple[ModuleType, str, list[Edit]]] = {
    "the comparison of the revision": (
        decided_statements,
        "ENROLL_AS_DECIDED",
        [("students.c.schedule_revision == judged_revision,", "")],
    ),
    "the action that was judged": (
        decided_statements,
        "ENROLL_AS_DECIDED",
        [
            ("(is_seat, literal(ENROLLED, String)),", "(offers_seat, literal(ENROLLED, String)),"),
            ("(is_place, literal(WAITLISTED, String)),", "(or_(is_seat, is_place), literal(WAITLISTED, String)),"),
            ("and_(is_seat, offers_seat),", "and_(or_(is_seat, is_place), or_(offers_seat, place_free(courses))),"),
        ],
    ),
    "a course without a term still has none": (
        decided_statements,
        "ENROLL_AS_DECIDED",
        [
            (
                "and_(courses.c.term_id.is_(None), among(courses.c.id, without_term)),",
                "among(courses.c.id, without_term),",
            )
        ],
    ),
    "the courses of an unenrolling, locked once": (
        statements,
        "UNENROLL_BY_SEATS",
        [('.cte("counted")', '.subquery("counted")'), ('.prefix_with("MATERIALIZED", dialect="postgresql")', "")],
    ),
    "the statement for courses without a term": (
        statements,
        "ENROLL_BY_SEATS",
        [TERM_OF_SEATS_STATEMENT],
    ),
}
"""A module, a statement of it, and the edits that remove the guard."""


def codes(response: Any) -> list[list[str]]:
    return [[reason["code"] for reason in each["reasons"]] for each in response.get_json()["decisions"]]


# --- the student's own courses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("removed", [None, "the comparison of the revision", "the revision raised by the trigger"])
def test_a_decision_that_another_request_of_the_student_made_wrong_is_made_again(
    removed: str | None,
    student: Make,
    limited: tuple[int, int],
    enroll: Enroll,
    held: Held,
    before: Any,
    unguarded: Any,
) -> None:
    ada, (first, second) = student(), limited
    if removed:
        unguarded(removed)
    before("_enroll_as_decided", lambda: enroll(ada, first))

    response = enroll(ada, second)

    if removed:
        assert held(ada) == {first: "enrolled", second: "enrolled"}
    else:
        assert codes(response) == [["restricted"]]
        assert held(ada) == {first: "enrolled"}


@pytest.mark.parametrize("guarded", [True, False])
def test_a_revision_that_is_read_after_the_rest_hides_what_changed_in_between(
    *,
    guarded: bool,
    student: Make,
    limited: tuple[int, int],
    enroll: Enroll,
    held: Held,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada, (first, second) = student(), limited
    load = loading.load_by_rules

    def load_slowly(*args: Any) -> Any:
        monkeypatch.setattr(loading, "load_by_rules", load)
        situation = load(*args)
        meanwhile(lambda: enroll(ada, first))
        if guarded:
            return situation
        ((revision,),) = sql("SELECT schedule_revision FROM students WHERE id = :ada", ada=ada)
        return replace(situation, schedule_revision=revision)

    monkeypatch.setattr(loading, "load_by_rules", load_slowly)

    enroll(ada, second)

    assert (held(ada) == {first: "enrolled"}) is guarded


@pytest.mark.parametrize("removed", [None, "the comparison of the revision"])
def test_a_statement_that_waited_for_the_student_compares_what_it_finds_then(
    removed: str | None,
    backend: str,
    engine: Engine,
    student: Make,
    limited: tuple[int, int],
    enroll: Enroll,
    held: Held,
    unguarded: Any,
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has one writer")
    ada, (first, second) = student(), limited
    if removed:
        unguarded(removed)
    with engine.connect() as rival, ThreadPoolExecutor(1) as pool:
        rival.execute(
            text("INSERT INTO student_courses (student_id, course_id, status) VALUES (:ada, :first, 'enrolled')"),
            {"ada": ada, "first": first},
        )
        waiting = pool.submit(enroll, ada, second)
        wait_until_blocked(engine)
        rival.commit()
        waiting.result()

    assert (held(ada) == {first: "enrolled"}) is (removed is None)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_student_whose_courses_change_all_the_time_is_enrolled_under_the_locks(
    *,
    guarded: bool,
    student: Make,
    limited: tuple[int, int],
    enroll: Enroll,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control repeats the attempt without locks, as everything else is repeated."""
    ada, (first, _) = student(), limited
    enroll_as_decided = enrolling._enroll_as_decided  # noqa: SLF001

    def enroll_late(*args: Any) -> Any:
        sql(BUMP)
        return enroll_as_decided(*args)

    def again(*_: Any) -> Any:
        raise Raced

    monkeypatch.setattr(enrolling, "_enroll_as_decided", enroll_late)
    if not guarded:
        monkeypatch.setattr(enrolling, "_enroll_under_locks", again)

    assert enroll(ada, first).status_code == (201 if guarded else 503)


# --- the seat or the place that was judged ------------------------------------------------------------------------


@pytest.mark.parametrize("removed", [None, "the action that was judged"])
def test_a_place_that_was_judged_does_not_become_a_seat(
    removed: str | None,
    client: FlaskClient,
    student: Make,
    limited: tuple[int, int],
    enroll: Enroll,
    held: Held,
    before: Any,
    unguarded: Any,
) -> None:
    ada, other, (first, second) = student(), student(), limited
    enroll(ada, first)
    enroll(other, second)
    if removed:
        unguarded(removed)
    before("_enroll_as_decided", lambda: client.delete(f"/students/{other}/unenroll", json={"course_id": second}))

    response = enroll(ada, second, waitlist=True)

    if removed:
        assert held(ada) == {first: "enrolled", second: "enrolled"}
    else:
        assert codes(response) == [["restricted"]]


@pytest.mark.parametrize("removed", [None, "the action that was judged"])
def test_a_seat_that_was_judged_does_not_become_a_place(
    removed: str | None,
    client: FlaskClient,
    fall: int,
    student: Make,
    course: Make,
    enroll: Enroll,
    held: Held,
    before: Any,
    unguarded: Any,
) -> None:
    """The waitlists of the term are closed."""
    ada, last = student(), course(capacity=1, waitlist_capacity=5, term_id=fall)
    client.patch(f"/terms/{fall}", json={"promote_until": "2000-01-01T00:00:00Z"})
    if removed:
        unguarded(removed)
    before("_enroll_as_decided", lambda: enroll(student(), last))

    response = enroll(ada, last, waitlist=True)

    if removed:
        assert held(ada) == {last: "waitlisted"}
    else:
        assert codes(response) == [["waitlist_closed"]]


# --- a course that gets a term ------------------------------------------------------------------------------------


@pytest.mark.parametrize("removed", [None, "a course without a term still has none"])
def test_a_course_judged_without_a_term_is_not_taken_when_it_has_one(
    removed: str | None,
    client: FlaskClient,
    fall: int,
    student: Make,
    course: Make,
    enroll: Enroll,
    held: Held,
    before: Any,
    unguarded: Any,
) -> None:
    ada, of_term, adopted = student(), course(term_id=fall), course()
    if removed:
        unguarded(removed)
    term = {"term_id": fall, "permission_required": True}
    before("_enroll_as_decided", lambda: client.patch(f"/courses/{adopted}", json=term))

    response = enroll(ada, of_term, adopted)

    if removed:
        assert held(ada) == {of_term: "enrolled", adopted: "enrolled"}
    else:
        assert codes(response) == [[], ["permission_required"]]
        assert held(ada) == {}


@pytest.mark.parametrize("removed", [None, "the statement for courses without a term"])
def test_a_course_that_was_looked_at_without_a_term_is_judged_by_the_rules_when_it_has_one(
    removed: str | None,
    client: FlaskClient,
    fall: int,
    student: Make,
    course: Make,
    enroll: Enroll,
    held: Held,
    sql: Sql,
    before: Any,
    unguarded: Any,
) -> None:
    ada, adopted = student(), course(capacity=0)
    client.post(f"/students/{ada}/holds", json=HOLD)
    assert codes(enroll(ada, adopted)) == [["course_full"]]  # from now on, it is looked at first
    sql("UPDATE courses SET capacity = 1")
    if removed:
        unguarded(removed)
    before("_enroll_by_seats", lambda: client.patch(f"/courses/{adopted}", json={"term_id": fall}))

    response = enroll(ada, adopted)

    if removed:
        assert held(ada) == {adopted: "enrolled"}
    else:
        assert codes(response) == [["hold"]]


# --- the order of locks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guarded", [True, False])
def test_the_second_attempt_locks_the_student_after_the_courses(
    *,
    guarded: bool,
    backend: str,
    engine: Engine,
    student: Make,
    limited: tuple[int, int],
    enroll: Enroll,
    sql: Sql,
    before: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A promotion has the course, and its trigger then raises the revision of the same student."""
    if backend == "sqlite":
        pytest.skip("SQLite has one writer")
    monkeypatch.setattr(execute, "TRY_AGAIN", TRY_AGAIN - {"40P01"})  # else the deadlock would not be seen
    ada, (contested, _) = student(), limited
    lock = exchanging.lock

    def student_first(run: Any, student_id: int, course_ids: Any) -> None:
        run(exchanging.LOCK_STUDENT, {"student": student_id})  # type: ignore[attr-defined]
        lock(run, student_id, course_ids)

    if not guarded:
        monkeypatch.setattr(exchanging, "lock", student_first)
    with engine.connect() as promotion, ThreadPoolExecutor(1) as pool:
        before("_enroll_as_decided", lambda: sql(BUMP))
        before(
            "lock", lambda: promotion.execute(text(f"SELECT 1 FROM courses WHERE id = {contested} FOR NO KEY UPDATE"))
        )
        waiting = pool.submit(enroll, ada, contested)
        wait_until_blocked(engine)
        try:
            promotion.execute(text(f"{BUMP} WHERE id = {ada}"))
            promotion.commit()
            is_deadlock = False
        except OperationalError:
            promotion.rollback()
            is_deadlock = True
        status = waiting.result().status_code

    assert (is_deadlock or status == 503) is not guarded
    assert not guarded or status == 201


@pytest.mark.parametrize("removed", [None, "the courses of an unenrolling, locked once"])
def test_unenrolling_from_several_courses_locks_each_of_them_once(
    removed: str | None,
    backend: str,
    client: FlaskClient,
    engine: Engine,
    student: Make,
    course: Make,
    enroll: Enroll,
    unguarded: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One request changes the first course, while a permission for it is granted; another waits for it.

    The permission refers to the course and so shares its key. With a reader of the old version, PostgreSQL lets a
    statement that locks this version again wait for the one in the queue, which waits for that statement.
    """
    if backend == "sqlite":
        pytest.skip("SQLite has one writer")
    if MODE == "always":
        monkeypatch.setattr(waves, "SMALLEST", 2)  # a wave gives up a lock after 50 ms, before there is a deadlock
    monkeypatch.setattr(execute, "TRY_AGAIN", TRY_AGAIN - {"40P01"})  # else the deadlock would not be seen
    ada, other, first, second = student(), student(), course(), course()
    enroll(ada, first, second)
    if removed:
        unguarded(removed)
    with (
        engine.connect() as permission,
        engine.connect() as change,
        engine.connect() as change_of_second,
        ThreadPoolExecutor(2) as pool,
    ):
        permission.execute(text(f"SELECT 1 FROM courses WHERE id = {first} FOR KEY SHARE"))
        change.execute(text(f"UPDATE courses SET title = title WHERE id = {first}"))
        change_of_second.execute(text(f"SELECT 1 FROM courses WHERE id = {second} FOR NO KEY UPDATE"))
        first_request = pool.submit(client.delete, f"/students/{ada}/unenroll", json={"course_ids": [first, second]})
        wait_until_blocked(engine)
        waiting = pool.submit(enroll, other, first)
        wait_until_blocked(engine, 2)
        change.commit()
        wait_until_blocked(engine, 2, by="transactionid")  # one waits for the second course, the other for that one
        change_of_second.commit()
        statuses = first_request.result().status_code, waiting.result().status_code
        permission.commit()

    assert (statuses == (200, 201)) is (removed is None)


# --- questions of rules -------------------------------------------------------------------------------------------


def test_two_questions_with_one_name_are_an_error() -> None:
    class Another(AtMost):
        questions = {"groups": AtMost.questions["limited"]}  # noqa: RUF012

    with pytest.raises(ValueError, match="'groups' of Another"):
        loading.all_questions([Another(1)])
