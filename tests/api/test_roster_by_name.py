"""Rosters and waitlists sorted by name: in the order of code points, complete, at present and in the past."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Make

NAMES = ["Zoe", "ada", "Ada", "Özgür", "Ada", "Émile", "Bob"]
SORTED = sorted(NAMES)


@pytest.fixture(params=["enrolled", "waitlisted"])
def roster(request: pytest.FixtureRequest, student: Make, course: Make, enroll: Enroll) -> tuple[str, list[int]]:
    """Return the address of a roster or a waitlist of seven students, and their ids."""
    wanted = course(capacity=None if request.param == "enrolled" else 0, waitlist_capacity=None)
    ids = [student(name=name) for name in NAMES]
    for number in ids:
        assert enroll(number, wanted, waitlist=True).status_code == 201
    return f"/courses/{wanted}/students?status={request.param}&sort=name", ids


def pages(client: FlaskClient, path: str) -> list[dict[str, Any]]:
    """Return every row, by pages of two."""
    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        page = client.get(f"{path}&limit=2{after}").get_json()
        rows += page["items"]
        if page["next"] is None:
            return rows
        after = f"&after={page['next']}"


@pytest.mark.parametrize("past", [False, True], ids=["now", "as_of"])
def test_students_come_by_name_and_of_one_name_by_id(
    client: FlaskClient, roster: tuple[str, list[int]], past: bool
) -> None:
    path, ids = roster
    if past:
        path += f"&as_of={datetime.now(UTC).isoformat().replace('+00:00', 'Z')}"

    rows = pages(client, path)

    assert [row["name"] for row in rows] == SORTED
    adas = [row["student_id"] for row in rows if row["name"] == "Ada"]
    assert adas == sorted(adas)
    assert {row["student_id"] for row in rows} == set(ids)


def test_a_waitlist_by_name_has_the_positions_of_the_waitlist(
    client: FlaskClient, roster: tuple[str, list[int]]
) -> None:
    path, ids = roster
    if "enrolled" in path:
        pytest.skip("a roster has no positions")

    positions = {row["student_id"]: row["position"] for row in pages(client, path)}

    assert positions == {number: place for place, number in enumerate(ids, 1)}


def test_a_student_created_or_deleted_meanwhile_hides_no_other_student(
    client: FlaskClient, roster: tuple[str, list[int]], student: Make, enroll: Enroll
) -> None:
    path, ids = roster
    first = client.get(f"{path}&limit=2").get_json()
    course_id = int(path.split("/")[2])
    gone = ids[NAMES.index("Zoe")]
    client.delete(f"/students/{gone}/unenroll?course_id={course_id}")
    enroll(student(name="Aaron"), course_id, waitlist=True)
    enroll(student(name="Yan"), course_id, waitlist=True)

    rest = client.get(f"{path}&after={first['next']}").get_json()

    shown = [row["name"] for row in first["items"] + rest["items"]]
    assert [name for name in shown if name != "Yan"] == [name for name in SORTED if name != "Zoe"]
    assert "Yan" in shown


@pytest.mark.parametrize("change", ["renamed", "deleted"])
def test_a_cursor_whose_student_has_another_name_now_is_refused(
    client: FlaskClient, roster: tuple[str, list[int]], change: str
) -> None:
    path, _ = roster
    first = client.get(f"{path}&limit=2").get_json()
    last = first["items"][-1]["student_id"]
    if change == "renamed":
        client.patch(f"/students/{last}", json={"name": "Zzz"})
    else:
        client.delete(f"/students/{last}/unenroll?course_id={path.split('/')[2]}")
        assert client.delete(f"/students/{last}").status_code == 204

    response = client.get(f"{path}&after={first['next']}")

    assert (response.status_code, response.get_json()["errors"][0]["pointer"]) == (422, "/after")


def test_the_cursor_contains_no_name(client: FlaskClient, roster: tuple[str, list[int]]) -> None:
    path, _ = roster
    response = client.get(f"{path}&limit=3")

    assert len(response.get_json()["next"]) == 20
    assert "Ada" not in response.headers["Link"]


def test_deleted_students_of_the_past_come_first(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    wanted, ada, bob = course(), student(name="Ada"), student(name="Bob")
    enroll(ada, wanted)
    enroll(bob, wanted)
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    client.delete(f"/students/{bob}/unenroll?course_id={wanted}")
    client.delete(f"/students/{bob}")

    rows = pages(client, f"/courses/{wanted}/students?sort=name&as_of={moment}")

    assert [(row["student_id"], row["name"]) for row in rows] == [(bob, None), (ada, "Ada")]


def test_another_order_is_invalid(client: FlaskClient, course: Make) -> None:
    response = client.get(f"/courses/{course()}/students?sort=email")

    assert (response.status_code, response.get_json()["errors"][0]["pointer"]) == (422, "/sort")
