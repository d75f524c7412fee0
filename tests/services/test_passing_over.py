"""Promotion in courses of a term: the rules decide, and a student whom they stop keeps the place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.context import RequestContext
from course_management.maintenance import verify
from course_management.services import enrollment
from course_management.services.enrollment import passing_over, promotion

from ..support.fixture_types import Enroll, Held, Make, Sql
from ..support.waits import PATIENT

HOLD = {"kind": "library", "contact": "library@example.edu", "blocks": "enroll"}
OPEN = {"opens_at": "2026-01-01T00:00:00Z", "closes_at": "2999-01-01T00:00:00Z"}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(threads=8, **PATIENT)


@pytest.fixture
def open_term(client: FlaskClient, term: Make) -> int:
    """Create a term that is open to all students until 2999."""
    number = term()
    assert client.put(f"/terms/{number}/windows", json=[OPEN]).status_code == 200
    return number


@pytest.fixture
def waiting(student: Make, course: Make, enroll: Enroll, open_term: int) -> Callable[..., tuple[int, list[int]]]:
    """Return a function that creates a full course of the term, and students on its waitlist."""

    def make(students: int, **values: Any) -> tuple[int, list[int]]:
        full = course(term_id=open_term, capacity=1, waitlist_capacity=None, **values)
        assert enroll(student(), full).status_code == 201
        on_waitlist = [student() for _ in range(students)]
        for each in on_waitlist:
            assert enroll(each, full, waitlist=True).status_code == 201
        return full, on_waitlist

    return make


@pytest.fixture
def hold(client: FlaskClient) -> Callable[..., int]:
    """Return a function that places a hold on a student; its id."""

    def place(student_id: int, **values: Any) -> int:
        response = client.post(f"/students/{student_id}/holds", json={**HOLD, **values})
        assert response.status_code == 201, response.text
        return int(response.get_json()["id"])

    return place


@pytest.fixture
def marks(sql: Sql) -> Callable[[int], dict[int, str | None]]:
    """Return a function that reads for which codes the waiting students of a course were passed over."""

    def read(course_id: int) -> dict[int, str | None]:
        rows = sql(
            "SELECT student_id, passed_over_for FROM student_courses"
            " WHERE course_id = :course AND status = 'waitlisted' ORDER BY queue_number",
            course=course_id,
        )
        return {row.student_id: row.passed_over_for for row in rows}

    return read


def background(app: Flask) -> tuple[int, int]:
    """Do what the background job does, until nothing is left."""
    with app.app_context():
        return enrollment.promote_all(RequestContext())


def broken(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(verify, "STALLED_AFTER_S", 0)
    monkeypatch.setattr(verify, "SECOND_LOOK_S", 0)
    with app.app_context():
        return [each.name for each in verify.verify() if each.evidence and not each.note]


def raise_capacity(client: FlaskClient, course_id: int, capacity: int) -> Any:
    return client.patch(f"/courses/{course_id}", json={"capacity": capacity}).get_json()


def test_a_student_whom_a_rule_stops_keeps_the_place_and_the_next_is_promoted(
    app: Flask,
    client: FlaskClient,
    waiting: Any,
    hold: Any,
    held: Held,
    marks: Any,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full, (first, second) = waiting(2)
    hold(first)
    row = "SELECT status, status_since, queue_number, revision, actor FROM student_courses WHERE student_id = :student"
    before = sql(row, student=first)

    changed = raise_capacity(client, full, 2)

    assert changed["promotion"] == {"promoted": 1, "pending": False}
    assert (held(first), held(second)) == ({full: "waitlisted"}, {full: "enrolled"})
    assert marks(full) == {first: "hold"}
    assert sql(row, student=first) == before
    assert client.get(f"/courses/{full}").get_json()["passed_over_count"] == 1
    assert sql("SELECT count(*) FROM enrollment_events WHERE student_id = :student", student=first) == [(1,)]
    assert broken(app, monkeypatch) == []


def test_a_hold_that_is_released_promotes_the_student_in_the_same_call(
    client: FlaskClient, waiting: Any, hold: Any, held: Held
) -> None:
    full, (first, _) = waiting(2)
    number = hold(first)
    raise_capacity(client, full, 3)

    client.delete(f"/students/{first}/holds/{number}")

    assert held(first) == {full: "enrolled"}


def test_a_seat_is_open_to_newcomers_once_all_who_wait_were_passed_over(
    client: FlaskClient, student: Make, waiting: Any, hold: Any, enroll: Enroll, held: Held
) -> None:
    full, students = waiting(2)
    for each in students:
        hold(each)
    newcomer = student()
    refused = enroll(newcomer, full)
    raise_capacity(client, full, 2)

    assert refused.get_json()["decisions"][0]["reasons"][0]["code"] == "course_full"
    assert enroll(newcomer, full).status_code == 201
    assert [held(each) for each in students] == [{full: "waitlisted"}] * 2


def test_a_newcomer_meets_students_who_were_not_looked_at_and_is_refused_after_they_got_the_seat(
    student: Make, waiting: Any, enroll: Enroll, held: Held, sql: Sql
) -> None:
    full, (first,) = waiting(1)
    sql("UPDATE courses SET capacity = 2")  # by hand: nobody was promoted

    assert enroll(student(), full).status_code == 409
    assert held(first) == {full: "enrolled"}


def test_a_request_asks_about_five_students_and_the_background_about_the_rest(
    app: Flask, client: FlaskClient, waiting: Any, hold: Any, held: Held, marks: Any
) -> None:
    full, students = waiting(8)
    for each in students[:7]:
        hold(each)

    changed = raise_capacity(client, full, 2)

    assert changed["promotion"] == {"promoted": 0, "pending": True}
    assert list(marks(full).values()) == ["hold"] * promotion.MOST_STUDENTS_JUDGED + [None] * 3
    assert background(app) == (1, 0)
    assert held(students[7]) == {full: "enrolled"}
    assert set(marks(full).values()) == {"hold"}


def test_students_who_were_passed_over_are_left_alone_for_ten_minutes_and_then_looked_at_again(
    app: Flask, client: FlaskClient, waiting: Any, hold: Any, held: Held, sql: Sql
) -> None:
    full, (first,) = waiting(1)
    hold(first, until="2999-01-01T00:00:00Z")
    raise_capacity(client, full, 2)
    sql("UPDATE holds SET until = CURRENT_TIMESTAMP")  # it expires, and nothing tells the waitlist

    with app.app_context():
        assert enrollment.due_courses() == []
    older = datetime.now(UTC) - passing_over.ROUND
    sql("UPDATE courses SET promotion_round_at = :at", at=older.replace(tzinfo=None).isoformat(" "))
    assert background(app) == (1, 0)

    assert held(first) == {full: "enrolled"}


def test_a_round_by_time_looks_once_at_each_student(
    app: Flask, client: FlaskClient, waiting: Any, hold: Any, sql: Sql
) -> None:
    full, students = waiting(3)
    for each in students:
        hold(each)
    raise_capacity(client, full, 2)
    old = "2026-01-01 00:00:00"
    sql("UPDATE courses SET promotion_round_at = :at", at=old)
    sql("UPDATE student_courses SET passed_over_at = :at WHERE passed_over_at IS NOT NULL", at=old)

    with app.app_context():
        batches = []
        while enrollment.due_courses():
            batches.append(enrollment.promote_batch(full, RequestContext()))

    assert [batch.passed_over for batch in batches] == [[(each, ["hold"])] for each in students]


@pytest.mark.parametrize(
    ("path", "change"),
    [("/terms/{term}", {"title": "Autumn"}), ("/courses/{course}", {"title": "Algebra"})],
)
def test_a_change_of_the_course_or_its_term_begins_a_round_also_if_clocks_differ(
    app: Flask,
    client: FlaskClient,
    waiting: Any,
    hold: Any,
    held: Held,
    sql: Sql,
    open_term: int,
    path: str,
    change: dict[str, str],
) -> None:
    full, (first,) = waiting(1)
    hold(first)
    raise_capacity(client, full, 2)
    ahead = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None).isoformat(" ")
    sql("UPDATE student_courses SET passed_over_at = :at WHERE passed_over_at IS NOT NULL", at=ahead)
    sql("UPDATE holds SET released_at = CURRENT_TIMESTAMP")  # by hand, so that nothing tells the waitlist
    assert background(app) == (0, 0)

    client.patch(path.format(term=open_term, course=full), json=change)
    background(app)

    assert held(first) == {full: "enrolled"}


def test_restrictions_that_change_begin_a_round(
    app: Flask, client: FlaskClient, waiting: Any, group: Make, held: Held, marks: Any
) -> None:
    full, (first,) = waiting(1)
    client.put(f"/courses/{full}/restrictions", json=[{"group_id": group()}])
    raise_capacity(client, full, 2)
    assert marks(full) == {first: "restricted"}

    client.put(f"/courses/{full}/restrictions", json=[])
    background(app)

    assert held(first) == {full: "enrolled"}


@pytest.mark.parametrize("what", ["permission", "groups"])
def test_a_permission_or_a_group_promotes_the_student_who_needed_it(
    client: FlaskClient, waiting: Any, group: Make, held: Held, what: str
) -> None:
    full, (first,) = waiting(1)
    number = group()
    client.put(f"/courses/{full}/restrictions", json=[{"group_id": number}])
    raise_capacity(client, full, 2)

    if what == "groups":
        client.put(f"/students/{first}/groups", json=[number])
    else:
        body = {"course_id": full, "rule": "restricted", "reason": "Her last term"}
        assert client.post(f"/students/{first}/permissions", json=body).status_code == 201

    assert held(first) == {full: "enrolled"}


@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_leaving_another_course_lets_promotion_look_again(
    client: FlaskClient,
    waiting: Any,
    course: Make,
    enroll: Enroll,
    hold: Any,
    held: Held,
    sql: Sql,
    open_term: int,
    method: str,
) -> None:
    """By the rules of this version, no course stops another one; those of a school may."""
    full, (first,) = waiting(1)
    other = course(term_id=open_term)
    enroll(first, other)
    hold(first)
    raise_capacity(client, full, 2)
    sql("UPDATE holds SET released_at = CURRENT_TIMESTAMP")  # by hand, so that nothing tells the waitlist

    if method == "DELETE":
        client.delete(f"/students/{first}/unenroll", json={"course_id": other})
    else:
        client.put(f"/students/{first}/enroll", json={"course_ids": [full]})

    assert held(first) == {full: "enrolled"}


@pytest.mark.parametrize(
    ("path", "change", "code"),
    [
        ("/courses/{course}", {"closed": True}, "course_closed"),
        ("/terms/{term}", {"promote_until": "2026-01-01T00:00:00Z"}, "waitlist_closed"),
    ],
)
def test_who_waits_for_a_course_that_promotes_no_more_is_looked_at_once_and_sees_why(
    app: Flask,
    client: FlaskClient,
    waiting: Any,
    marks: Any,
    sql: Sql,
    open_term: int,
    path: str,
    change: dict[str, Any],
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full, (first,) = waiting(1)
    client.patch(path.format(term=open_term, course=full), json=change)

    raise_capacity(client, full, 2)

    assert marks(full) == {first: code}
    sql("UPDATE courses SET promotion_round_at = '2026-01-01 00:00:00'")
    sql("UPDATE student_courses SET passed_over_at = '2026-02-01 00:00:00' WHERE passed_over_at IS NOT NULL")
    with app.app_context():
        assert enrollment.due_courses() == []  # ten minutes change nothing
    assert broken(app, monkeypatch) == []


def test_the_log_has_a_line_for_each_student_who_was_passed_over(
    make_app: Callable[..., Flask], waiting: Any, hold: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    full, (first,) = waiting(1)
    hold(first)
    loud = make_app(log_level="info", log_format="json").test_client()

    raise_capacity(loud, full, 2)

    (line,) = [each for each in capsys.readouterr().out.splitlines() if "enrollment.passed_over" in each]
    assert f'"student_id":{first}' in line
    assert f'"course_ids":[{full}]' in line
    assert '"codes":["hold"]' in line


def test_a_course_without_a_waitlist_has_no_next_student(app: Flask, course: Make, open_term: int) -> None:
    free = course(term_id=open_term)

    with app.app_context():
        assert enrollment.promote_batch(free, RequestContext()) == enrollment.PromotionBatch()


def test_codes_that_do_not_fit_are_left_out_whole(
    client: FlaskClient, waiting: Any, hold: Any, group: Make, marks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, (first,) = waiting(1)
    hold(first)
    client.put(f"/courses/{full}/restrictions", json=[{"group_id": group()}])
    monkeypatch.setattr(passing_over, "LONGEST_CODES", len("hold restric"))

    raise_capacity(client, full, 2)

    assert marks(full) == {first: "hold"}
