"""`reason`: why the staff changed an enrollment, kept in the ledger and shown in the histories."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Held, Make

CALLS = [("POST", "enroll"), ("PUT", "enroll"), ("DELETE", "unenroll")]


@pytest.mark.parametrize("of_term", [False, True])
def test_the_ledger_keeps_the_reason_of_each_call_and_the_histories_show_it(
    client: FlaskClient, student: Make, course: Make, open_term: Make, of_term: bool
) -> None:
    ada = student()
    fall = open_term() if of_term else None
    first, second = course(term_id=fall), course(term_id=fall)

    for method, call, courses, reason in (
        ("POST", "enroll", [first], "Enrolled by phone"),
        ("PUT", "enroll", [second], "Changed by phone"),
        ("DELETE", "unenroll", [second], "Canceled by phone"),
        ("POST", "enroll", [second], None),
    ):
        body = {"course_ids": courses} | ({"reason": reason} if reason else {})
        assert client.open(f"/students/{ada}/{call}", method=method, json=body).status_code < 300

    expected = [
        (second, "enrolled", None),
        (second, "unenrolled", "Canceled by phone"),
        (second, "enrolled", "Changed by phone"),
        (first, "unenrolled", "Changed by phone"),
        (first, "enrolled", "Enrolled by phone"),
    ]
    lines = client.get(f"/students/{ada}/history").get_json()["items"]
    found = [(line["course_id"], line["to"], line["reason"]) for line in lines]
    assert sorted(found, key=str) == sorted(expected, key=str)
    of_course = client.get(f"/courses/{second}/history").get_json()["items"]
    assert [(second, line["to"], line["reason"]) for line in of_course] == expected[:3]


def test_a_promotion_does_not_repeat_the_reason_of_the_wait(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held
) -> None:
    ada, alan, contested = student(), student(), course(capacity=1, waitlist_capacity=1)
    enroll(ada, contested)
    enroll(alan, contested, waitlist=True, reason="By phone")

    client.delete(f"/students/{ada}/unenroll", json={"course_id": contested})

    assert held(alan) == {contested: "enrolled"}
    lines = client.get(f"/students/{alan}/history").get_json()["items"]
    assert [(line["to"], line["reason"]) for line in lines] == [("enrolled", None), ("waitlisted", "By phone")]


def test_a_reason_is_stored_as_other_texts_are(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada = student()

    enroll(ada, course(), reason=f"  Cafe\u0301   {'x' * 495} ")

    (line,) = client.get(f"/students/{ada}/history").get_json()["items"]
    assert line["reason"] == f"Caf\u00e9 {'x' * 495}"


@pytest.mark.parametrize(("method", "call"), CALLS)
@pytest.mark.parametrize(
    "reason", [None, "", " ", 7, True, ["a"], {}, "x" * 501, "a\x00b", "a\nb", "\u202ea", "a\ud800"]
)
def test_a_reason_that_is_not_valid_is_refused(
    client: FlaskClient, student: Make, course: Make, method: str, call: str, reason: Any
) -> None:
    ada = student()

    response = client.open(f"/students/{ada}/{call}", method=method, json={"course_ids": [course()], "reason": reason})

    assert response.status_code == 422, response.text
    assert [each["pointer"] for each in response.get_json()["errors"]] == ["/reason"]
    assert client.get(f"/students/{ada}/history").get_json()["items"] == []


def test_a_query_of_courses_to_leave_has_no_reason(client: FlaskClient, student: Make, course: Make) -> None:
    response = client.delete(f"/students/{student()}/unenroll?course_id={course()}&reason=phone")

    assert [each["pointer"] for each in response.get_json()["errors"]] == ["/reason"]
