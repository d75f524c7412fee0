"""POST /students/{id}/enroll with `instead_of`: courses are left only if all of the others can be enrolled in."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import false, select

from course_management.context import RequestContext
from course_management.models import courses
from course_management.services import enrollment
from course_management.services.enrollment import exchanging

from ..support.fixture_types import Enroll, Held, Make

OPEN = {"opens_at": "2026-01-01T00:00:00Z", "closes_at": "2999-01-01T00:00:00Z"}
MONDAY = {"weekday": 1, "starts": "09:00", "ends": "10:00", "starts_on": "2026-09-07", "ends_on": "2026-12-14"}


@pytest.fixture
def open_term(client: FlaskClient, term: Make) -> int:
    number = term(credit_limit=6)
    assert client.put(f"/terms/{number}/windows", json=[OPEN]).status_code == 200
    return number


@pytest.fixture
def swap(client: FlaskClient) -> Any:
    """Return a function that swaps courses."""

    def call(student: int, wanted: list[int], instead_of: list[int], **body: Any) -> Any:
        return client.post(f"/students/{student}/enroll", json={"course_ids": wanted, "instead_of": instead_of, **body})

    return call


def outcomes(response: Any) -> dict[int, str]:
    return {each["course_id"]: each["outcome"] for each in response.get_json()["results"]}


def refused(response: Any) -> dict[int, list[str]]:
    return {
        each["course_id"]: [reason["code"] for reason in each["reasons"]] for each in response.get_json()["decisions"]
    }


@pytest.mark.parametrize("in_term", [True, False])
def test_a_swap_leaves_a_course_for_another(
    student: Make, course: Make, enroll: Enroll, held: Held, swap: Any, open_term: int, *, in_term: bool
) -> None:
    values = {"term_id": open_term} if in_term else {}
    ada, one, other = student(), course(**values), course(**values)
    enroll(ada, one)

    response = swap(ada, [other], [one])

    assert (response.status_code, outcomes(response)) == (201, {other: "enrolled", one: "unenrolled"})
    assert held(ada) == {other: "enrolled"}
    again = swap(ada, [other], [one])
    assert (again.status_code, outcomes(again)) == (200, {other: "already_enrolled", one: "not_enrolled"})


def test_a_swap_that_is_refused_leaves_nothing(
    student: Make, course: Make, enroll: Enroll, held: Held, swap: Any
) -> None:
    ada, one, full = student(), course(), course(capacity=0)
    enroll(ada, one)

    response = swap(ada, [full], [one])

    assert response.status_code == 409
    assert refused(response) == {full: ["course_full"], one: []}
    assert [each["outcome"] for each in response.get_json()["decisions"]] == ["refused", "eligible"]
    assert held(ada) == {one: "enrolled"}


def test_the_course_that_is_left_counts_neither_its_meetings_nor_its_credits(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, swap: Any, open_term: int
) -> None:
    ada, one, other = student(), *(course(term_id=open_term, credits=4) for _ in range(2))
    for each in (one, other):
        client.put(f"/courses/{each}/meetings", json=[MONDAY])
    enroll(ada, one)

    assert set(refused(enroll(ada, other))[other]) == {"time_conflict", "credit_limit_exceeded"}
    assert swap(ada, [other], [one]).status_code == 201
    assert held(ada) == {other: "enrolled"}


def test_the_seat_that_is_left_goes_to_the_head_of_the_waitlist(
    student: Make, course: Make, enroll: Enroll, held: Held, swap: Any, open_term: int
) -> None:
    ada, alan = student(), student()
    wanted, other = course(term_id=open_term, capacity=1, waitlist_capacity=1), course(term_id=open_term)
    enroll(ada, wanted)
    enroll(alan, wanted, waitlist=True)

    swap(ada, [other], [wanted])

    assert (held(ada), held(alan)) == ({other: "enrolled"}, {wanted: "enrolled"})


def test_a_course_cannot_be_left_in_a_swap_while_another_one_needs_it(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, swap: Any, open_term: int
) -> None:
    lecture, lab, other_lab, other = (course(term_id=open_term) for _ in range(4))
    client.put(f"/courses/{lecture}/links", json={"groups": [[lab, other_lab]]})
    ada = student()

    assert refused(enroll(ada, lecture)) == {lecture: ["linked_course_missing"]}
    assert enroll(ada, lecture, lab).status_code == 201
    assert refused(swap(ada, [other], [lab])) == {other: [], lab: ["needed_by_course"]}
    assert refused(client.delete(f"/students/{ada}/unenroll", json={"course_id": lab})) == {lab: ["needed_by_course"]}
    assert swap(ada, [other_lab], [lab]).status_code == 201
    assert held(ada) == {lecture: "enrolled", other_lab: "enrolled"}
    assert client.delete(f"/students/{ada}/unenroll", json={"course_ids": [lecture, other_lab]}).status_code == 200


def test_a_course_is_not_needed_by_one_that_a_permission_lets_the_student_take_without_it(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, open_term: int
) -> None:
    lecture, lab = course(term_id=open_term), course(term_id=open_term)
    client.put(f"/courses/{lecture}/links", json={"groups": [[lab]]})
    ada, path = student(), "/students/{}/permissions"
    assert enroll(ada, lecture, lab).status_code == 201
    permission = {"course_id": lecture, "rule": "linked_course_missing", "reason": "Did the lab last year"}
    assert client.post(path.format(ada), json=permission).status_code == 201

    assert client.delete(f"/students/{ada}/unenroll", json={"course_id": lab}).status_code == 200


def test_put_decides_what_is_left_with_what_is_new(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, open_term: int
) -> None:
    lecture, lab, other_lab = (course(term_id=open_term) for _ in range(3))
    client.put(f"/courses/{lecture}/links", json={"groups": [[lab, other_lab]]})
    ada = student()
    enroll(ada, lecture, lab)
    path = f"/students/{ada}/enroll"

    refusal = client.put(path, json={"course_ids": [lecture]})
    replaced = client.put(path, json={"course_ids": [lecture, other_lab]})

    assert (refusal.status_code, refusal.get_json()["code"]) == (409, "enrollment_refused")
    assert refused(refusal) == {lecture: [], lab: ["needed_by_course"]}
    assert replaced.get_json() == {
        "student_id": ada,
        "enrolled": [other_lab],
        "waitlisted": [],
        "unenrolled": [lab],
        "withdrawn": [],
        "kept": [lecture],
    }
    assert held(ada) == {lecture: "enrolled", other_lab: "enrolled"}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"course_ids": [1], "instead_of": [1]}, ["/instead_of/0"]),
        ({"course_id": 1, "instead_of": [2, 1]}, ["/instead_of/1"]),
        ({"course_ids": [1], "instead_of": [2, 2]}, ["/instead_of/1"]),
        ({"course_ids": [1], "instead_of": 2}, ["/instead_of"]),
        ({"course_ids": [1], "instead_of": [2**53]}, ["/instead_of/0"]),
        ({"course_ids": [1], "instead_of": list(range(2, 103))}, ["/instead_of"]),
        ({"course_ids": [1], "credits": {"2": 3}}, ["/credits/2"]),
        ({"course_ids": [1], "credits": {"1": 2.555}}, ["/credits/1"]),
        ({"course_ids": [1], "credits": {"1": -1}}, ["/credits/1"]),
        ({"course_ids": [1], "credits": {"1": "3"}}, ["/credits/1"]),
        ({"course_ids": [1], "credits": {"one": 3, "01": 3}}, ["/credits/01", "/credits/one"]),
        ({"course_ids": [1], "credits": [3]}, ["/credits"]),
        ({"course_ids": [1], "credits": None}, ["/credits"]),
    ],
)
def test_what_is_not_valid_is_pointed_at(
    client: FlaskClient, student: Make, course: Make, body: dict[str, Any], pointers: list[str]
) -> None:
    course()

    response = client.post(f"/students/{student()}/enroll", json=body)

    assert (response.status_code, [each["pointer"] for each in response.get_json()["errors"]]) == (422, pointers)


def test_an_unknown_course_is_404_in_both_lists(
    student: Make, course: Make, swap: Any, held: Held, enroll: Enroll
) -> None:
    ada, one = student(), course()
    enroll(ada, one)

    assert swap(ada, [99], [one]).get_json()["code"] == "course_not_found"
    assert swap(ada, [course()], [99]).get_json()["code"] == "course_not_found"
    assert held(ada) == {one: "enrolled"}


def test_a_dry_run_of_a_swap_decides_about_both_and_changes_nothing(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held
) -> None:
    ada, one, other = student(), course(), course()
    enroll(ada, one)

    response = client.post(
        f"/students/{ada}/enroll?dry_run=true", json={"course_ids": [other], "instead_of": [one, 99]}
    )

    assert response.status_code == 200
    assert refused(response) == {other: [], one: [], 99: ["course_not_found"]}
    assert held(ada) == {one: "enrolled"}


def test_a_time_conflict_stops_promotion_until_the_other_course_is_left(
    app: Flask, client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, open_term: int
) -> None:
    ada, alan = student(), student()
    contested = course(term_id=open_term, capacity=1, waitlist_capacity=1)
    other = course(term_id=open_term)
    for each in (contested, other):
        client.put(f"/courses/{each}/meetings", json=[MONDAY])
    enroll(alan, contested)
    assert enroll(ada, contested, waitlist=True).status_code == 201
    assert enroll(ada, other).status_code == 201  # waiting for a course does not conflict
    client.delete(f"/students/{alan}/unenroll", json={"course_id": contested})
    (shown,) = client.get(f"/students/{ada}/courses?status=waitlisted").get_json()["courses"]

    client.delete(f"/students/{ada}/unenroll", json={"course_id": other})

    assert shown["passed_over"]["codes"] == ["time_conflict"]
    assert held(ada) == {contested: "enrolled"}
    with app.app_context():
        assert enrollment.promote_all(RequestContext()) == (0, 0)


@pytest.fixture
def linked(client: FlaskClient, course: Make, open_term: int) -> tuple[int, int]:
    """Create a lecture and a lab of one seat each, which must be taken together; their ids."""
    lecture, lab = (course(term_id=open_term, capacity=1, waitlist_capacity=5) for _ in range(2))
    client.put(f"/courses/{lecture}/links", json={"groups": [[lab]]})
    client.put(f"/courses/{lab}/links", json={"groups": [[lecture]]})
    return lecture, lab


def test_a_student_who_waits_for_two_linked_courses_gets_both(
    client: FlaskClient, student: Make, enroll: Enroll, held: Held, linked: tuple[int, int]
) -> None:
    ada, alan = student(), student()
    assert enroll(ada, *linked).status_code == 201
    assert enroll(alan, *linked, waitlist=True).status_code == 201

    client.delete(f"/students/{ada}/unenroll", json={"course_ids": linked})

    assert held(alan) == dict.fromkeys(linked, "enrolled")


@pytest.fixture
def passed_over(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, open_term: int
) -> tuple[int, int, int, Any]:
    """Pass a student over, who takes 4 of 6 credits and waits for 4 more; the student, both courses, and the marks."""
    ada, taken = student(), course(term_id=open_term, credits=4, credits_max=6)
    wanted = course(term_id=open_term, credits=4, capacity=0, waitlist_capacity=5)
    assert enroll(ada, taken).status_code == 201
    assert enroll(ada, wanted, waitlist=True).status_code == 201
    client.patch(f"/courses/{wanted}", json={"capacity": 1})

    def marks() -> Any:
        shown = client.get(f"/students/{ada}/courses?status=waitlisted").get_json()["courses"]
        return [each["passed_over"] and each["passed_over"]["codes"] for each in shown]

    assert marks() == [["credit_limit_exceeded"]]
    return ada, taken, wanted, marks


@pytest.mark.parametrize("call", ["swap", "put", "unenroll", "credits"])
def test_what_a_student_changes_promotes_the_student_at_once_where_it_ends_what_stopped_it(
    client: FlaskClient,
    course: Make,
    held: Held,
    swap: Any,
    open_term: int,
    passed_over: tuple[int, int, int, Any],
    call: str,
) -> None:
    ada, taken, wanted, _ = passed_over
    small = course(term_id=open_term, credits=2)
    path = f"/students/{ada}/enroll"
    if call == "swap":
        assert swap(ada, [small], [taken]).status_code == 201
    elif call == "put":
        assert client.put(path, json={"course_ids": [small, wanted]}).status_code == 200
    elif call == "unenroll":
        client.delete(f"/students/{ada}/unenroll", json={"course_id": taken})
    else:
        client.patch(f"/courses/{taken}", json={"credits": 2})
        body = {"course_ids": [taken, wanted], "credits": {str(taken): 2}}
        assert client.put(path, json=body).status_code == 200

    assert held(ada)[wanted] == "enrolled"


@pytest.mark.parametrize("by", ["enrolling", "promotion"])
def test_a_seat_that_ends_what_stopped_a_promotion_elsewhere_clears_the_mark(
    app: Flask, client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, open_term: int, by: str
) -> None:
    basics, advanced = (
        client.post("/catalog", json={"code": code, "title": code, "credits": 3}).get_json()["id"] for code in "AB"
    )
    body = {"groups": [[{"catalog_id": basics, "concurrent_allowed": True}]]}
    assert client.put(f"/catalog/{advanced}/prerequisites", json=body).status_code == 200
    seats = 0 if by == "promotion" else 5
    first = course(term_id=open_term, catalog_id=basics, capacity=seats, waitlist_capacity=5)
    second = course(term_id=open_term, capacity=0, waitlist_capacity=5)
    ada = student()
    enroll(ada, second, waitlist=True)
    client.patch(f"/courses/{second}", json={"catalog_id": advanced, "capacity": 1})
    assert held(ada) == {second: "waitlisted"}

    enroll(ada, first, waitlist=True)
    if by == "promotion":
        client.patch(f"/courses/{first}", json={"capacity": 1})
    with app.app_context():
        enrollment.promote_all(RequestContext())

    assert held(ada) == {first: "enrolled", second: "enrolled"}


@pytest.mark.parametrize("name", ["ENROLL_AS_DECIDED", "UNENROLL_AS_DECIDED"])
def test_a_statement_that_finds_something_changed_under_the_locks_leaves_nothing_behind(
    backend: str,
    student: Make,
    course: Make,
    enroll: Enroll,
    held: Held,
    swap: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Nothing can have changed there: a safeguard."""
    ada, one, other = student(), course(), course()
    enroll(ada, one)
    monkeypatch.setattr(exchanging, name, {backend: select(courses.c.id).where(false())})

    assert swap(ada, [other], [one]).status_code == 503
    assert held(ada) == {one: "enrolled"}
