"""What the response to a change of a course says about waiting students."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from course_management.services import courses as service
from course_management.services.enrollment import promotion

from ..support.fixture_types import Enroll, Make


def fail(*_: Any, **__: Any) -> None:
    raise OperationalError("", None, Exception())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"capacity": 2}, {"promoted": 2, "pending": False}),
        ({"capacity": None}, {"promoted": 3, "pending": False}),
        ({"capacity": 0}, {"promoted": 0, "pending": False}),
        ({"title": "Compilers"}, {"promoted": 0, "pending": False}),
    ],
)
def test_a_change_reports_how_many_students_it_promoted(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    for _ in range(3):
        enroll(student(), wanted, waitlist=True)

    response = client.patch(f"/courses/{wanted}", json=change)

    assert response.get_json()["promotion"] == expected
    assert response.headers["ETag"] == client.get(f"/courses/{wanted}").headers["ETag"]


def test_without_waiting_students_a_change_reports_no_promotion(client: FlaskClient, course: Make) -> None:
    wanted = course(capacity=0)

    assert "promotion" not in client.patch(f"/courses/{wanted}", json={"capacity": 2}).get_json()
    assert "promotion" not in client.get(f"/courses/{wanted}").get_json()


@pytest.mark.parametrize(("capacity", "pending"), [(None, True), (2, True), (1, False), (0, False)])
def test_a_change_whose_time_limit_is_reached_reports_pending_promotions(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    monkeypatch: pytest.MonkeyPatch,
    capacity: int | None,
    pending: bool,
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    for _ in range(3):
        enroll(student(), wanted, waitlist=True)
    monkeypatch.setattr(promotion, "BATCH", 1)
    monkeypatch.setattr(promotion, "TIME_LIMIT_S", 0)  # time for one transaction

    response = client.patch(f"/courses/{wanted}", json={"capacity": capacity}).get_json()

    promoted = 0 if capacity == 0 else 1
    assert response["promotion"] == {"promoted": promoted, "pending": pending}
    assert (response["seats_taken"], response["waiting"]) == (promoted, 3 - promoted)


def test_a_promotion_that_fails_is_pending_and_the_change_is_made(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    enroll(student(), wanted, waitlist=True)
    monkeypatch.setattr(promotion, "_promote_batch", fail)

    response = client.patch(f"/courses/{wanted}", json={"capacity": 5})

    assert (response.status_code, response.get_json()["capacity"]) == (200, 5)
    assert response.get_json()["promotion"] == {"promoted": 0, "pending": True}


def test_a_committed_change_gets_no_error_response(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away after the promotion, before the counters are read once more."""
    wanted = course(capacity=0, waitlist_capacity=None)
    enroll(student(), wanted, waitlist=True)
    monkeypatch.setattr(service, "reading", fail)

    response = client.patch(f"/courses/{wanted}", json={"capacity": 5})

    assert (response.status_code, response.get_json()["capacity"]) == (200, 5)
    assert response.get_json()["promotion"] == {"promoted": 1, "pending": False}
