"""The courses of a student and of one term: the list, its ETag, and replacing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Enroll, Held, Make, Sql

MARK = (
    "UPDATE student_courses SET passed_over_at = '2026-09-01 08:00:00.000000',"
    " passed_over_for = 'hold restricted' WHERE course_id = :course"
)
MARKED = {"at": "2026-09-01T08:00:00Z", "codes": ["hold", "restricted"]}


@pytest.fixture
def courses(client: FlaskClient) -> Callable[..., Any]:
    return lambda student_id, query="": client.get(f"/students/{student_id}/courses?status=any{query}")


@pytest.fixture
def school(student: Make, course: Make, open_term: Make, enroll: Enroll) -> dict[str, int]:
    """Return a student with two courses of fall, one of spring and one without a term, and a free course of each."""
    fall, spring = open_term(), open_term()
    found = {
        "ada": student(),
        "fall": fall,
        "spring": spring,
        "mine": course(term_id=fall),
        "waited": course(term_id=fall, capacity=0, waitlist_capacity=9),
        "later": course(term_id=spring),
        "plain": course(),
        "new": course(term_id=fall),
        "other": course(term_id=spring),
        "free": course(),
    }
    enroll(found["ada"], *(found[name] for name in ("mine", "waited", "later", "plain")), waitlist=True)
    return found


# --- the list ---------------------------------------------------------------------------------------------


def test_the_list_has_the_term_credits_and_mark_of_each_course(school: dict[str, int], courses: Any, sql: Sql) -> None:
    sql("UPDATE student_courses SET credits = 250 WHERE course_id = :course", course=school["mine"])
    sql("UPDATE student_courses SET credits = 0 WHERE course_id = :course", course=school["later"])
    sql(MARK, course=school["waited"])
    sql(MARK, course=school["plain"])  # a mark that a change by hand left beside a seat

    found = {each["id"]: each for each in courses(school["ada"]).get_json()["courses"]}

    assert {name: (found[school[name]]["term_id"], found[school[name]]["credits"]) for name in ("mine", "waited")} == {
        "mine": (school["fall"], 2.5),
        "waited": (school["fall"], None),
    }
    assert (found[school["later"]]["term_id"], found[school["later"]]["credits"]) == (school["spring"], 0)
    assert (found[school["plain"]]["term_id"], found[school["plain"]]["credits"]) == (None, None)
    assert {number: each["passed_over"] for number, each in found.items() if each["passed_over"]} == {
        school["waited"]: MARKED
    }


def test_the_list_of_a_term_has_its_courses_only(school: dict[str, int], courses: Any) -> None:
    def ids(query: str) -> set[int]:
        response = courses(school["ada"], query)
        assert response.status_code == 200
        return {each["id"] for each in response.get_json()["courses"]}

    assert ids(f"&term_id={school['fall']}") == {school["mine"], school["waited"]}
    assert ids(f"&term_id={school['spring']}") == {school["later"]}
    assert ids("&term_id=999999") == set()
    assert ids("") == {school[name] for name in ("mine", "waited", "later", "plain")}


def test_the_etag_stands_for_all_courses_and_for_what_the_list_shows(
    school: dict[str, int], courses: Any, sql: Sql
) -> None:
    def tag(query: str = "") -> tuple[str, ...]:
        return tuple(courses(school["ada"], query).headers["ETag"].strip('"').split("."))

    first, of_fall = tag(), tag(f"&term_id={school['fall']}")
    assert (first[0] == of_fall[0], first[1] == of_fall[1]) == (True, False), "one first part, and each its body"
    sql(MARK, course=school["waited"])
    marked = tag()
    assert (marked[0] == first[0], marked[1] == first[1]) == (True, False), "a mark is no change of an enrollment"
    sql("UPDATE student_courses SET credits = 100 WHERE course_id = :course", course=school["later"])
    assert tag(f"&term_id={school['fall']}")[0] != marked[0]


@pytest.mark.parametrize("query", ["term_id=0", "term_id=", "term_id=x", f"term_id={2**53}", "term_id=1&term_id=1"])
def test_a_term_that_is_not_valid_is_refused(client: FlaskClient, student: Make, query: str) -> None:
    ada = student()

    for response in (
        client.get(f"/students/{ada}/courses?{query}"),
        client.put(f"/students/{ada}/enroll?{query}", json={"course_ids": []}),
    ):
        assert (response.status_code, response.get_json()["code"]) == (422, "validation_failed")
        assert [each["pointer"] for each in response.get_json()["errors"]] == ["/term_id"]


def test_the_roster_and_waitlist_have_credits_and_marks(client: FlaskClient, school: dict[str, int], sql: Sql) -> None:
    sql("UPDATE student_courses SET credits = 400 WHERE course_id = :course", course=school["mine"])
    sql(MARK, course=school["waited"])

    def entries(course: str, query: str) -> list[tuple[Any, Any]]:
        items = client.get(f"/courses/{school[course]}/students?{query}").get_json()["items"]
        return [(each["credits"], each["passed_over"]) for each in items]

    for sort in ("id", "name"):
        assert entries("mine", f"sort={sort}") == [(4, None)]
        assert entries("waited", f"status=waitlisted&sort={sort}") == [(None, MARKED)]
        assert entries("mine", f"sort={sort}&as_of=2999-01-01T00:00:00Z") == [(4, None)]
        assert entries("waited", f"status=waitlisted&sort={sort}&as_of=2999-01-01T00:00:00Z") == [(None, None)]


# --- replacing those of a term ------------------------------------------------------------------------------


def test_a_replacement_of_a_term_leaves_the_other_courses(
    client: FlaskClient, school: dict[str, int], held: Held
) -> None:
    path = f"/students/{school['ada']}/enroll?term_id={school['fall']}"

    dry = client.put(f"{path}&dry_run=true", json={"course_ids": [school["new"], school["waited"]]})
    before = held(school["ada"])
    real = client.put(path, json={"course_ids": [school["new"], school["waited"]]})

    assert (
        real.get_json()
        == dry.get_json()
        == {
            "student_id": school["ada"],
            "enrolled": [school["new"]],
            "waitlisted": [],
            "unenrolled": [school["mine"]],
            "withdrawn": [],
            "kept": [school["waited"]],
        }
    )
    assert set(before) == {school[name] for name in ("mine", "waited", "later", "plain")}
    assert set(held(school["ada"])) == {school[name] for name in ("new", "waited", "later", "plain")}
    assert client.put(path, json={"course_ids": []}).status_code == 200
    assert set(held(school["ada"])) == {school["later"], school["plain"]}


def test_a_replacement_of_a_term_takes_courses_of_this_term_only(
    client: FlaskClient, school: dict[str, int], held: Held
) -> None:
    before = held(school["ada"])
    wanted = [school[name] for name in ("later", "new", "free", "other", "plain")]

    response = client.put(f"/students/{school['ada']}/enroll?term_id={school['fall']}", json={"course_ids": wanted})

    assert (response.status_code, response.get_json()["code"]) == (422, "validation_failed")
    found = [each["pointer"] for each in response.get_json()["errors"]]
    assert found == [f"/course_ids/{index}" for index in (0, 2, 3, 4)]
    assert held(school["ada"]) == before


def test_a_replacement_of_an_unknown_term_or_course_is_404(
    client: FlaskClient, school: dict[str, int], held: Held
) -> None:
    before = held(school["ada"])

    for term_id, wanted, code in (
        (999_999, [], "term_not_found"),
        (999_999, [school["new"]], "term_not_found"),
        (school["fall"], [school["new"], 999_999], "course_not_found"),
    ):
        response = client.put(f"/students/{school['ada']}/enroll?term_id={term_id}", json={"course_ids": wanted})
        assert (response.status_code, response.get_json()["code"]) == (404, code)
    response = client.put(f"/students/999999/enroll?term_id={school['fall']}", json={"course_ids": []})
    assert (response.status_code, response.get_json()["code"]) == (404, "student_not_found")
    assert held(school["ada"]) == before


def test_if_match_stands_for_the_courses_of_other_terms_too(
    client: FlaskClient, school: dict[str, int], courses: Any, enroll: Enroll
) -> None:
    path, body = f"/students/{school['ada']}/enroll?term_id={school['fall']}", {"course_ids": [school["new"]]}

    def put(tag: str) -> int:
        return client.put(path, json=body, headers={"If-Match": tag}).status_code

    stale = courses(school["ada"], f"&term_id={school['fall']}").headers["ETag"]
    enroll(school["ada"], school["other"])

    assert put(stale) == 412
    assert put(courses(school["ada"], f"&term_id={school['spring']}").headers["ETag"]) == 200


def test_a_refused_replacement_of_a_term_changes_nothing(
    client: FlaskClient, school: dict[str, int], course: Make, held: Held
) -> None:
    before, permitted = held(school["ada"]), course(term_id=school["fall"], permission_required=True)

    response = client.put(
        f"/students/{school['ada']}/enroll?term_id={school['fall']}", json={"course_ids": [permitted]}
    )

    assert (response.status_code, response.get_json()["code"]) == (409, "enrollment_refused")
    assert held(school["ada"]) == before
