"""Terms, groups, holds and permissions that change at the same instant: one consistent result, and no 500.

Each race has its control, which shows that without the guard it is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from course_management.database import execute
from course_management.database.failures import TRY_AGAIN
from course_management.services import holds, owned_lists, permissions, student_groups
from course_management.services.passed_over_marks import lock_and_raise_revision, reconsider_student

from ..support.concurrency import together
from ..support.fixture_types import Enroll
from ..support.registration import HOLD, OTHER, WINDOW
from ..support.waits import PATIENT, wait_until_blocked

Make = Callable[..., int]
Sql = Callable[..., list[Any]]
ROUNDS = 3
WITHOUT_DEADLOCKS = TRY_AGAIN - {"40P01"}
"""After these errors the service tries again; a deadlock would not be seen otherwise."""


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(threads=12, **PATIENT)


def results(responses: list[Any]) -> list[tuple[int, str | None]]:
    """Return the status of each response, with the code of a refusal, sorted."""
    codes = [each.get_json()["code"] if each.status_code >= 400 else None for each in responses]
    return sorted(((each.status_code, code) for each, code in zip(responses, codes, strict=True)), key=str)


@pytest.fixture
def only_postgresql(backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has one writer at a time, from the beginning of its transaction")


def during(engine: Engine, before: str, call: Callable[[], Any], *, blocks: bool) -> Any:
    """Send a request while a transaction has done `before`, which is committed when the request waits for it."""
    with engine.connect() as connection, ThreadPoolExecutor(1) as pool:
        for statement in before.split(";"):
            connection.execute(text(statement))
        response = pool.submit(call)
        if blocks:
            wait_until_blocked(engine)
        else:
            response.result()
        connection.commit()
        return response.result()


# --- lists ------------------------------------------------------------------------------------------------


def test_of_two_lists_with_the_same_etag_one_is_refused(app: Flask, client: FlaskClient, term: Make) -> None:
    path = f"/terms/{term()}/windows"
    for _ in range(ROUNDS):
        client.put(path, json=[])
        known = {"If-Match": client.get(path).headers["ETag"]}

        responses = together(
            app,
            [lambda each, body=[body]: each.put(path, json=body, headers=known) for body in (WINDOW, OTHER)],  # type: ignore[misc]  # noqa: B023 - in this round
        )

        assert [status for status, _ in results(responses)] == [200, 412]
        (applied,) = (each.get_json() for each in responses if each.status_code == 200)
        assert client.get(path).get_json() == applied


def test_lists_that_are_put_at_once_leave_one_of_them(
    app: Flask, client: FlaskClient, student: Make, group: Make
) -> None:
    path, ids = f"/students/{student()}/groups", [group() for _ in range(6)]

    responses = together(
        app,
        [lambda each, body=body: each.put(path, json=body) for body in (ids[:2], ids[2:4], ids[4:], ids[::2])],  # type: ignore[misc]
    )

    assert {each.status_code for each in responses} == {200}
    assert client.get(path).get_json() in (ids[:2], ids[2:4], ids[4:], ids[::2])


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.usefixtures("only_postgresql")
def test_without_the_lock_on_the_owner_a_list_is_overwritten(
    *, guarded: bool, client: FlaskClient, engine: Engine, term: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the lists: the second change reads the list before the first is committed."""
    number = term()
    path = f"/terms/{number}/windows"
    known = {"If-Match": client.get(path).headers["ETag"]}
    if not guarded:
        monkeypatch.setattr(owned_lists, "locked", lambda session, owner, number: session.get(owner.model, number))
    first = (
        f"SELECT 1 FROM terms WHERE id = {number} FOR NO KEY UPDATE;"
        f"INSERT INTO registration_windows (term_id, opens_at, closes_at) VALUES ({number}, '2026-01-01', '2026-02-01')"
    )

    response = during(engine, first, lambda: client.put(path, json=[WINDOW], headers=known), blocks=guarded)

    assert response.status_code == (412 if guarded else 200)


