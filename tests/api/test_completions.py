"""Completions of students, and their own credit limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.context import RequestContext
from course_management.errors import CatalogEntryNotFound, StudentNotFound
from course_management.services import completions

from ..support.concurrency import together
from ..support.fixture_types import Enroll, Make
from ..support.responses import pointers, refusal

Sql = Callable[..., list[Any]]
GRADE = {"grade": "B+", "points": 3.33, "passed": True, "credits": 4}
LINES = "SELECT subject, subject_id, change, facts FROM rule_events ORDER BY id"


def lines(sql: Sql) -> list[Any]:
    return [tuple(row)[:3] for row in sql(LINES)]


# --- completions ------------------------------------------------------------------------------------------


def test_completions_of_several_students_are_written_together_or_not_at_all(
    app: Flask, student: Make, entry: Make, sql: Sql
) -> None:
    ada, catalog_id, values = student(), entry(), {"grade": "B", "points": 300, "passed": True, "credits": 400}
    known = (ada, catalog_id, "2026-spring")

    with app.app_context():
        with pytest.raises(StudentNotFound):
            completions.put_all({known: values, (99, catalog_id, "2026-spring"): values}, RequestContext())
        with pytest.raises(CatalogEntryNotFound):
            completions.put_all({known: values, (ada, 99, "2026-spring"): values}, RequestContext())
        assert lines(sql) == []
        completions.put_all({known: values}, RequestContext())

    assert [line[2] for line in lines(sql)] == ["added"]


def test_a_completion_is_created_changed_and_deleted_and_each_is_a_line_of_the_ledger(
    client: FlaskClient, student: Make, entry: Make, sql: Sql
) -> None:
    ada, wanted = student(), entry()
    path = f"/students/{ada}/completions/{wanted}/2026-spring"

    created = client.put(path, json=GRADE)
    same = client.put(path, json=GRADE | {"source": None})
    changed = client.put(path, json=GRADE | {"points": None, "source": "Another school"})

    assert [each.status_code for each in (created, same, changed)] == [201, 200, 200]
    body = changed.get_json()
    assert body["catalog_id"] == wanted
    assert {name: body[name] for name in ("term_code", "grade", "points", "passed", "credits", "source")} == {
        **GRADE,
        "term_code": "2026-spring",
        "points": None,
        "source": "Another school",
    }
    assert created.get_json()["created_at"] == body["created_at"]
    assert same.get_json()["updated_at"] == created.get_json()["updated_at"] < body["updated_at"]
    assert client.get(f"/students/{ada}/completions").get_json() == {"items": [body], "next": None}
    assert [client.delete(path).status_code for _ in range(2)] == [204, 204]
    assert client.get(f"/students/{ada}/completions").get_json()["items"] == []
    assert lines(sql) == [("completion", wanted, change) for change in ("added", "changed", "removed")]
    assert '"points": 3.33' in str(sql(LINES)[0].facts).replace("'", '"')


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grade", None),
        ("grade", ""),
        ("grade", "x" * 21),
        ("grade", "A\x00"),
        ("points", -0.1),
        ("points", 2.555),
        ("points", "4"),
        ("points", True),
        ("passed", None),
        ("passed", 1),
        ("credits", None),
        ("credits", -1),
        ("credits", 1000),
        ("source", "x" * 201),
        ("term_code", "F25"),
        ("catalog_id", 1),
    ],
)
def test_a_value_of_a_completion_that_is_not_valid_is_named(
    client: FlaskClient, student: Make, entry: Make, field: str, value: Any
) -> None:
    path = f"/students/{student()}/completions/{entry()}/F25"

    assert pointers(client.put(path, json=GRADE | {field: value})) == [f"/{field}"]


def test_what_a_path_names_must_exist(client: FlaskClient, student: Make, entry: Make) -> None:
    ada, wanted = student(), entry()

    for path, code in (
        (f"/students/9/completions/{wanted}/F25", "student_not_found"),
        (f"/students/{ada}/completions/9/F25", "catalog_entry_not_found"),
        (f"/students/{ada}/completions/{wanted}/a%00b", "not_found"),
        (f"/students/{ada}/completions/{wanted}/{'x' * 51}", "not_found"),
        (f"/students/{ada}/completions/{wanted}/", "not_found"),
        (f"/students/{ada}/completions/{2**53}/F25", "not_found"),
    ):
        assert refusal(client.put(path, json=GRADE)) == (404, code)
    assert refusal(client.get("/students/9/completions")) == (404, "student_not_found")
    assert refusal(client.delete(f"/students/9/completions/{wanted}/F25")) == (404, "student_not_found")


def test_the_code_of_a_term_may_have_slashes_and_is_normalized(client: FlaskClient, student: Make, entry: Make) -> None:
    path = f"/students/{student()}/completions/{entry()}"

    codes = [
        client.put(f"{path}/{code}", json=GRADE).get_json()["term_code"] for code in ("2025/26", "%20e%CC%81te%20")
    ]

    assert codes == ["2025/26", "\xe9te"]


def test_the_pages_of_completions_follow_one_another(client: FlaskClient, student: Make, entry: Make) -> None:
    ada, entries = student(), [entry() for _ in range(3)]
    expected = [(each, f"F{year}") for each in entries for year in range(20, 24)]
    for each, code in reversed(expected):
        client.put(f"/students/{ada}/completions/{each}/{code}", json=GRADE)

    for limit in (1, 2, 3, 5, 12):
        found: list[tuple[int, str]] = []
        query: dict[str, Any] = {"limit": limit}
        for _ in expected:
            page = client.get(f"/students/{ada}/completions", query_string=query).get_json()
            assert len(page["items"]) <= limit
            found += [(each["catalog_id"], each["term_code"]) for each in page["items"]]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        assert (found, page["next"]) == (expected, None)


def test_a_student_who_has_completions_cannot_be_deleted(client: FlaskClient, student: Make, entry: Make) -> None:
    ada = student()
    path = f"/students/{ada}/completions/{entry()}/F25"
    client.put(path, json=GRADE)

    assert refusal(client.delete(f"/students/{ada}")) == (409, "student_has_completions")
    client.delete(path)
    assert client.delete(f"/students/{ada}").status_code == 204


def test_the_same_completion_twice_at_the_same_instant_is_one_line(
    app: Flask, student: Make, entry: Make, sql: Sql
) -> None:
    path = f"/students/{student()}/completions/{entry()}/F25"

    responses = together(app, [lambda client: client.put(path, json=GRADE)] * 4)

    assert sorted(each.status_code for each in responses) == [200, 200, 200, 201]
    assert len(sql(LINES)) == 1


# --- limits -----------------------------------------------------------------------------------------------


def test_a_limit_is_set_changed_and_deleted_and_each_is_a_line_of_the_ledger(
    client: FlaskClient, student: Make, term: Make, sql: Sql
) -> None:
    ada, fall = student(), term(credit_limit=18)
    path = f"/students/{ada}/terms/{fall}"

    assert client.get(path).get_json() == {
        "student_id": ada,
        "term_id": fall,
        "credit_limit": None,
        "created_at": None,
        "updated_at": None,
    }
    limits = [client.put(path, json={"credit_limit": limit}).get_json()["credit_limit"] for limit in (21, 21, 0, 2.5)]
    assert limits == [21, 21, 0, 2.5]
    assert client.get(path).get_json()["credit_limit"] == 2.5
    assert [client.delete(path).status_code for _ in range(2)] == [204, 204]
    assert client.get(path).get_json()["credit_limit"] is None
    assert lines(sql) == [("limit", fall, change) for change in ("added", "changed", "changed", "removed")]


@pytest.mark.parametrize("value", [None, -1, 1000, 2.555, "21", True])
def test_a_limit_that_is_not_valid_is_named(client: FlaskClient, student: Make, term: Make, value: Any) -> None:
    path = f"/students/{student()}/terms/{term()}"

    assert pointers(client.put(path, json={"credit_limit": value})) == ["/credit_limit"]


def test_a_limit_needs_a_student_and_a_term(client: FlaskClient, student: Make, term: Make) -> None:
    for path, code in (
        (f"/students/9/terms/{term()}", "student_not_found"),
        (f"/students/{student()}/terms/9", "term_not_found"),
    ):
        assert refusal(client.put(path, json={"credit_limit": 21})) == (404, code)
        assert refusal(client.get(path)) == (404, code)
        assert refusal(client.delete(path)) == (404, code)


@pytest.mark.parametrize("what", ["completion", "limit"])
def test_a_change_about_a_student_lets_promotion_look_again(
    client: FlaskClient, student: Make, course: Make, entry: Make, open_term: Make, enroll: Enroll, sql: Sql, what: str
) -> None:
    ada, fall = student(), open_term()
    full = course(term_id=fall, capacity=1, waitlist_capacity=5)
    enroll(student(), full)
    enroll(ada, full, waitlist=True)
    sql(
        "UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP, passed_over_for = 'prerequisite_missing'"
        " WHERE student_id = :ada",
        ada=ada,
    )
    before = sql("SELECT schedule_revision FROM students WHERE id = :ada", ada=ada)

    if what == "limit":
        client.put(f"/students/{ada}/terms/{fall}", json={"credit_limit": 21})
    else:
        client.put(f"/students/{ada}/completions/{entry()}/F25", json=GRADE)

    assert sql("SELECT passed_over_count FROM courses") == [(0,)]
    assert sql("SELECT schedule_revision FROM students WHERE id = :ada", ada=ada) > before
