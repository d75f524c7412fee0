"""`as_of`: the roster and the queue as they were, from the ledger."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

Make = Callable[..., int]
STATUSES = ("enrolled", "waitlisted")


def now() -> str:
    """This moment, as a client writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def roster(client: FlaskClient) -> Callable[..., list[dict[str, Any]]]:
    """Everybody on a course's roster or in its queue, page by page; of the past with `as_of`."""

    def read(course_id: int, status: str = "enrolled", limit: int = 50, **query: str) -> list[dict[str, Any]]:
        path: str | None = f"/courses/{course_id}/students"
        found: list[dict[str, Any]] = []
        given: dict[str, Any] = {"status": status, "limit": limit, **query}
        while path:
            answer = client.get(path, query_string=given)
            assert answer.status_code == 200, answer.text
            found += answer.get_json()["items"]
            path, given["after"] = path if answer.get_json()["next"] else None, answer.get_json()["next"]
        return found

    return read


@pytest.mark.parametrize("limit", [1, 50])
def test_what_the_roster_said_then_is_what_it_says_of_then(
    client: FlaskClient, student: Make, course: Make, enroll: Any, roster: Any, limit: int
) -> None:
    chance = random.Random(20261122)  # noqa: S311 - a repeatable choice of operations
    people, wanted = [student() for _ in range(8)], course(capacity=2, waitlist_capacity=None)
    said: list[tuple[str, str, list[dict[str, Any]]]] = []
    for _ in range(25):
        each = chance.choice(people)
        if chance.random() < 0.6:
            enroll(each, wanted, waitlist=True)
        else:
            client.delete(f"/students/{each}/unenroll?course_id={wanted}")
        said += [(now(), status, roster(wanted, status)) for status in STATUSES]

    assert max(len(then) for _, _, then in said) > 2
    for moment, status, then in said:
        assert roster(wanted, status, limit, as_of=moment) == then


def test_before_anything_happened_nobody_was_there(student: Make, course: Make, enroll: Any, roster: Any) -> None:
    before, wanted = now(), course()
    enroll(student(), wanted)

    assert roster(wanted, as_of=before) == []
    assert roster(wanted, as_of="9999-12-31T23:59:59Z") == roster(wanted)


@pytest.fixture
def gone(client: FlaskClient, student: Make, course: Make, enroll: Any) -> tuple[int, int, str]:
    """A student who has left a course, the course, and a time before that."""
    ada, wanted = student(), course()
    enroll(ada, wanted)
    then = now()
    client.delete(f"/students/{ada}/unenroll?course_id={wanted}")
    return ada, wanted, then


def test_who_was_deleted_since_was_there_without_a_name(
    client: FlaskClient, gone: tuple[int, int, str], roster: Any
) -> None:
    ada, wanted, then = gone
    client.delete(f"/students/{ada}")

    (entry,) = roster(wanted, as_of=then)

    assert (entry["student_id"], entry["name"], entry["status"]) == (ada, None, "enrolled")


def test_the_past_of_a_deleted_course_stays(client: FlaskClient, gone: tuple[int, int, str], roster: Any) -> None:
    ada, wanted, then = gone
    assert client.delete(f"/courses/{wanted}").status_code == 204

    assert [each["student_id"] for each in roster(wanted, as_of=then)] == [ada]
    assert client.get(f"/courses/{wanted}/students").status_code == 404


def test_an_unknown_course_has_no_past(client: FlaskClient, course: Make) -> None:
    answer = client.get(f"/courses/{course() + 1}/students?as_of={now()}")

    assert (answer.status_code, answer.get_json()["code"]) == (404, "course_not_found")


def test_a_clock_that_is_late_does_not_oversell_the_past(student: Make, course: Make, sql: Any, roster: Any) -> None:
    """Ada's server took the time, then waited for the course; meanwhile Ben came and went, by later times."""
    ada, ben, wanted = student(), student(), course(capacity=1)
    leave = "UPDATE student_courses SET status = 'unenrolled', status_since = :at, revision = 2"
    take = (
        "INSERT INTO student_courses (student_id, course_id, status, status_since)"
        " VALUES (:student, :course, 'enrolled', :at)"
    )
    sql(take, student=ben, course=wanted, at="2026-09-01 08:00:02.000000")
    sql(leave, at="2026-09-01 08:00:04.000000")
    sql(take, student=ada, course=wanted, at="2026-09-01 08:00:01.000000")

    for second in range(1, 6):
        assert len(roster(wanted, as_of=f"2026-09-01T08:00:0{second}Z")) <= 1


@pytest.mark.parametrize(
    "moment",
    [
        "2026-09-01T08:00:00Z",
        "2026-09-01t08:00:00.5z",
        "2026-09-01T10:00:00.123456789+02:00",
        "2024-02-29T23:59:59-12:00",
    ],
)
def test_a_time_is_taken_as_rfc_3339_writes_it(client: FlaskClient, course: Make, moment: str) -> None:
    assert client.get(f"/courses/{course()}/students?as_of={quote(moment)}").status_code == 200


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "now",
        "2026-09-01",
        "2026-09-01T08:00:00",
        "2026-09-01 08:00:00Z",
        "2026-09-01T08:00Z",
        "20260901T080000Z",
        "2026-W36-2T08:00:00Z",
        "2026-09-01T08:00:00+0200",
        "2026-09-01T08:00:00 02:00",  # a + that was not written as %2B
        "2026-02-30T08:00:00Z",
        "2026-09-01T24:00:01Z",
        "2026-09-01T23:59:60Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-09-01T08:00:00.Z",
        "2026-09-01T08:00:00,5Z",
        "\u0662026-09-01T08:00:00Z",
        "2026-09-01T08:00:00Z\x00",
        "1788249600",
    ],
)
def test_what_is_no_time_is_refused(client: FlaskClient, course: Make, moment: str) -> None:
    answer = client.get(f"/courses/{course()}/students", query_string={"as_of": moment})

    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.get_json()["errors"]] == ["/as_of"]


def test_a_cursor_is_good_for_its_own_moment_only(
    client: FlaskClient, student: Make, course: Make, enroll: Any
) -> None:
    wanted = course()
    for _ in range(2):
        enroll(student(), wanted)
    path, moment, other = f"/courses/{wanted}/students", now(), now()
    cursor = client.get(f"{path}?limit=1&as_of={moment}").get_json()["next"]

    assert client.get(f"{path}?limit=1&as_of={moment}&after={cursor}").status_code == 200
    for wrong in (f"{path}?after={cursor}", f"{path}?as_of={other}&after={cursor}"):
        answer = client.get(wrong)
        assert [each["pointer"] for each in answer.get_json()["errors"]] == ["/after"]