# --- groups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["student", "window", "restriction"])
def test_a_group_that_is_deleted_while_it_is_given_is_either_gone_or_in_use(
    app: Flask, client: FlaskClient, student: Make, term: Make, course: Make, group: Make, user: str
) -> None:
    fall = term()
    path = {
        "student": f"/students/{student()}/groups",
        "window": f"/terms/{fall}/windows",
        "restriction": f"/courses/{course(term_id=fall)}/restrictions",
    }[user]
    for _ in range(ROUNDS):
        number = group()
        body = {"student": number, "window": WINDOW | {"group_id": number}, "restriction": {"group_id": number}}[user]

        responses = together(
            app,
            [
                lambda each, body=body: each.put(path, json=[body]),  # type: ignore[misc]
                lambda each, number=number: each.delete(f"/groups/{number}"),  # type: ignore[misc]
            ],
        )

        assert results(responses) in (
            [(200, None), (409, "group_in_use")],
            [(204, None), (422, "validation_failed")],
        )
        assert len(client.get(path).get_json()) == (1 if results(responses)[0][0] == 200 else 0)
        assert client.put(path, json=[]).status_code == 200


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.usefixtures("only_postgresql")
def test_without_the_lock_on_the_group_its_deletion_is_a_server_error(
    *,
    guarded: bool,
    client: FlaskClient,
    engine: Engine,
    student: Make,
    group: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of groups: it is looked up before its deletion is committed, and the foreign key has no pointer."""
    path, number = f"/students/{student()}/groups", group()
    if not guarded:
        monkeypatch.setattr(owned_lists, "errors_of_unknown_ids", lambda *_: [])

    response = during(
        engine, f"DELETE FROM groups WHERE id = {number}", lambda: client.put(path, json=[number]), blocks=True
    )

    assert response.status_code == (422 if guarded else 500)


# --- holds and permissions --------------------------------------------------------------------------------


def test_a_permission_that_is_granted_at_once_is_granted_once(
    app: Flask, client: FlaskClient, student: Make, course: Make, sql: Sql
) -> None:
    for _ in range(ROUNDS):
        path, body = f"/students/{student()}/permissions", {"rule": "course_closed", "reason": "Her last term"}
        body |= {"course_id": course()}  # type: ignore[dict-item]

        responses = together(app, [lambda each: each.post(path, json=body)] * 6)  # noqa: B023 - in this round

        assert results(responses) == [(201, None)] + [(409, "permission_exists")] * 5
        assert len(client.get(path).get_json()["items"]) == 1
    assert sql("SELECT count(*) FROM rule_events") == [(ROUNDS,)]


@pytest.mark.parametrize("guards", [{"lock", "index"}, {"lock"}, {"index"}, set()], ids=["both", "lock", "index", "no"])
@pytest.mark.usefixtures("only_postgresql")
def test_without_the_lock_and_the_index_a_permission_is_granted_twice(
    *,
    guards: set[str],
    client: FlaskClient,
    engine: Engine,
    student: Make,
    course: Make,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of granting: the lock lets the second request see the first; the index refuses it in any case."""
    ada, programming = student(), course()
    if "lock" not in guards:
        monkeypatch.setattr(permissions, "reconsider_student", lambda *_: [])
    if "index" not in guards:
        sql("DROP INDEX uq_permissions_student_id_course_id_rule")
    first = (
        f"UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = {ada};"
        "INSERT INTO permissions (student_id, course_id, rule, reason)"
        f" VALUES ({ada}, {programming}, 'course_closed', 'First')"
    )
    body = {"course_id": programming, "rule": "course_closed", "reason": "Second"}

    response = during(
        engine, first, lambda: client.post(f"/students/{ada}/permissions", json=body), blocks=bool(guards)
    )

    assert response.status_code == (409 if guards else 201)


def test_a_hold_that_is_released_at_once_is_released_once(
    app: Flask, client: FlaskClient, student: Make, sql: Sql
) -> None:
    for _ in range(ROUNDS):
        path = f"/students/{student()}/holds"
        number = client.post(path, json=HOLD).get_json()["id"]

        responses = together(app, [lambda each: each.delete(f"{path}/{number}")] * 6)  # noqa: B023 - in this round

        assert results(responses) == [(204, None)] * 6
    assert sql("SELECT count(*) FROM rule_events WHERE change = 'released'") == [(ROUNDS,)]


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.usefixtures("only_postgresql")
def test_without_the_lock_on_the_student_a_hold_is_released_twice(
    *,
    guarded: bool,
    client: FlaskClient,
    engine: Engine,
    student: Make,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of releasing: the second request reads the hold before the first release is committed."""
    ada = student()
    number = client.post(f"/students/{ada}/holds", json=HOLD).get_json()["id"]
    if not guarded:
        monkeypatch.setattr(holds, "reconsider_student", lambda *_: [])
    first = (
        f"UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = {ada};"
        f"UPDATE holds SET released_at = now(), released_by = 'first' WHERE id = {number}"
    )

    during(engine, first, lambda: client.delete(f"/students/{ada}/holds/{number}"), blocks=True)

    assert sql("SELECT released_by FROM holds") == [("first" if guarded else "anonymous",)]


def test_a_student_who_is_deleted_meanwhile_has_no_hold(app: Flask, student: Make) -> None:
    for _ in range(ROUNDS):
        ada = student()

        placed, deleted = together(
            app,
            [
                lambda each, ada=ada: each.post(f"/students/{ada}/holds", json=HOLD),  # type: ignore[misc]
                lambda each, ada=ada: each.delete(f"/students/{ada}"),  # type: ignore[misc]
            ],
        )

        assert deleted.status_code == 204
        assert placed.status_code in {201, 404}


# --- courses ----------------------------------------------------------------------------------------------


def test_a_course_that_is_moved_into_two_terms_at_once_is_in_one(
    app: Flask, client: FlaskClient, term: Make, course: Make
) -> None:
    terms = [term(), term()]
    for _ in range(ROUNDS):
        path = f"/courses/{course()}"

        responses = together(
            app,
            [lambda each, number=number: each.patch(path, json={"term_id": number}) for number in terms],  # type: ignore[misc]  # noqa: B023
        )

        assert results(responses) == [(200, None), (409, "term_is_fixed")]
        (moved,) = (each.get_json()["term_id"] for each in responses if each.status_code == 200)
        assert client.get(path).get_json()["term_id"] == moved


def test_a_term_that_is_deleted_while_a_course_moves_into_it_is_either_gone_or_in_use(
    app: Flask, term: Make, course: Make
) -> None:
    for _ in range(ROUNDS):
        number, path = term(), f"/courses/{course()}"

        responses = together(
            app,
            [
                lambda each, path=path, number=number: each.patch(path, json={"term_id": number}),  # type: ignore[misc]
                lambda each, number=number: each.delete(f"/terms/{number}"),  # type: ignore[misc]
            ],
        )

        assert results(responses) in (
            [(200, None), (409, "term_has_courses")],
            [(204, None), (422, "validation_failed")],
        )


def test_holds_groups_and_enrollments_of_waiting_students_change_without_a_deadlock(
    app: Flask,
    client: FlaskClient,
    student: Make,
    course: Make,
    term: Make,
    group: Make,
    enroll: Enroll,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Courses are locked before students, as everywhere."""
    monkeypatch.setattr(execute, "TRY_AGAIN", WITHOUT_DEADLOCKS)
    fall, ids = term(), [group(), group()]
    courses = [course(capacity=1, waitlist_capacity=99) for _ in range(4)]
    people = [student() for _ in range(4)]
    for each in people:
        enroll(each, *courses, waitlist=True)
    for number in courses:
        client.patch(f"/courses/{number}", json={"term_id": fall})

    def work(each: FlaskClient) -> Any:
        for turn in range(ROUNDS):
            for ada in people:
                # As an enrollment: the course first, then the student.
                with engine.begin() as connection:
                    connection.execute(text(f"UPDATE courses SET title = title WHERE id = {courses[turn % 4]}"))
                    connection.execute(text(f"UPDATE students SET schedule_revision = 1 WHERE id = {ada}"))
                sent = [
                    each.put(f"/students/{ada}/groups", json=ids[: turn % 3]),
                    each.patch(f"/courses/{courses[turn % 4]}", json={"title": f"Title {turn}"}),
                    each.patch(f"/terms/{fall}", json={"title": f"Term {turn}"}),
                ]
                hold = each.post(f"/students/{ada}/holds", json=HOLD).get_json()["id"]
                sent.append(each.delete(f"/students/{ada}/holds/{hold}"))
                statuses = {response.status_code for response in sent}
                if not statuses <= {200, 204}:
                    return statuses
        return None

    assert together(app, [work] * 4) == [None] * 4


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.usefixtures("only_postgresql")
def test_with_the_student_locked_before_the_courses_there_is_a_deadlock(
    *,
    guarded: bool,
    client: FlaskClient,
    engine: Engine,
    student: Make,
    course: Make,
    term: Make,
    enroll: Enroll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the order of locks: an enrollment has locked the course, and then locks the student."""
    ada, programming = student(), course(capacity=0, waitlist_capacity=9)
    enroll(ada, programming, waitlist=True)
    client.patch(f"/courses/{programming}", json={"term_id": term()})
    monkeypatch.setattr(execute, "TRY_AGAIN", WITHOUT_DEADLOCKS)
    if not guarded:

        def student_first(session: Session, student_id: int) -> list[int]:
            lock_and_raise_revision(session, student_id)
            return reconsider_student(session, student_id)

        monkeypatch.setattr(student_groups, "reconsider_student", student_first)

    with engine.connect() as connection, ThreadPoolExecutor(1) as pool:
        connection.execute(text(f"SELECT 1 FROM courses WHERE id = {programming} FOR NO KEY UPDATE"))
        response = pool.submit(client.put, f"/students/{ada}/groups", json=[])
        wait_until_blocked(engine)
        try:
            connection.execute(text(f"UPDATE students SET schedule_revision = 9 WHERE id = {ada}"))
            connection.commit()
            is_deadlock = False
        except OperationalError:
            connection.rollback()
            is_deadlock = True
        status = response.result().status_code

    assert (is_deadlock or status == 503) is not guarded
    assert not guarded or status == 200


def test_a_permission_that_was_revoked_before_the_lock_is_not_revoked_again(
    client: FlaskClient, student: Make, course: Make, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, number = student(), course()
    body = {"course_id": number, "rule": "course_closed", "reason": "Her last term"}
    permission = client.post(f"/students/{ada}/permissions", json=body).get_json()["id"]

    def late(session: Session, student_id: int) -> list[int]:
        session.execute(text("UPDATE permissions SET revoked_at = CURRENT_TIMESTAMP, revoked_by = 'x'"))
        return reconsider_student(session, student_id)

    monkeypatch.setattr(permissions, "reconsider_student", late)

    assert client.delete(f"/students/{ada}/permissions/{permission}").status_code == 204
    assert sql("SELECT count(*) FROM rule_events WHERE change = 'revoked'") == [(0,)]
