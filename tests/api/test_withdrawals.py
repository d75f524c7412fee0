"""Leaving a course after the end of dropping: a withdrawal, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.maintenance import verify
from course_management.services.enrollment import loading

from ..support.fixture_types import Enroll, Held, Make

OPEN = {"opens_at": "2026-01-01T00:00:00Z", "closes_at": "2999-01-01T00:00:00Z"}
PAST, FUTURE = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@pytest.fixture
def enrolled(client: FlaskClient, term: Make, student: Make, course: Make, enroll: Enroll) -> tuple[int, int, int]:
    """Create a term, a course of one seat with a student in it; their ids."""
    fall = term()
    client.put(f"/terms/{fall}/windows", json=[OPEN])
    ada, one = student(), course(term_id=fall, capacity=1, waitlist_capacity=5, credits=3)
    assert enroll(ada, one).status_code == 201
    return fall, one, ada


def leave(client: FlaskClient, student: int, course: int) -> Any:
    return client.delete(f"/students/{student}/unenroll", json={"course_id": course})


def test_after_the_end_of_dropping_a_student_withdraws_and_the_seat_is_free(
    app: Flask, client: FlaskClient, enrolled: Any, student: Make, enroll: Enroll, held: Held
) -> None:
    fall, one, ada = enrolled
    alan = student()
    enroll(alan, one, waitlist=True)
    client.patch(f"/terms/{fall}", json={"drop_until": PAST, "withdraw_until": FUTURE})

    response = leave(client, ada, one)

    assert response.get_json()["results"] == [{"course_id": one, "outcome": "withdrawn"}]
    assert (held(ada), held(alan)) == ({}, {one: "enrolled"})
    assert client.get(f"/students/{ada}/history").get_json()["items"][0]["to"] == "withdrawn"
    assert leave(client, ada, one).get_json()["results"] == [{"course_id": one, "outcome": "not_enrolled"}]
    assert client.delete(f"/students/{ada}").get_json()["code"] == "student_has_enrollments"
    with app.app_context():
        assert [each.name for each in verify.verify() if each.evidence and not each.note] == []


def test_a_withdrawn_student_may_enroll_again(client: FlaskClient, enrolled: Any, enroll: Enroll, held: Held) -> None:
    fall, one, ada = enrolled
    client.patch(f"/terms/{fall}", json={"drop_until": PAST, "withdraw_until": FUTURE})
    leave(client, ada, one)

    assert enroll(ada, one).status_code == 201
    assert held(ada) == {one: "enrolled"}


def test_after_the_end_of_withdrawing_leaving_is_refused_unless_permitted(
    client: FlaskClient, enrolled: Any, held: Held
) -> None:
    fall, one, ada = enrolled
    client.patch(f"/terms/{fall}", json={"drop_until": PAST})

    response = leave(client, ada, one)

    assert (response.status_code, response.get_json()["code"]) == (409, "unenrollment_refused")
    (decision,) = response.get_json()["decisions"]
    assert decision["outcome"] == "refused"
    assert [(each["code"], each["closed_at"], each["withdraw_until"]) for each in decision["reasons"]] == [
        ("drop_closed", PAST, None)
    ]
    client.post(f"/students/{ada}/permissions", json={"course_id": one, "rule": "drop_closed", "reason": "Illness"})
    assert leave(client, ada, one).get_json()["results"] == [{"course_id": one, "outcome": "unenrolled"}]
    assert held(ada) == {}


def test_a_waitlist_is_left_at_any_time(client: FlaskClient, enrolled: Any, student: Make, enroll: Enroll) -> None:
    fall, one, _ = enrolled
    alan = student()
    enroll(alan, one, waitlist=True)
    client.patch(f"/terms/{fall}", json={"drop_until": PAST})

    assert leave(client, alan, one).get_json()["results"] == [{"course_id": one, "outcome": "left_waitlist"}]


def test_put_and_swap_withdraw_too(
    client: FlaskClient, enrolled: Any, course: Make, enroll: Enroll, held: Held
) -> None:
    fall, one, ada = enrolled
    other = course(term_id=fall)
    client.patch(f"/terms/{fall}", json={"drop_until": PAST, "withdraw_until": FUTURE})

    replaced = client.put(f"/students/{ada}/enroll", json={"course_ids": [other]}).get_json()
    swapped = enroll(ada, one, instead_of=[other]).get_json()["results"]

    assert (replaced["enrolled"], replaced["unenrolled"], replaced["withdrawn"]) == ([other], [], [one])
    assert [(each["course_id"], each["outcome"]) for each in swapped] == [(one, "enrolled"), (other, "withdrawn")]
    assert held(ada) == {one: "enrolled"}


class LastEvening(datetime):
    """A clock: in Chicago still the last day of the term, in UTC the day after."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> LastEvening:
        return cls(2999, 12, 19, 3, tzinfo=tz)


@pytest.mark.parametrize(("time_zone", "status"), [("America/Chicago", 200), ("UTC", 409)])
def test_the_last_day_of_a_term_ends_in_the_time_zone_of_the_school(
    client: FlaskClient,
    course: Make,
    student: Make,
    enroll: Enroll,
    make_app: Callable[..., Flask],
    monkeypatch: pytest.MonkeyPatch,
    time_zone: str,
    status: int,
) -> None:
    fall = client.post(
        "/terms", json={"code": "F", "title": "Fall", "starts_on": "2026-01-01", "ends_on": "2999-12-18"}
    ).get_json()["id"]
    client.put(f"/terms/{fall}/windows", json=[OPEN])
    ada, one = student(), course(term_id=fall)
    assert enroll(ada, one).status_code == 201
    school = make_app(time_zone=time_zone).test_client()
    monkeypatch.setattr(loading, "datetime", LastEvening)

    assert leave(school, ada, one).status_code == status
