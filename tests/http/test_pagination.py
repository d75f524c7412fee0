"""Lists: pages by key, whole and in order whatever happens meanwhile, each of them one statement."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg.pq import TransactionStatus

from ..support.fixture_types import Enroll, Make, Sql
from ..support.spies import watched


@dataclass
class Listing:
    """One list of the service. `add` makes one more row and returns what tells it from the others, its `key`."""

    path: str
    key: str
    add: Callable[[], int]
    newest_first: bool = False

    def in_order(self, keys: list[int]) -> list[int]:
        return keys[::-1] if self.newest_first else keys


LISTS = ["students", "courses", "roster", "waitlist", "history of a student", "history of a course"]


@pytest.fixture
def listing(request: pytest.FixtureRequest, student: Make, course: Make, enroll: Enroll) -> Listing:
    name = request.param
    if name in ("students", "courses"):
        return Listing(f"/{name}", "id", student if name == "students" else course)
    if name == "history of a student":
        ada = student()

        def add_course() -> int:
            added = course()
            assert enroll(ada, added).status_code == 201
            return added

        return Listing(f"/students/{ada}/history", "course_id", add_course, newest_first=True)

    wanted = course(capacity=0 if name == "waitlist" else None, waitlist_capacity=None)

    def add_student() -> int:
        added = student()
        assert enroll(added, wanted, waitlist=True).status_code == 201
        return added

    if name == "history of a course":
        return Listing(f"/courses/{wanted}/history", "student_id", add_student, newest_first=True)
    status = "waitlisted" if name == "waitlist" else "enrolled"
    return Listing(f"/courses/{wanted}/students?status={status}", "student_id", add_student)


every_list = pytest.mark.parametrize("listing", LISTS, indirect=True)


def with_query(path: str, **query: Any) -> str:
    return path + ("&" if "?" in path else "?") + "&".join(f"{name}={value}" for name, value in query.items())


def pages(client: FlaskClient, path: str) -> Iterator[dict[str, Any]]:
    """Follow the Link header from page to page, and hold it against `next`."""
    while path:
        response = client.get(path)
        assert response.status_code == 200
        page = response.get_json()
        yield page
        link = response.headers.get("Link")
        if page["next"] is None:
            assert link is None
            return
        match = re.fullmatch(r'<(/[^>]+)>; rel="next"', link or "")
        assert match
        path = match[1]
        assert f"after={page['next']}" in path


# --- filters ----------------------------------------------------------------------------------------------


def test_the_cursor_of_a_list_does_not_go_on_in_a_filtered_one(
    client: FlaskClient, student: Make, course: Make
) -> None:
    for make in (student, course):
        make(), make()
    for path, value in (("/students", "email=ada1@example.edu"), ("/courses", "code=CS001")):
        cursor = client.get(f"{path}?limit=1").get_json()["next"]
        response = client.get(f"{path}?{value}&after={cursor}")
        assert (response.status_code, response.get_json()["errors"][0]["pointer"]) == (422, "/after")


# --- pages ------------------------------------------------------------------------------------------------


@every_list
def test_the_pages_hold_every_row_once_and_in_order(client: FlaskClient, listing: Listing) -> None:
    keys = [listing.add() for _ in range(5)]

    found = [[row[listing.key] for row in page["items"]] for page in pages(client, with_query(listing.path, limit=2))]

    assert [len(page) for page in found] == [2, 2, 1]
    assert [key for page in found for key in page] == listing.in_order(keys)


@every_list
def test_a_page_that_is_just_full_is_the_last(client: FlaskClient, listing: Listing) -> None:
    for _ in range(4):
        listing.add()

    assert [len(page["items"]) for page in pages(client, with_query(listing.path, limit=2))] == [2, 2]
    assert len(list(pages(client, listing.path))) == 1


@every_list
def test_an_empty_list_is_a_page_without_items(client: FlaskClient, listing: Listing) -> None:
    response = client.get(listing.path)

    assert response.get_json() == {"items": [], "next": None}
    assert "Link" not in response.headers


@every_list
def test_a_row_that_comes_meanwhile_repeats_none_and_hides_none(client: FlaskClient, listing: Listing) -> None:
    keys = [listing.add() for _ in range(4)]
    following = pages(client, with_query(listing.path, limit=2))

    first = next(following)
    late = listing.add()
    rest = list(following)

    found = [row[listing.key] for page in (first, *rest) for row in page["items"]]
    # What comes after the place reached is seen; into a history, which goes back in time, nothing comes there.
    assert found == (listing.in_order(keys) if listing.newest_first else [*keys, late])


@pytest.mark.parametrize("listing", ["roster", "waitlist"], indirect=True)
def test_students_who_unenroll_meanwhile_hide_no_other_student(client: FlaskClient, listing: Listing) -> None:
    keys = [listing.add() for _ in range(5)]
    (course_id,) = re.findall(r"\d+", listing.path)
    following = pages(client, with_query(listing.path, limit=2))

    next(following)
    for key in keys[:2]:
        client.delete(f"/students/{key}/unenroll?course_id={course_id}")
    rest = [row for page in following for row in page["items"]]

    assert [row["student_id"] for row in rest] == keys[2:]
    if "waitlisted" in listing.path:
        assert [row["position"] for row in rest] == [1, 2, 3]


@pytest.mark.parametrize("listing", ["waitlist"], indirect=True)
def test_positions_go_on_from_page_to_page(client: FlaskClient, listing: Listing) -> None:
    listing.add(), listing.add()

    found = [row["position"] for page in pages(client, with_query(listing.path, limit=1)) for row in page["items"]]

    assert found == [1, 2]


# --- limit and after --------------------------------------------------------------------------------------


@every_list
def test_a_limit_out_of_bounds_is_refused(client: FlaskClient, listing: Listing) -> None:
    for limit in ("0", "201", "-1", "1.0", "ten", ""):
        response = client.get(with_query(listing.path, limit=limit))

        assert response.status_code == 422, limit
        assert [each["pointer"] for each in response.get_json()["errors"]] == ["/limit"]
    for limit in ("1", "200"):
        assert client.get(with_query(listing.path, limit=limit)).status_code == 200


def test_fifty_are_listed_when_nothing_is_said(client: FlaskClient, sql: Sql) -> None:
    for number in range(51):
        sql(
            "INSERT INTO students (name, email, created_at) VALUES ('Ada', :email, CURRENT_TIMESTAMP)",
            email=f"{number}@example.edu",
        )

    assert [len(page["items"]) for page in pages(client, "/students")] == [50, 1]
    assert [len(page["items"]) for page in pages(client, "/students?limit=200")] == [51]


@every_list
def test_a_cursor_is_good_for_its_own_list_only(
    client: FlaskClient, listing: Listing, student: Make, course: Make
) -> None:
    for _ in range(3):
        listing.add()
    cursor = client.get(with_query(listing.path, limit=1)).get_json()["next"]
    ada, other = student(), course()
    turned = {"enrolled": "waitlisted", "waitlisted": "enrolled"}
    others = {
        "/students",
        "/courses",
        f"/students/{ada}/history",
        f"/courses/{other}/history",
        f"/courses/{other}/students",
        f"/courses/{other}/students?status=waitlisted",
        re.sub("enrolled|waitlisted", lambda status: turned[status[0]], listing.path),
    } - {listing.path}

    for path in others:
        response = client.get(with_query(path, after=cursor))
        assert response.status_code == 422, path
        assert [each["pointer"] for each in response.get_json()["errors"]] == ["/after"]
    assert client.get(with_query(listing.path, after=cursor, limit=2)).status_code == 200


def test_a_cursor_that_was_tampered_with_is_refused(client: FlaskClient, student: Make) -> None:
    student(), student()
    cursor = client.get("/students?limit=1").get_json()["next"]
    changed = ("B" if cursor[0] == "A" else "A") + cursor[1:]

    for bad in (changed, cursor[:-1], cursor + "A", "1", "", "%C3%A9", "A" * 201):
        response = client.get(f"/students?after={bad}")

        assert response.status_code == 422, bad
        assert [each["pointer"] for each in response.get_json()["errors"]] == ["/after"]


# --- what a read costs ------------------------------------------------------------------------------------


@pytest.fixture
def left_open() -> Iterator[list[bool]]:
    """Record for each following statement whether its transaction went on after it."""
    found: list[bool] = []

    def note(cursor: Any, *_: Any) -> None:
        driver = cursor.connection
        if isinstance(driver, sqlite3.Connection):
            found.append(driver.in_transaction)
        else:
            found.append(driver.info.transaction_status != TransactionStatus.IDLE)

    with watched(after=note):
        yield found


@every_list
def test_a_list_of_any_length_is_one_statement(
    client: FlaskClient, listing: Listing, statements: list[str], left_open: list[bool]
) -> None:
    client.get(listing.path)  # the first request of all asks whether there are keys
    for wanted in range(3):
        statements.clear()
        left_open.clear()

        response = client.get(with_query(listing.path, limit=1))

        assert len(response.get_json()["items"]) == min(wanted, 1)
        assert len(statements) == 1, statements
        assert "BEGIN" not in statements[0]
        assert left_open == [False]
        listing.add()


@pytest.mark.parametrize("path", ["/students/{0}", "/students/{0}/courses?status=any", "/courses/{1}"])
def test_a_read_is_one_statement_outside_a_transaction(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    statements: list[str],
    left_open: list[bool],
    path: str,
) -> None:
    ada, *ids = student(), *(course() for _ in range(3))
    for held in range(4):
        statements.clear()
        left_open.clear()

        assert client.get(path.format(ada, ids[0])).status_code == 200

        assert len(statements) == 1, statements
        assert left_open == [False]
        enroll(ada, *ids[: held + 1])


def test_a_change_is_seen_to_be_in_a_transaction(client: FlaskClient, student: Make, left_open: list[bool]) -> None:
    """The control of the two tests above: they can see a transaction where there is one."""
    path = f"/students/{student()}"
    left_open.clear()

    client.patch(path, json={"name": "Ada King"})

    assert True in left_open


# --- order ------------------------------------------------------------------------------------------------


def test_a_students_courses_are_in_the_order_of_code_points(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada = student()
    codes = ["a", "B", "Z", "\u00e9", "10", "9", "b", "_", "A-1", "AB", "\U0001f600", "\uff21"]
    enroll(ada, *(course(code=code) for code in codes))

    courses = client.get(f"/students/{ada}/courses").get_json()["courses"]

    assert [each["code"] for each in courses] == sorted(codes)


def test_a_waitlist_filled_by_hand_may_begin_with_number_0(
    client: FlaskClient, student: Make, course: Make, sql: Sql
) -> None:
    wanted, people = course(capacity=0, waitlist_capacity=None), [student() for _ in range(2)]
    for number, each in enumerate(people):
        sql(
            "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
            " VALUES (:student, :course, 'waitlisted', :number)",
            student=each,
            course=wanted,
            number=number,
        )
    path = f"/courses/{wanted}/students?status=waitlisted&limit=1"

    first = client.get(path).get_json()
    second = client.get(f"{path}&after={first['next']}").get_json()

    assert [each["student_id"] for each in first["items"] + second["items"]] == people
