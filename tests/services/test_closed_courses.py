"""Closed courses take no students, and courses of a term take none while nothing asks the rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from course_management.context import RequestContext
from course_management.maintenance import verify
from course_management.models import courses
from course_management.services import enrollment

from ..support.fixture_types import Enroll, Held, Make, Sql

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.fixture
def close(engine: Engine) -> Callable[[int], None]:
    """Closes a course."""

    def run(course_id: int, at: datetime | None = AT) -> None:
        with engine.begin() as connection:
            connection.execute(courses.update().where(courses.c.id == course_id).values(closed_at=at))

    return run


def reasons(response: Any) -> dict[int, list[str]]:
    return {each["course_id"]: [why["code"] for why in each["reasons"]] for each in response.get_json()["decisions"]}


def test_a_closed_course_refuses_every_student_and_says_since_when(
    student: Make, course: Make, enroll: Enroll, held: Held, close: Any
) -> None:
    ada, closed, free = student(), course(waitlist_capacity=None), course()
    close(closed)

    for waitlist in (False, True):
        response = enroll(ada, free, closed, waitlist=waitlist)
        assert (response.status_code, response.get_json()["code"]) == (409, "enrollment_refused")
        (reason,) = response.get_json()["decisions"][1]["reasons"]
        assert (reason["code"], reason["closed_at"]) == ("course_closed", "2026-09-01T08:00:00Z")
    assert held(ada) == {}

    close(closed, at=None)
    assert enroll(ada, free, closed).status_code == 201


def test_a_closed_course_that_is_full_has_both_reasons(student: Make, course: Make, enroll: Enroll, close: Any) -> None:
    full = course(capacity=0)
    close(full)

    assert reasons(enroll(student(), full)) == {full: ["course_closed", "course_full"]}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_permission_waives_that_a_course_is_closed_with_and_without_a_term(
    client: FlaskClient,
    student: Make,
    course: Make,
    open_term: Make,
    held: Held,
    close: Any,
    method: str,
) -> None:
    ada, alan, closed, termed, free = student(), student(), course(), course(term_id=open_term()), course()
    for each in (closed, termed):
        close(each)
        waiver = {"course_id": each, "rule": "course_closed", "reason": "Her last term"}
        assert client.post(f"/students/{ada}/permissions", json=waiver).status_code == 201

    def taken(student_id: int, *course_ids: int) -> int:
        return client.open(f"/students/{student_id}/enroll", method=method, json={"course_ids": course_ids}).status_code

    for courses_asked in ([closed], [closed, free], [closed, free, termed]):
        assert taken(alan, *courses_asked) == 409, "the permission is not this student's"
        assert taken(ada, *courses_asked) < 300
    assert (set(held(ada)), held(alan)) == ({closed, free, termed}, {})


def test_students_of_a_closed_course_stay_and_may_leave(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, close: Any
) -> None:
    ada, closed, other = student(), course(), course()
    enroll(ada, closed)
    close(closed)

    assert enroll(ada, closed, other).get_json()["results"][0]["outcome"] == "already_enrolled"
    kept = client.put(f"/students/{ada}/enroll", json={"course_ids": [closed]})
    assert (kept.get_json()["kept"], kept.get_json()["unenrolled"]) == ([closed], [other])
    client.delete(f"/students/{ada}/unenroll", json={"course_id": closed})

    assert held(ada) == {}
    refused = client.put(f"/students/{ada}/enroll", json={"course_ids": [closed]})
    assert reasons(refused) == {closed: ["course_closed"]}


def test_no_student_is_promoted_in_a_closed_course_until_it_opens_again(
    app: Flask, client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, close: Any
) -> None:
    ada, alan, contested = student(), student(), course(capacity=1, waitlist_capacity=1)
    enroll(ada, contested)
    enroll(alan, contested, waitlist=True)
    close(contested)

    client.delete(f"/students/{ada}/unenroll", json={"course_id": contested})
    with app.app_context():
        assert (enrollment.due_courses(), enrollment.promote_all(RequestContext())) == ([], (0, 0))
        assert not enrollment.promote_batch(contested, RequestContext())
        assert [each.name for each in verify.verify() if each.evidence] == []
    response = client.patch(f"/courses/{contested}", json={"capacity": 2})  # seats for nobody
    assert response.get_json()["promotion"] == {"promoted": 0, "pending": False}
    assert (held(alan), reasons(enroll(student(), contested))) == (
        {contested: "waitlisted"},
        {contested: ["course_closed", "course_full"]},
    )

    close(contested, at=None)
    with app.app_context():
        enrollment.promote_all(RequestContext())
    assert held(alan) == {contested: "enrolled"}


def test_a_term_without_windows_takes_no_newcomers_and_promotes_who_waits(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, sql: Sql
) -> None:
    ada, alan, contested = student(), student(), course(capacity=1, waitlist_capacity=None)
    enroll(ada, contested)
    enroll(alan, contested, waitlist=True)
    sql("INSERT INTO terms (code, title, starts_on, ends_on) VALUES ('F26', 'Fall', '2026-09-01', '2999-12-18')")
    sql("UPDATE courses SET term_id = 1")

    client.delete(f"/students/{ada}/unenroll", json={"course_id": contested})
    enroll(ada, contested)
    enroll(ada, contested, waitlist=True)

    assert (held(ada), held(alan)) == ({}, {contested: "enrolled"})


def test_a_mark_of_being_passed_over_ends_with_the_wait(
    app: Flask, client: FlaskClient, student: Make, course: Make, enroll: Enroll, sql: Sql
) -> None:
    full = course(capacity=0, waitlist_capacity=None)
    leaving, replaced, promoted = (student() for _ in range(3))
    for each in (leaving, replaced, promoted):
        enroll(each, full, waitlist=True)
    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP, passed_over_for = 'hold', reason = 'x'")

    client.delete(f"/students/{leaving}/unenroll", json={"course_id": full})
    client.put(f"/students/{replaced}/enroll", json={"course_ids": []})
    client.patch(f"/courses/{full}", json={"capacity": 1})
    with app.app_context():
        assert [each.name for each in verify.verify() if each.evidence] == []

    marks = "SELECT status, passed_over_at, passed_over_for, reason FROM student_courses ORDER BY student_id"
    assert sql(marks) == [(status, None, None, None) for status in ("unenrolled", "unenrolled", "enrolled")]
    # A mark that somebody left on a row that does not wait goes, too, when the student enrolls again.
    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP, passed_over_for = 'hold', reason = 'x'")
    client.patch(f"/courses/{full}", json={"capacity": 2})
    enroll(leaving, full)
    assert sql(marks)[0] == ("enrolled", None, None, None)
