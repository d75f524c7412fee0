"""PUT /students/{id}/enroll: afterwards the student has exactly these courses, or nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Held, Make, Sql


@pytest.fixture
def replace(client: FlaskClient) -> Callable[..., Any]:
    def call(student_id: int, *course_ids: int, query: str = "", **body: Any) -> Any:
        return client.put(f"/students/{student_id}/enroll{query}", json={"course_ids": course_ids, **body})

    return call


def test_a_replacement_by_the_same_courses_changes_nothing(
    client: FlaskClient, student: Make, course: Make, replace: Any
) -> None:
    ada, first, second = student(), course(), course()
    replace(ada, first, second)

    response = replace(ada, second, first)

    assert response.get_json()["kept"] == [second, first]
    assert len(client.get(f"/students/{ada}/history").get_json()["items"]) == 2


def test_an_empty_replacement_unenrolls_the_student_from_all_courses(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held
) -> None:
    ada, first, second = student(), course(), course()
    enroll(ada, second, first)

    response = replace(ada)

    assert response.get_json()["unenrolled"] == sorted([first, second])
    assert held(ada) == {}


def test_a_replacement_with_an_unknown_course_changes_nothing(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held
) -> None:
    ada, old = student(), course()
    enroll(ada, old)

    response = replace(ada, 999)

    assert (response.status_code, response.get_json()["code"]) == (404, "course_not_found")
    assert held(ada) == {old: "enrolled"}


def test_a_full_course_of_the_student_is_kept(student: Make, course: Make, enroll: Enroll, replace: Any) -> None:
    ada, full, new = student(), course(capacity=1), course()
    enroll(ada, full)

    assert replace(ada, full, new).get_json()["kept"] == [full]


def test_a_place_on_the_waitlist_is_kept_too(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held
) -> None:
    ada, waitlisted, new = student(), course(capacity=0, waitlist_capacity=1), course()
    enroll(ada, waitlisted, waitlist=True)

    response = replace(ada, waitlisted, new)

    assert (response.get_json()["kept"], response.get_json()["enrolled"]) == ([waitlisted], [new])
    assert held(ada) == {waitlisted: "waitlisted", new: "enrolled"}


def test_with_waitlist_a_replacement_joins_the_waitlist_of_a_full_course(
    student: Make, course: Make, replace: Any, held: Held
) -> None:
    ada, full, free = student(), course(capacity=0, waitlist_capacity=1), course()

    response = replace(ada, full, free, waitlist=True)

    assert (response.get_json()["waitlisted"], response.get_json()["enrolled"]) == ([full], [free])
    assert held(ada) == {full: "waitlisted", free: "enrolled"}


def test_a_course_of_a_term_is_replaced_by_one_without_and_back(
    student: Make, course: Make, open_term: Make, enroll: Enroll, replace: Any, held: Held
) -> None:
    ada, plain, termed = student(), course(), course(term_id=open_term())
    enroll(ada, termed)

    for old, new in ((termed, plain), (plain, termed)):
        response = replace(ada, new)
        assert (response.status_code, held(ada)) == (200, {new: "enrolled"}), response.text
        assert response.get_json()["unenrolled"] == [old]


def test_seats_that_become_free_go_to_waiting_students(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held
) -> None:
    ada, waiting, full = student(), student(), course(capacity=1, waitlist_capacity=1)
    enroll(ada, full)
    enroll(waiting, full, waitlist=True)

    replace(ada)

    assert held(waiting) == {full: "enrolled"}


def test_a_reserved_seat_is_given_to_the_waitlist_before_a_refusal(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held, sql: Sql
) -> None:
    ada, waiting, full = student(), student(), course(capacity=0, waitlist_capacity=1)
    enroll(waiting, full, waitlist=True)
    sql("UPDATE courses SET capacity = 2")

    response = replace(ada, full)

    assert response.get_json()["enrolled"] == [full]
    assert held(waiting) == {full: "enrolled"}


@pytest.fixture
def many(course: Make) -> list[int]:
    return [course(capacity=1 if number % 2 else 0, waitlist_capacity=1) for number in range(121)]


@pytest.fixture
def collector(many: list[int], student: Make, enroll: Enroll) -> int:
    """Return a student who is enrolled in or waitlisted for 121 courses."""
    ada = student()
    for part in (many[:100], many[100:]):
        assert enroll(ada, *part, waitlist=True).status_code == 201
    return ada


def test_a_set_larger_than_100_can_be_sent_back(
    client: FlaskClient, many: list[int], collector: int, replace: Any, held: Held
) -> None:
    read = [each["id"] for each in client.get(f"/students/{collector}/courses?status=any").get_json()["courses"]]
    before = held(collector)

    response = replace(collector, *read)

    assert (response.status_code, response.get_json()["kept"]) == (200, read)
    assert sorted(read) == sorted(many)
    assert held(collector) == before


def test_a_set_as_large_as_the_present_one_may_differ_from_it_and_a_larger_one_is_invalid(
    many: list[int], collector: int, course: Make, replace: Any
) -> None:
    other = course()

    assert replace(collector, *many, other).get_json()["errors"][0]["pointer"] == "/course_ids"
    assert replace(collector, *many, other, query="?dry_run=true").status_code == 422
    response = replace(collector, *many[1:], other)

    assert (response.status_code, response.get_json()["enrolled"], response.get_json()["unenrolled"]) == (
        200,
        [other],
        many[:1],
    )


def test_the_limit_is_the_number_of_courses_that_the_student_has_now(
    client: FlaskClient, many: list[int], collector: int, student: Make, replace: Any
) -> None:
    assert replace(student(), *many).status_code == 422
    assert replace(student(), *many[:100], waitlist=True).status_code == 409  # a rule refuses it, not its size
    client.delete(f"/students/{collector}/unenroll", json={"course_ids": many[:21]})
    assert replace(collector, *many).status_code == 422
    assert replace(collector, *many[21:]).status_code == 200
    assert replace(999_999, *many).status_code == 422


def test_a_dry_run_is_refused_as_the_real_one_would_be(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held, sql: Sql
) -> None:
    ada, waiting, full = student(), student(), course(capacity=0, waitlist_capacity=1)
    enroll(waiting, full, waitlist=True)
    sql("UPDATE courses SET capacity = 1")

    response = replace(ada, full, query="?dry_run=true")

    assert response.status_code == 409
    assert held(waiting) == {full: "waitlisted"}
