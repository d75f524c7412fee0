"""DELETE /students/{id}/unenroll: safe to repeat, all or nothing; free seats go to waiting students."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from course_management.services.enrollment import promotion

from ..support.fixture_types import Counters, Enroll, Held, Make


@pytest.fixture
def unenroll(client: FlaskClient) -> Callable[..., Any]:
    def call(student_id: int, *course_ids: int) -> Any:
        return client.delete(f"/students/{student_id}/unenroll", json={"course_ids": course_ids})

    return call


def outcomes(response: Any) -> list[tuple[int, str]]:
    return [(each["course_id"], each["outcome"]) for each in response.get_json()["results"]]


def test_unenrolling_again_changes_nothing(
    student: Make, course: Make, enroll: Enroll, unenroll: Any, client: FlaskClient
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)
    unenroll(ada, programming)

    response = unenroll(ada, programming)

    assert (response.status_code, outcomes(response)) == (200, [(programming, "not_enrolled")])
    assert len(client.get(f"/students/{ada}/history").get_json()["items"]) == 2


def test_the_courses_may_be_in_the_query(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held
) -> None:
    ada, first, second = student(), course(), course()
    enroll(ada, first, second)

    response = client.delete(f"/students/{ada}/unenroll?course_id={second}&course_id={first}")

    assert outcomes(response) == [(second, "unenrolled"), (first, "unenrolled")]
    assert held(ada) == {}


def test_a_body_and_a_query_together_are_refused(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)

    response = client.delete(f"/students/{ada}/unenroll?course_id={programming}", json={"course_id": programming})

    assert response.status_code == 422
    assert held(ada) == {programming: "enrolled"}


def test_a_request_without_courses_is_refused(client: FlaskClient, student: Make) -> None:
    response = client.delete(f"/students/{student()}/unenroll")

    assert response.status_code == 422
    assert response.get_json()["errors"] == [
        {"pointer": "", "detail": "Give the courses either in the body or in the query."}
    ]


def test_unenrolling_from_a_waitlist_moves_the_others_up(
    student: Make, course: Make, enroll: Enroll, unenroll: Any, client: FlaskClient
) -> None:
    full, first, second = course(capacity=0, waitlist_capacity=5), student(), student()
    for each in (first, second):
        enroll(each, full, waitlist=True)

    unenroll(first, full)

    (entry,) = client.get(f"/courses/{full}/students?status=waitlisted").get_json()["items"]
    assert (entry["student_id"], entry["position"]) == (second, 1)


def test_a_promotion_that_fails_after_unenrolling_does_not_change_the_response(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    counters: Counters,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada, grace, full = student(), student(), course(capacity=1, waitlist_capacity=1)
    enroll(ada, full)
    enroll(grace, full, waitlist=True)

    def gone(*_: Any) -> Any:
        raise OperationalError(None, None, ConnectionError())

    with monkeypatch.context() as outage:
        outage.setattr(promotion, "autocommit", gone)
        response = client.delete(f"/students/{ada}/unenroll?course_id={full}")
    assert response.status_code == 200
    assert counters(full) == (0, 1)

    # The repetition unenrolls no student, and promotes the one who still waits.
    assert client.delete(f"/students/{ada}/unenroll?course_id={full}").status_code == 200
    assert counters(full) == (1, 0)
