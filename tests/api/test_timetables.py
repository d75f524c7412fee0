"""Meetings and links of courses, and their credits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Make
from ..support.responses import pointers, refusal

Sql = Callable[..., list[Any]]
MONDAY = {"weekday": 1, "starts": "09:00", "ends": "09:50", "starts_on": "2026-09-01", "ends_on": "2026-12-18"}


@pytest.fixture
def fall(open_term: Make) -> int:
    """Return a term in which all students can register."""
    return open_term()


@pytest.fixture
def meet(client: FlaskClient) -> Callable[..., Any]:
    """Puts the meetings of a course, as changes of `MONDAY`. Returns the response."""
    return lambda course_id, *changes: client.put(
        f"/courses/{course_id}/meetings", json=[MONDAY | change for change in changes]
    )


# --- meetings ---------------------------------------------------------------------------------------------


def test_meetings_are_weekly_by_the_clock_of_the_school(client: FlaskClient, course: Make, meet: Any) -> None:
    number = course()
    evening = {"weekday": 7, "starts": "18:00", "ends": "24:00", "place": "Hall 4"}

    changed = meet(number, evening, {})

    expected = [MONDAY | {"place": None}, MONDAY | evening]
    assert changed.get_json() == {"meetings": expected, "now_clashing": []}
    read = client.get(f"/courses/{number}/meetings")
    assert read.get_json() == expected
    assert read.headers["ETag"] == changed.headers["ETag"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ends": "09:00"}, "ends"),  # of zero length
        ({"starts": "23:00", "ends": "01:00"}, "ends"),  # across midnight
        ({"starts": "24:00"}, "ends"),
        ({"starts": "9:00"}, "starts"),
        ({"starts": "09:00:00"}, "starts"),
        ({"starts": "09:00Z"}, "starts"),
        ({"starts": "09:60"}, "starts"),
        ({"ends": "24:01"}, "ends"),
        ({"starts": 540}, "starts"),
        ({"starts": None}, "starts"),
        ({"starts": "０9:00"}, "starts"),  # noqa: RUF001 - a digit of another script
        ({"weekday": 0}, "weekday"),
        ({"weekday": 8}, "weekday"),
        ({"weekday": "1"}, "weekday"),
        ({"weekday": True}, "weekday"),
        ({"ends_on": "2026-08-31"}, "ends_on"),
        ({"starts_on": "2026-02-30"}, "starts_on"),
        ({"starts_on": None}, "starts_on"),
        ({"place": "x" * 201}, "place"),
        ({"place": "a\x00"}, "place"),
        ({"starts_minute": 540}, "starts_minute"),
    ],
)
def test_a_meeting_that_is_not_valid_is_named(
    client: FlaskClient, course: Make, meet: Any, change: dict[str, Any], field: str
) -> None:
    number = course()
    meet(number, {})

    assert pointers(meet(number, {"weekday": 2}, change)) == [f"/1/{field}"]
    assert [each["weekday"] for each in client.get(f"/courses/{number}/meetings").get_json()] == [1]


def test_meetings_outside_the_term_are_named(term: Make, course: Make, meet: Any) -> None:
    number = course(term_id=term(starts_on="2026-09-01", ends_on="2026-12-18"))

    response = meet(number, {"starts_on": "2026-08-31"}, {}, {"ends_on": "2026-12-19"})

    assert pointers(response) == ["/0/starts_on", "/2/ends_on"]
    assert meet(number, {}).status_code == 200
    assert meet(course(), {"starts_on": "2026-08-31"}).status_code == 200  # no term, no limit


def test_a_thousand_meetings_are_refused_before_they_are_looked_at(
    client: FlaskClient, course: Make, statements: list[str]
) -> None:
    path = f"/courses/{course()}/meetings"
    statements.clear()

    response = client.put(path, json=[MONDAY | {"place": f"Hall {number}"} for number in range(1000)])

    assert pointers(response) == [""]
    assert "0 to 200" in response.get_json()["errors"][0]["detail"]
    assert statements == []


def test_meetings_of_one_course_may_overlap_and_not_be_the_same(course: Make, meet: Any) -> None:
    number = course()

    assert pointers(meet(number, {}, {})) == ["/1"]
    assert len(meet(number, {}, {"place": "Hall 4"}, {"ends": "10:50"}).get_json()["meetings"]) == 3


def test_meetings_of_an_unknown_course_are_404(client: FlaskClient, meet: Any) -> None:
    assert refusal(meet(9, {})) == (404, "course_not_found")
    assert refusal(client.get("/courses/9/meetings")) == (404, "course_not_found")


@pytest.mark.parametrize(
    ("change", "clashes"),
    [
        ({}, True),
        ({"starts": "09:49", "ends": "10:30"}, True),
        ({"starts": "08:00", "ends": "11:00"}, True),
        ({"starts": "09:50", "ends": "10:30"}, False),  # adjacent
        ({"starts": "08:10", "ends": "09:00"}, False),
        ({"weekday": 2}, False),
        ({"starts_on": "2026-12-14", "ends_on": "2026-12-31"}, True),
        ({"starts_on": "2026-12-19", "ends_on": "2026-12-31"}, False),  # another half of the term
        ({"starts_on": "2026-12-15", "ends_on": "2026-12-31"}, False),  # no such weekday in common
    ],
)
def test_a_change_of_meetings_names_the_students_who_now_have_two_courses_at_once(
    course: Make, student: Make, enroll: Enroll, meet: Any, fall: int, change: dict[str, Any], clashes: bool
) -> None:
    moved, other = course(term_id=fall), course(term_id=fall)
    ada, ben = student(), student()
    meet(other, {})
    meet(moved, {"weekday": 5})
    enroll(ada, moved, other)
    enroll(ben, moved)

    response = meet(moved, {"weekday": 5}, change)

    assert response.get_json()["now_clashing"] == ([ada] if clashes else [])


def test_only_courses_of_a_term_in_which_a_student_is_enrolled_clash(
    client: FlaskClient, course: Make, student: Make, enroll: Enroll, meet: Any, fall: int, sql: Sql
) -> None:
    moved, without_term, full, left = (
        course(term_id=fall),
        course(),
        course(term_id=fall, capacity=0, waitlist_capacity=5),
        course(term_id=fall),
    )
    ada = student()
    for each in (without_term, full, left):
        meet(each, {})
    assert enroll(ada, moved, without_term, full, left, waitlist=True).status_code == 201
    client.delete(f"/students/{ada}/unenroll", json={"course_id": left})

    assert meet(moved, {}).get_json()["now_clashing"] == []

    sql("UPDATE student_courses SET status = 'enrolled' WHERE course_id = :left", left=left)
    assert meet(moved, {}).get_json()["now_clashing"] == [ada]


# --- links ------------------------------------------------------------------------------------------------


def test_a_course_is_linked_to_courses_of_its_term(client: FlaskClient, course: Make, term: Make) -> None:
    fall, spring = term(), term()
    lecture, one, two, other = course(term_id=fall), course(term_id=fall), course(term_id=fall), course(term_id=spring)
    path = f"/courses/{lecture}/links"

    changed = client.put(path, json={"groups": [[two, one], [two]]})

    assert changed.get_json() == client.get(path).get_json() == {"groups": [[one, two], [two]]}
    without_term = course()
    refused = {"groups": [[one, lecture], [other], [without_term]]}
    assert pointers(client.put(path, json=refused)) == ["/groups/0/1", "/groups/1/0", "/groups/2/0"]
    assert client.get(path).get_json() == changed.get_json()


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([[1]], ["/groups/0/0"]),  # itself
        ([[1, 99]], ["/groups/0/0", "/groups/0/1"]),  # also one that does not exist
        ([[2, 99]], ["/groups/0/1"]),
        ([[]], ["/groups/0"]),
        ([[2, 2]], ["/groups/0/1"]),
        ([[2], [2]], ["/groups/1"]),
        ([[0]], ["/groups/0/0"]),
        ([["2"]], ["/groups/0/0"]),
        ([2], ["/groups/0"]),
        ([list(range(2, 203))], ["/groups/0"]),
        ([[number] for number in range(2, 23)], ["/groups"]),
        (None, ["/groups"]),
    ],
)
def test_links_that_are_not_valid_are_named(
    client: FlaskClient, course: Make, fall: int, groups: Any, expected: list[str]
) -> None:
    assert [course(term_id=fall), course(term_id=fall)] == [1, 2]

    assert pointers(client.put("/courses/1/links", json={"groups": groups})) == expected


def test_links_need_a_term(client: FlaskClient, course: Make, fall: int) -> None:
    path, other = f"/courses/{course()}/links", course(term_id=fall)

    assert refusal(client.put(path, json={"groups": [[other]]})) == (409, "course_has_no_term")
    assert client.put(path, json={"groups": []}).status_code == 200


def test_a_course_to_which_another_is_linked_cannot_be_deleted(client: FlaskClient, course: Make, fall: int) -> None:
    lecture, lab = course(term_id=fall), course(term_id=fall)
    client.put(f"/courses/{lecture}/links", json={"groups": [[lab]]})

    assert refusal(client.delete(f"/courses/{lab}")) == (409, "course_is_linked")
    assert client.delete(f"/courses/{lecture}").status_code == 204
    assert client.delete(f"/courses/{lab}").status_code == 204


# --- credits ----------------------------------------------------------------------------------------------


def test_credits_need_a_term(client: FlaskClient, course: Make, fall: int) -> None:
    number = course()
    path = f"/courses/{number}"

    assert refusal(client.post("/courses", json={"code": "X", "title": "X", "credits": 3})) == (
        409,
        "course_has_no_term",
    )
    assert refusal(client.patch(path, json={"credits": 0})) == (409, "course_has_no_term")
    changed = client.patch(path, json={"credits": 3, "credits_max": 4.5, "term_id": fall}).get_json()
    assert (changed["credits"], changed["credits_max"]) == (3, 4.5)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"credits": -1}, "credits"),
        ({"credits": 2.555}, "credits"),
        ({"credits": 1000}, "credits"),
        ({"credits": "3"}, "credits"),
        ({"credits": 3, "credits_max": 2.99}, "credits_max"),
        ({"credits_max": 3}, "credits_max"),
        ({"catalog_id": 0}, "catalog_id"),
        ({"catalog_id": "1"}, "catalog_id"),
        ({"catalog_id": 2**53}, "catalog_id"),
    ],
)
def test_credits_that_are_not_valid_are_named(
    client: FlaskClient, fall: int, values: dict[str, Any], field: str
) -> None:
    body = {"code": "X", "title": "X", "term_id": fall}

    assert pointers(client.post("/courses", json=body | values)) == [f"/{field}"]


@pytest.mark.parametrize("values", [{"credits": 3}, {"permission_required": True}])
def test_a_course_that_needs_its_term_does_not_leave_it_either(
    client: FlaskClient, course: Make, fall: int, values: dict[str, Any]
) -> None:
    path = f"/courses/{course(term_id=fall, **values)}"

    assert refusal(client.patch(path, json={"term_id": None})) == (409, "term_is_fixed")
    assert client.patch(path, json={"term_id": fall}).status_code == 200


def test_a_course_that_moves_into_a_term_brings_its_credits_to_its_students(
    client: FlaskClient, course: Make, student: Make, enroll: Enroll, fall: int, sql: Sql
) -> None:
    ada, number = student(), course()
    enroll(ada, number)

    client.patch(f"/courses/{number}", json={"term_id": fall, "credits": 3})
    client.patch(f"/courses/{number}", json={"credits": 4})  # leaves those who are enrolled

    assert sql("SELECT credits FROM student_courses") == [(300,)]
    history = client.get(f"/students/{ada}/history").get_json()["items"]
    assert [(line["from"], line["to"], line["credits"]) for line in history] == [
        ("enrolled", "enrolled", 3),
        (None, "enrolled", None),
    ]
