"""Many requests at the same instant. `test_seats_controls.py` shows that these races can be lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from course_management.context import RequestContext
from course_management.services import enrollment

from ..support.fixture_types import Enroll, Held, Make, Sql
from ..support.waits import wait_until_blocked

TOGETHER = 16


@pytest.fixture
def at_once(app: Flask) -> Callable[[Sequence[Callable[[Any], Any]]], list[Any]]:
    """Runs calls at the same instant, each on a connection of its own; their responses."""

    def run(calls: Sequence[Callable[[Any], Any]]) -> list[Any]:
        barrier = Barrier(len(calls))

        def one(call: Callable[[Any], Any]) -> Any:
            client = app.test_client()
            barrier.wait()
            return call(client)

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(one, calls))

    return run


def enrolling(student_id: int, *course_ids: int, **body: Any) -> Callable[[Any], Any]:
    return lambda client: client.post(f"/students/{student_id}/enroll", json={"course_ids": course_ids, **body})


def unenrolling(student_id: int, *course_ids: int) -> Callable[[Any], Any]:
    return lambda client: client.delete(f"/students/{student_id}/unenroll", json={"course_ids": course_ids})


def replacing(student_id: int, *course_ids: int, **headers: str) -> Callable[[Any], Any]:
    return lambda client: client.put(f"/students/{student_id}/enroll", json={"course_ids": course_ids}, headers=headers)


def statuses(responses: Sequence[Any]) -> list[int]:
    return sorted(response.status_code for response in responses)


@pytest.fixture
def assert_sound(sql: Sql) -> Callable[[], None]:
    """Assert that counters, limits and the ledger of the database agree."""

    def check() -> None:
        assert not sql(
            """
            SELECT c.id FROM courses c LEFT JOIN student_courses e ON e.course_id = c.id
            GROUP BY c.id, c.seats_taken, c.waiting, c.capacity
            HAVING c.seats_taken <> sum(CASE WHEN e.status = 'enrolled' THEN 1 ELSE 0 END)
                OR c.waiting <> sum(CASE WHEN e.status = 'waitlisted' THEN 1 ELSE 0 END)
                OR c.seats_taken > c.capacity
            """
        )
        # The last line of each pair is its status; each line begins where the one before it ended.
        lines: dict[tuple[int, int], str | None] = {}
        for student_id, course_id, before, after in sql(
            "SELECT student_id, course_id, from_status, to_status FROM enrollment_events ORDER BY id"
        ):
            assert lines.get((student_id, course_id)) == before
            lines[student_id, course_id] = after
        assert lines == {
            (student_id, course_id): status
            for student_id, course_id, status in sql("SELECT student_id, course_id, status FROM student_courses")
        }

    return check


def test_the_same_request_16_times_at_once_is_one_change(
    student: Make, course: Make, at_once: Any, sql: Sql, assert_sound: Any
) -> None:
    ada, programming = student(), course(capacity=1)

    responses = at_once([enrolling(ada, programming)] * TOGETHER)

    assert statuses(responses) == [200] * (TOGETHER - 1) + [201]
    assert sql("SELECT count(*) FROM enrollment_events") == [(1,)]
    assert_sound()


def test_the_same_unenrolling_16_times_at_once_is_one_change(
    student: Make, course: Make, enroll: Enroll, at_once: Any, sql: Sql, assert_sound: Any
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)

    responses = at_once([unenrolling(ada, programming)] * TOGETHER)

    assert sorted(response.get_json()["results"][0]["outcome"] for response in responses) == [
        *["not_enrolled"] * (TOGETHER - 1),
        "unenrolled",
    ]
    assert sql("SELECT count(*) FROM enrollment_events") == [(2,)]
    assert_sound()


def test_the_last_seats_are_sold_exactly(student: Make, course: Make, at_once: Any, assert_sound: Any) -> None:
    seats, contested = 5, course(capacity=5)

    responses = at_once([enrolling(student(), contested) for _ in range(TOGETHER)])

    assert statuses(responses) == [201] * seats + [409] * (TOGETHER - seats)
    assert_sound()


def test_the_constraint_refuses_writes_beside_the_service(student: Make, course: Make, sql: Sql) -> None:
    contested = course(capacity=0)

    with pytest.raises(DBAPIError, match="ck_courses_seats_within_capacity"):
        sql(
            "INSERT INTO student_courses (student_id, course_id, status) VALUES (:student, :course, 'enrolled')",
            student=student(),
            course=contested,
        )


def test_each_student_of_a_waitlist_has_a_number_of_its_own(
    student: Make, course: Make, at_once: Any, client: Any, assert_sound: Any
) -> None:
    contested = course(capacity=3, waitlist_capacity=None)

    responses = at_once([enrolling(student(), contested, waitlist=True) for _ in range(TOGETHER)])

    assert statuses(responses) == [201] * TOGETHER
    waitlist = client.get(f"/courses/{contested}/students?status=waitlisted").get_json()["items"]
    assert [entry["position"] for entry in waitlist] == list(range(1, TOGETHER - 3 + 1))
    assert_sound()


def test_many_students_who_unenroll_at_once_promote_as_many_in_order(
    student: Make, course: Make, enroll: Enroll, at_once: Any, client: Any, assert_sound: Any
) -> None:
    contested = course(capacity=8, waitlist_capacity=None)
    students = [student() for _ in range(20)]
    for each in students:
        enroll(each, contested, waitlist=True)

    at_once([unenrolling(each, contested) for each in students[:8]])

    seated = client.get(f"/courses/{contested}/students").get_json()["items"]
    assert [entry["student_id"] for entry in seated] == students[8:16]
    assert_sound()


def test_two_replacements_of_one_student_end_with_one_of_the_two_sets(
    student: Make, course: Make, at_once: Any, held: Held, assert_sound: Any
) -> None:
    first, second = [course(), course()], [course(), course()]

    for _ in range(5):
        ada = student()
        responses = at_once([replacing(ada, *first), replacing(ada, *second)] * 2)

        assert statuses(responses) == [200] * 4
        assert set(held(ada)) in (set(first), set(second))
    assert_sound()


def test_of_replacements_with_the_same_tag_one_wins(
    student: Make, course: Make, at_once: Any, client: Any, assert_sound: Any
) -> None:
    ada, courses = student(), [course() for _ in range(8)]
    tag = client.get(f"/students/{ada}/courses").headers["ETag"]

    responses = at_once([replacing(ada, each, **{"If-Match": tag}) for each in courses])

    assert statuses(responses) == [200] + [412] * 7
    assert_sound()


def test_overlapping_requests_in_any_order_neither_deadlock_nor_drift(
    student: Make, course: Make, at_once: Any, assert_sound: Any
) -> None:
    chance = random.Random(20261122)  # noqa: S311 - a repeatable choice of operations
    people = [student() for _ in range(8)]
    offered = [course(capacity=chance.choice([1, 3, None]), waitlist_capacity=2) for _ in range(5)]

    for _ in range(5):
        calls = []
        for each in people * 2:
            some = chance.sample(offered, chance.randint(1, 5))
            calls.append(
                chance.choice(
                    [
                        enrolling(each, *some, waitlist=True),
                        enrolling(each, *some),
                        unenrolling(each, *some),
                        replacing(each, *some),
                    ]
                )
            )
        assert max(statuses(at_once(calls))) < 500
        assert_sound()


def test_a_stale_seat_is_not_given_twice(
    app: Flask, backend: str, engine: Engine, student: Make, course: Make, enroll: Enroll, held: Held, assert_sound: Any
) -> None:
    """The student leaves a full course while the same student's enroll, which saw it held, waits for the lock.

    Without the null that NOT NULL refuses, the waiting statement would bring the row back over the capacity.
    """
    if backend == "sqlite":
        pytest.skip("SQLite has one writer: no statement can see what another is changing")
    ada, alan, contested, other = student(), student(), course(capacity=1), course(capacity=5)
    enroll(ada, contested)
    with ThreadPoolExecutor(1) as pool, engine.connect() as rival:
        rival.execute(text("SELECT id FROM courses ORDER BY id FOR NO KEY UPDATE"))

        def wait_and_enroll() -> list[Any]:
            with app.app_context():
                return list(
                    enrollment.enroll(enrollment.EnrollmentRequest(ada, [contested, other], context=RequestContext()))
                )

        waiting = pool.submit(wait_and_enroll)
        wait_until_blocked(engine)
        unenroll = text(
            "UPDATE student_courses SET status = 'unenrolled', revision = revision + 1 WHERE student_id = :ada"
        )
        take = text("INSERT INTO student_courses (student_id, course_id, status) VALUES (:alan, :course, 'enrolled')")
        rival.execute(unenroll, {"ada": ada})
        rival.execute(take, {"alan": alan, "course": contested})
        rival.commit()

        with pytest.raises(Exception, match="You cannot enroll in at least one of the requested courses"):
            waiting.result()
    assert (held(ada), held(alan)) == ({}, {contested: "enrolled"})
    assert_sound()
