"""Terms, registration windows and groups; the term, restrictions and instructors of a course."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support.registration import OTHER, WINDOW
from ..support.responses import pointers, refusal

Make = Callable[..., int]
Sql = Callable[..., list[Any]]
FALL = {"code": "2026-fall", "title": "Fall 2026", "starts_on": "2026-09-01", "ends_on": "2026-12-18"}
# --- terms ------------------------------------------------------------------------------------------------


def test_a_term_needs_a_code_a_title_and_two_dates(client: FlaskClient) -> None:
    created = client.post("/terms", json=FALL)

    assert created.status_code == 201
    body = created.get_json()
    assert {name: body[name] for name in FALL} == FALL
    for name in ("credit_limit", "drop_until", "withdraw_until", "promote_until", "external_id"):
        assert body[name] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("starts_on", "2026-02-30"),
        ("starts_on", "20260901"),
        ("starts_on", "2026-W36-2"),
        ("starts_on", "2026-09-01T00:00:00Z"),
        ("starts_on", "0001-01-01"),
        ("starts_on", "9999-12-31"),
        ("starts_on", 20260901),
        ("starts_on", None),
        ("ends_on", "2026-08-31"),
        ("credit_limit", -1),
        ("credit_limit", 1000),
        ("credit_limit", 2.505),
        ("credit_limit", "18"),
        ("credit_limit", True),
        ("drop_until", "2026-09-15"),
        ("drop_until", "2026-09-15T22:00:00"),
        ("code", "a\x00b"),
        ("code", "\ud800"),
        ("code", "x" * 51),
        ("title", "  "),
        ("status", "open"),
        ("id", 7),
    ],
)
def test_a_value_that_is_not_valid_is_named(client: FlaskClient, field: str, value: Any) -> None:
    assert pointers(client.post("/terms", json=FALL | {field: value})) == [f"/{field}"]


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "1"])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, body: str) -> None:
    for path in ("/terms", "/groups", "/catalog"):
        assert refusal(client.post(path, data=body, content_type="application/json")) == (422, "validation_failed")


@pytest.mark.parametrize(("given", "shown"), [(18, 18), (0, 0), (2.5, 2.5), (12.25, 12.25), (18.0, 18), (999, 999)])
def test_credits_have_at_most_two_decimals(client: FlaskClient, given: float, shown: float) -> None:
    path = client.post("/terms", json=FALL | {"credit_limit": given}).headers["Location"]

    assert client.get(path).get_json()["credit_limit"] == shown


def test_a_change_cannot_put_the_end_before_the_beginning(client: FlaskClient, term: Make) -> None:
    path = f"/terms/{term(drop_until='2026-09-15T22:00:00Z')}"

    wrong = {"starts_on": "2999-12-19", "withdraw_until": "2026-09-15T21:59:59Z"}

    assert pointers(client.patch(path, json=wrong)) == ["/ends_on", "/withdraw_until"]
    assert client.patch(path, json={"starts_on": "2026-12-18"}).status_code == 200


def test_a_term_with_courses_cannot_be_deleted(client: FlaskClient, term: Make, course: Make) -> None:
    fall, spring = term(), term()
    programming = course(term_id=fall)
    client.put(f"/terms/{spring}/windows", json=[WINDOW])

    assert refusal(client.delete(f"/terms/{fall}")) == (409, "term_has_courses")
    assert client.delete(f"/terms/{spring}").status_code == 204
    assert client.delete(f"/courses/{programming}").status_code == 204
    assert client.delete(f"/terms/{fall}").status_code == 204


@pytest.mark.parametrize("path", ["/terms/9", "/terms/9/windows", "/terms/9007199254740992/windows", "/groups/9"])
def test_a_term_or_group_that_does_not_exist_is_404(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
    body: Any = [] if path.endswith("windows") else {}
    assert client.open(path, method="PUT" if body == [] else "PATCH", json=body).status_code == 404


# --- windows ----------------------------------------------------------------------------------------------


def test_windows_are_replaced_as_a_whole_and_read_in_order_of_time(
    client: FlaskClient, term: Make, group: Make
) -> None:
    path, seniors = f"/terms/{term()}/windows", group()
    early = WINDOW | {"group_id": seniors, "opens_at": "2026-07-01T06:00:00Z"}

    assert client.get(path).get_json() == []
    first = client.put(path, json=[WINDOW, early])
    second = client.put(path, json=[early, OTHER])

    assert first.get_json() == [early, WINDOW]
    assert second.get_json() == client.get(path).get_json() == [OTHER, early]


def test_windows_may_overlap_and_lie_in_the_past(client: FlaskClient, term: Make) -> None:
    inside = WINDOW | {"opens_at": "2026-08-15T00:00:00Z"}

    assert client.put(f"/terms/{term()}/windows", json=[OTHER, WINDOW, inside]).status_code == 200


def test_a_window_without_a_group_is_for_all_students(client: FlaskClient, term: Make) -> None:
    body = {name: WINDOW[name] for name in ("opens_at", "closes_at")}

    assert client.put(f"/terms/{term()}/windows", json=[body]).get_json() == [WINDOW]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([WINDOW | {"closes_at": WINDOW["opens_at"]}], ["/0/closes_at"]),
        ([WINDOW, OTHER | {"opens_at": "2031-01-01T00:00:00Z"}], ["/1/closes_at"]),
        ([WINDOW | {"opens_at": "2026-08-01T08:00:00+02:00"}, WINDOW], ["/1"]),
        ([WINDOW | {"group_id": 999}, OTHER | {"group_id": 998}], ["/0/group_id", "/1/group_id"]),
        ([WINDOW | {"group_id": 2**53}], ["/0/group_id"]),
        ([WINDOW | {"group_id": "1"}], ["/0/group_id"]),
        ([WINDOW | {"opens_at": "2026-08-01"}], ["/0/opens_at"]),
        ([{"group_id": None}], ["/0/closes_at", "/0/opens_at"]),
        ([WINDOW | {"id": 1}], ["/0/id"]),
        ([None, 1, [], "x"], ["/0", "/1", "/2", "/3"]),
        ({}, [""]),
        ("x", [""]),
        (1, [""]),
        ([WINDOW] * 201, [""]),
    ],
)
def test_windows_that_are_not_valid_are_named_and_nothing_changes(
    client: FlaskClient, term: Make, windows: Any, expected: list[str]
) -> None:
    path = f"/terms/{term()}/windows"
    client.put(path, json=[OTHER])

    assert pointers(client.put(path, json=windows)) == expected
    assert client.get(path).get_json() == [OTHER]


def test_the_etag_of_a_list_is_that_of_its_content(client: FlaskClient, term: Make) -> None:
    path = f"/terms/{term()}/windows"
    empty = client.get(path).headers["ETag"]

    one = client.put(path, json=[WINDOW], headers={"If-Match": empty})
    stale = client.put(path, json=[OTHER], headers={"If-Match": empty})
    malformed = client.put(path, json=[OTHER], headers={"If-Match": "abc"})
    known = client.get(path, headers={"If-None-Match": one.headers["ETag"]})
    again = client.put(path, json=[], headers={"If-Match": one.headers["ETag"]})

    assert one.headers["ETag"] != empty
    assert refusal(stale) == (412, "precondition_failed")
    assert refusal(malformed) == (400, "malformed_precondition")
    assert known.status_code == 304
    assert (again.status_code, again.headers["ETag"]) == (200, empty)


def test_windows_leave_the_etag_of_their_term_as_it_is(client: FlaskClient, term: Make) -> None:
    path = f"/terms/{term()}"
    before = client.get(path).headers["ETag"]

    client.put(f"{path}/windows", json=[WINDOW])

    assert client.get(path).headers["ETag"] == before


# --- groups -----------------------------------------------------------------------------------------------


def test_a_code_of_a_group_is_unique_within_its_kind(client: FlaskClient, group: Make) -> None:
    first = group(kind="program", code="CS")
    group(kind="level", code="CS")
    moved = group(kind="level", code="MA")

    again = client.post("/groups", json={"kind": "program", "code": "CS", "title": "Again"})
    changed = client.patch(f"/groups/{moved}", json={"kind": "program"})
    renamed = client.patch(f"/groups/{moved}", json={"code": "CS"})

    assert (*refusal(again), again.get_json()["existing_id"]) == (409, "code_taken", first)
    assert changed.status_code == 200
    assert (*refusal(renamed), renamed.get_json()["existing_id"]) == (409, "code_taken", first)


def test_groups_are_listed_by_kind(client: FlaskClient, group: Make) -> None:
    wanted = group(kind="level")
    group(kind="program")

    assert [each["id"] for each in client.get("/groups?kind=level").get_json()["items"]] == [wanted]


@pytest.mark.parametrize("user", ["student", "window", "restriction"])
def test_a_group_in_use_cannot_be_deleted(
    client: FlaskClient, student: Make, term: Make, course: Make, group: Make, user: str
) -> None:
    number, fall = group(), term()
    path, used, unused = {
        "student": (f"/students/{student()}/groups", [number], []),
        "window": (f"/terms/{fall}/windows", [WINDOW | {"group_id": number}], [WINDOW]),
        "restriction": (f"/courses/{course(term_id=fall)}/restrictions", [{"group_id": number}], []),
    }[user]

    assert client.put(path, json=used).status_code == 200
    assert refusal(client.delete(f"/groups/{number}")) == (409, "group_in_use")
    assert client.put(path, json=unused).status_code == 200
    assert client.delete(f"/groups/{number}").status_code == 204


def test_the_groups_of_a_student_are_replaced_and_each_change_is_a_line_of_the_ledger(
    client: FlaskClient, student: Make, group: Make, sql: Sql
) -> None:
    path, one, two, three = f"/students/{student()}/groups", group(), group(), group()

    client.put(path, json=[two, one])
    client.put(path, json=[one, two])
    changed = client.put(path, json=[three, one], headers={"X-Request-ID": "advising-7"})

    assert changed.get_json() == client.get(path).get_json() == [one, three]
    lines = sql("SELECT student_id, subject, subject_id, change, actor, request_id FROM rule_events ORDER BY id")
    assert [tuple(line)[:5] for line in lines] == [
        (1, "group", one, "added", "anonymous"),
        (1, "group", two, "added", "anonymous"),
        (1, "group", three, "added", "anonymous"),
        (1, "group", two, "removed", "anonymous"),
    ]
    assert [line.request_id for line in lines][2:] == ["advising-7"] * 2


@pytest.mark.parametrize(
    ("ids", "expected"),
    [([1, 1], ["/1"]), ([0], ["/0"]), ([True], ["/0"]), ([2**53], ["/0"]), ([999, 998], ["/0", "/1"]), ({}, [""])],
)
def test_groups_that_are_not_valid_are_named(client: FlaskClient, student: Make, ids: Any, expected: list[str]) -> None:
    assert pointers(client.put(f"/students/{student()}/groups", json=ids)) == expected


def test_ten_thousand_groups_are_refused_before_they_are_looked_up(
    client: FlaskClient, student: Make, statements: list[str]
) -> None:
    path = f"/students/{student()}/groups"
    statements.clear()

    response = client.put(path, json=list(range(1, 10_001)))

    assert pointers(response) == [""]
    assert "0 to 200" in response.get_json()["errors"][0]["detail"]
    assert statements == []


def test_the_groups_of_an_unknown_student_are_404(client: FlaskClient) -> None:
    assert refusal(client.get("/students/9/groups")) == (404, "student_not_found")
    assert refusal(client.put("/students/9/groups", json=[])) == (404, "student_not_found")


# --- courses of a term ------------------------------------------------------------------------------------


def test_a_course_moves_into_a_term_and_never_out_of_it(client: FlaskClient, term: Make, course: Make) -> None:
    fall, spring, path = term(), term(), f"/courses/{course()}"

    assert client.patch(path, json={"term_id": fall}).get_json()["term_id"] == fall
    assert client.patch(path, json={"term_id": fall, "title": "Logic"}).status_code == 200
    for other in (spring, None):
        assert refusal(client.patch(path, json={"term_id": other})) == (409, "term_is_fixed")
    assert client.get(path).get_json()["term_id"] == fall


def test_a_term_that_does_not_exist_is_named(client: FlaskClient, course: Make) -> None:
    assert pointers(client.post("/courses", json={"code": "X", "title": "X", "term_id": 9})) == ["/term_id"]
    assert pointers(client.patch(f"/courses/{course()}", json={"term_id": 9})) == ["/term_id"]


def test_a_code_of_a_course_is_unique_within_its_term(client: FlaskClient, term: Make, course: Make) -> None:
    fall, spring = term(), term()
    first, other = course(code="CS1"), course(code="CS1", term_id=fall)
    course(code="CS1", term_id=spring)
    free = course(code="CS2", term_id=fall)

    responses = [
        (client.post("/courses", json={"code": "CS1", "title": "X"}), first),
        (client.post("/courses", json={"code": "CS1", "title": "X", "term_id": fall}), other),
        (client.patch(f"/courses/{free}", json={"code": "CS1"}), other),
        (client.patch(f"/courses/{first}", json={"term_id": fall}), other),
    ]

    for response, existing in responses:
        assert (*refusal(response), response.get_json()["existing_id"]) == (409, "code_taken", existing)
    assert [each["id"] for each in client.get(f"/courses?code=CS1&term_id={fall}").get_json()["items"]] == [other]


def test_permission_is_required_in_a_course_of_a_term_only(client: FlaskClient, term: Make, course: Make) -> None:
    path = f"/courses/{course()}"

    created = client.post("/courses", json={"code": "X", "title": "X", "permission_required": True})
    assert refusal(created) == (409, "course_has_no_term")
    assert refusal(client.patch(path, json={"permission_required": True})) == (409, "course_has_no_term")
    assert client.patch(path, json={"permission_required": True, "term_id": term()}).status_code == 200


def test_closing_a_course_again_keeps_the_time_at_which_it_was_closed(
    client: FlaskClient, course: Make, sql: Sql
) -> None:
    path = f"/courses/{course(closed=True)}"
    ((closed_at,),) = sql("SELECT closed_at FROM courses")

    assert closed_at is not None
    assert client.patch(path, json={"closed": True}).get_json()["closed"] is True
    assert sql("SELECT closed_at FROM courses") == [(closed_at,)]
    assert client.patch(path, json={"closed": False}).get_json()["closed"] is False
    assert sql("SELECT closed_at FROM courses") == [(None,)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("component", "x" * 21),
        ("component", "a\x00"),
        ("closed", None),
        ("closed", 1),
        ("permission_required", "true"),
        ("term_id", 0),
        ("closed_at", "2026-01-01T00:00:00Z"),
        ("passed_over_count", 1),
    ],
)
def test_a_field_of_a_course_that_is_not_valid_is_named(client: FlaskClient, field: str, value: Any) -> None:
    assert pointers(client.post("/courses", json={"code": "X", "title": "X", field: value})) == [f"/{field}"]


@pytest.mark.parametrize(("given", "shown"), [("LAB", "LAB"), ("", ""), ("  ", ""), (None, "")])
def test_the_component_of_a_course_may_be_empty(client: FlaskClient, course: Make, given: Any, shown: str) -> None:
    path = f"/courses/{course(component='LEC')}"

    assert client.patch(path, json={"component": given}).get_json()["component"] == shown


def test_restrictions_need_a_term(client: FlaskClient, term: Make, course: Make, group: Make) -> None:
    number = course()
    path, seniors, exchange = f"/courses/{number}/restrictions", group(), group()
    body = [{"group_id": exchange, "admits": False}, {"group_id": seniors}]

    assert client.put(path, json=[]).status_code == 200
    assert refusal(client.put(path, json=body)) == (409, "course_has_no_term")
    client.patch(f"/courses/{number}", json={"term_id": term()})
    changed = client.put(path, json=body)

    expected = [{"group_id": seniors, "admits": True}, {"group_id": exchange, "admits": False}]
    assert changed.get_json() == client.get(path).get_json() == expected
    assert client.put(path, json=[{"group_id": seniors, "admits": False}]).get_json() == [
        {"group_id": seniors, "admits": False}
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([{"group_id": 1}, {"group_id": 1, "admits": False}], ["/1"]),
        ([{"group_id": 1}, {"group_id": 999}], ["/1/group_id"]),
        ([{"admits": True}], ["/0/group_id"]),
        ([{"group_id": 1, "admits": None}], ["/0/admits"]),
    ],
)
def test_restrictions_that_are_not_valid_are_named(
    client: FlaskClient, term: Make, course: Make, group: Make, body: Any, expected: list[str]
) -> None:
    assert group() == 1

    assert pointers(client.put(f"/courses/{course(term_id=term())}/restrictions", json=body)) == expected


def test_the_instructors_of_a_course_are_people(client: FlaskClient, course: Make) -> None:
    path = f"/courses/{course()}/instructors"
    people = [client.post("/people", json={"name": name}).get_json()["id"] for name in ("Emmy", "Grace")]

    assert client.put(path, json=people[::-1]).get_json() == client.get(path).get_json() == people
    assert pointers(client.put(path, json=[people[0], 999])) == ["/1"]
    assert client.delete(f"/people/{people[0]}").status_code == 204
    assert client.get(path).get_json() == people[1:]
    assert refusal(client.put("/courses/9/instructors", json=[])) == (404, "course_not_found")
