"""What a change of a course says about those who wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from course_management.services import courses as service
from course_management.services.enrollment import promotion

Make = Callable[..., int]


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
def test_a_change_says_how_many_of_those_who_wait_it_promoted(
    client: FlaskClient, student: Make, course: Make, enroll: Any, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    for _ in range(3):
        enroll(student(), wanted, waitlist=True)

    answer = client.patch(f"/courses/{wanted}", json=change)

    assert answer.get_json()["promotion"] == expected
    assert answer.headers["ETag"] == client.get(f"/courses/{wanted}").headers["ETag"]


def test_where_nobody_waits_a_change_says_nothing_of_promotion(client: FlaskClient, course: Make) -> None:
    wanted = course(capacity=0)

    assert "promotion" not in client.patch(f"/courses/{wanted}", json={"capacity": 2}).get_json()
    assert "promotion" not in client.get(f"/courses/{wanted}").get_json()


@pytest.mark.parametrize(("capacity", "pending"), [(None, True), (2, True), (1, False), (0, False)])
def test_a_change_whose_time_is_over_says_that_more_will_be_promoted(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Any,
    monkeypatch: pytest.MonkeyPatch,
    capacity: int | None,
    pending: bool,
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    for _ in range(3):
        enroll(student(), wanted, waitlist=True)
    monkeypatch.setattr(promotion, "BATCH", 1)
    monkeypatch.setattr(promotion, "TIME_LIMIT_S", 0)  # time for one transaction

    answer = client.patch(f"/courses/{wanted}", json={"capacity": capacity}).get_json()

    promoted = 0 if capacity == 0 else 1
    assert answer["promotion"] == {"promoted": promoted, "pending": pending}
    assert (answer["seats_taken"], answer["waiting"]) == (promoted, 3 - promoted)


def test_a_promotion_that_fails_is_pending_and_the_change_is_made(
    client: FlaskClient, student: Make, course: Make, enroll: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    enroll(student(), wanted, waitlist=True)
    monkeypatch.setattr(promotion, "_promote_batch", fail)

    answer = client.patch(f"/courses/{wanted}", json={"capacity": 5})

    assert (answer.status_code, answer.get_json()["capacity"]) == (200, 5)
    assert answer.get_json()["promotion"] == {"promoted": 0, "pending": True}


def test_a_change_that_is_committed_is_not_answered_with_an_error(
    client: FlaskClient, student: Make, course: Make, enroll: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away after the promotion, before the counters are read once more."""
    wanted = course(capacity=0, waitlist_capacity=None)
    enroll(student(), wanted, waitlist=True)
    monkeypatch.setattr(service, "reading", fail)

    answer = client.patch(f"/courses/{wanted}", json={"capacity": 5})

    assert (answer.status_code, answer.get_json()["capacity"]) == (200, 5)
    assert answer.get_json()["promotion"] == {"promoted": 1, "pending": False}
