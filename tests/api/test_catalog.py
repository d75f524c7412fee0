"""The catalog and its prerequisites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ..support.concurrency import together
from ..support.fixture_types import Make
from ..support.responses import pointers, refusal

ENTRY = {"code": "CS 225", "title": "Data Structures", "credits": 4}


def alternative(**values: Any) -> dict[str, Any]:
    """Return an alternative as a response has it."""
    absent = dict.fromkeys(("catalog_id", "group_id", "minimum_points", "minimum_grade"))
    return {**absent, "concurrent_allowed": False, **values}


@pytest.fixture
def requires(client: FlaskClient) -> Callable[..., Any]:
    """Puts the prerequisites of an entry: groups of the ids of entries. Returns the response."""

    def put(entry_id: int, *groups: list[int], concurrent: bool = False) -> Any:
        body = [[{"catalog_id": each, "concurrent_allowed": concurrent} for each in group] for group in groups]
        return client.put(f"/catalog/{entry_id}/prerequisites", json={"groups": body})

    return put


# --- entries ----------------------------------------------------------------------------------------------


def test_an_entry_needs_a_code_a_title_and_credits(client: FlaskClient) -> None:
    created = client.post("/catalog", json=ENTRY)

    body = created.get_json()
    assert (created.status_code, created.headers["Location"]) == (201, f"/catalog/{body['id']}")
    assert {name: body[name] for name in ENTRY} == ENTRY
    assert (body["credits_max"], body["courses_per_term"], body["completions_allowed"]) == (None, 1, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("credits", -1),
        ("credits", 2.555),
        ("credits", 1000),
        ("credits", None),
        ("credits", "3"),
        ("credits", True),
        ("credits_max", 3.5),
        ("credits_max", -1),
        ("courses_per_term", 0),
        ("courses_per_term", 1001),
        ("courses_per_term", 1.0),
        ("completions_allowed", 0),
        ("completions_allowed", True),
        ("code", "x" * 51),
        ("code", "a\x00b"),
        ("title", "\ud800"),
        ("updated_at", "2026-01-01T00:00:00Z"),
        ("prerequisites", []),
    ],
)
def test_a_value_of_an_entry_that_is_not_valid_is_named(client: FlaskClient, field: str, value: Any) -> None:
    assert pointers(client.post("/catalog", json=ENTRY | {field: value})) == [f"/{field}"]


def test_credits_may_be_zero_and_any_number_of_courses_may_be_taken(client: FlaskClient, entry: Make) -> None:
    path = f"/catalog/{entry(credits=0, credits_max=0)}"

    changed = client.patch(path, json={"courses_per_term": None, "completions_allowed": 2}).get_json()

    assert (changed["credits"], changed["credits_max"]) == (0, 0)
    assert (changed["courses_per_term"], changed["completions_allowed"]) == (None, 2)


def test_a_change_cannot_put_the_most_credits_below_the_least(client: FlaskClient, entry: Make) -> None:
    path = f"/catalog/{entry(credits=3, credits_max=4)}"

    assert pointers(client.patch(path, json={"credits": 5})) == ["/credits_max"]
    assert client.patch(path, json={"credits": 5, "credits_max": None}).status_code == 200


def test_entries_are_found_by_words_of_code_and_title(client: FlaskClient, entry: Make) -> None:
    wanted = entry(code="CS 225", title="Data Structures")
    entry(code="MATH 241", title="Calculus")

    for query in ({"q": "structures cs"}, {"code": "CS 225"}):
        found = client.get("/catalog", query_string=query).get_json()["items"]
        assert [each["id"] for each in found] == [wanted]
    assert pointers(client.get("/catalog?title=Calculus")) == ["/title"]


def test_courses_are_found_by_their_entry(client: FlaskClient, entry: Make, course: Make) -> None:
    one, other = entry(), entry()
    wanted = [course(catalog_id=one), course(catalog_id=one)]
    course(catalog_id=other)
    course()

    found = client.get(f"/courses?catalog_id={one}").get_json()["items"]

    assert [each["id"] for each in found] == wanted
    assert pointers(client.post("/courses", json={"code": "X", "title": "X", "catalog_id": 99})) == ["/catalog_id"]


@pytest.mark.parametrize("user", ["course", "prerequisite", "completion"])
def test_an_entry_in_use_cannot_be_deleted(
    client: FlaskClient, entry: Make, course: Make, student: Make, requires: Any, user: str
) -> None:
    used, other = entry(), entry()
    if user == "course":
        course(catalog_id=used)
    elif user == "prerequisite":
        requires(other, [used])
    else:
        completion = {"grade": "A", "passed": True, "credits": 3}
        client.put(f"/students/{student()}/completions/{used}/F25", json=completion)

    assert refusal(client.delete(f"/catalog/{used}")) == (409, "catalog_entry_in_use")
    assert client.delete(f"/catalog/{other}").status_code == 204  # its prerequisites go with it


def test_an_unknown_entry_is_404(client: FlaskClient) -> None:
    for method, path in (("GET", "/catalog/9"), ("GET", "/catalog/9/prerequisites"), ("PATCH", "/catalog/9")):
        response = client.open(path, method=method, json={} if method == "PATCH" else None)
        assert refusal(response) == (404, "catalog_entry_not_found")
    assert refusal(client.put("/catalog/9/prerequisites", json={"groups": []})) == (404, "catalog_entry_not_found")
    assert client.get(f"/catalog/{2**53}").status_code == 404


# --- prerequisites ----------------------------------------------------------------------------------------


def test_prerequisites_are_groups_of_alternatives(client: FlaskClient, entry: Make, group: Make) -> None:
    wanted, one, two, seniors = entry(), entry(), entry(), group()
    path = f"/catalog/{wanted}/prerequisites"
    body = [
        [{"catalog_id": two, "minimum_points": 2.25, "minimum_grade": "C+"}, {"group_id": seniors}],
        [{"catalog_id": one, "concurrent_allowed": True}],
    ]

    changed = client.put(path, json={"groups": body})

    groups = changed.get_json()["groups"]
    assert (changed.status_code, changed.get_json()["warnings"]) == (200, [])
    assert groups == [
        [
            alternative(group_id=seniors),
            alternative(catalog_id=two, minimum_points=2.25, minimum_grade="C+"),
        ],
        [alternative(catalog_id=one, concurrent_allowed=True)],
    ]
    found = client.get(path)
    codes = {each: client.get(f"/catalog/{each}").get_json()["code"] for each in (one, two)}
    senior = client.get(f"/groups/{seniors}").get_json()["code"]
    words = f"(group {senior} or {codes[two]} with C+) and {codes[one]} (concurrent allowed)"
    assert found.get_json() == {"groups": groups, "sentence": words}
    assert (changed.get_json()["sentence"], changed.headers["ETag"]) == (words, found.headers["ETag"])


def test_the_etag_of_prerequisites_is_that_of_their_content(
    client: FlaskClient, entry: Make, requires: Callable[..., Any]
) -> None:
    wanted, one, two = entry(), entry(), entry()
    path = f"/catalog/{wanted}/prerequisites"
    first = requires(wanted, [one, two], [two])

    again = requires(wanted, [two], [two, one])
    stale = client.put(path, json={"groups": []}, headers={"If-Match": '"stale"'})
    emptied = client.put(path, json={"groups": []}, headers={"If-Match": first.headers["ETag"]})

    assert again.headers["ETag"] == first.headers["ETag"]
    assert refusal(stale) == (412, "precondition_failed")
    assert emptied.status_code == 200
    known = client.get(path, headers={"If-None-Match": emptied.headers["ETag"]})
    assert known.status_code == 304


def test_the_sentence_of_prerequisites_has_the_present_code_of_an_entry(
    client: FlaskClient, entry: Make, requires: Callable[..., Any]
) -> None:
    wanted, one = entry(), entry(code="MATH 1")
    before = requires(wanted, [one])
    client.patch(f"/catalog/{one}", json={"code": "MATH 101"})

    path, headers = f"/catalog/{wanted}/prerequisites", {"If-None-Match": before.headers["ETag"]}

    assert before.get_json()["sentence"] == "MATH 1"
    assert client.get(path, headers=headers).get_json()["sentence"] == "MATH 101"
    edited = client.put(path, json={"groups": []}, headers={"If-Match": before.headers["ETag"]})
    assert (edited.status_code, edited.get_json()["sentence"]) == (200, None)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([[{"catalog_id": 1}]], ["/groups/0/0/catalog_id"]),  # itself
        ([[{"catalog_id": 1}, {"catalog_id": 99}]], ["/groups/0/0/catalog_id", "/groups/0/1/catalog_id"]),
        (
            [[{"catalog_id": 2}, {"catalog_id": 99}], [{"group_id": 98}]],
            ["/groups/0/1/catalog_id", "/groups/1/0/group_id"],
        ),
        ([[]], ["/groups/0"]),
        ([[{}]], ["/groups/0/0/catalog_id"]),
        ([[{"catalog_id": 2, "group_id": 1}]], ["/groups/0/0/catalog_id"]),
        ([[{"catalog_id": 2}, {"catalog_id": 2, "minimum_points": 2}]], ["/groups/0/1"]),
        ([[{"catalog_id": 2}], [{"catalog_id": 2}]], ["/groups/1"]),
        ([[{"catalog_id": 2, "minimum_grade": "C"}]], ["/groups/0/0/minimum_grade"]),
        ([[{"group_id": 1, "minimum_points": 2}]], ["/groups/0/0/minimum_points"]),
        ([[{"group_id": 1, "concurrent_allowed": True}]], ["/groups/0/0/concurrent_allowed"]),
        ([[{"catalog_id": 2, "minimum_points": -1}]], ["/groups/0/0/minimum_points"]),
        ([[{"catalog_id": 2, "minimum_points": 2.555}]], ["/groups/0/0/minimum_points"]),
        ([[{"catalog_id": 2, "concurrent_allowed": None}]], ["/groups/0/0/concurrent_allowed"]),
        ([[{"catalog_id": 2**53}]], ["/groups/0/0/catalog_id"]),
        ([[{"catalog_id": True}]], ["/groups/0/0/catalog_id"]),
        ([[{"catalog_id": 2, "required_id": 2}]], ["/groups/0/0/required_id"]),
        ([[{"catalog_id": number} for number in range(2, 203)]], ["/groups/0"]),
        ([[{"catalog_id": number}] for number in range(2, 53)], ["/groups"]),
        ([[2]], ["/groups/0/0"]),
        ([{"catalog_id": 2}], ["/groups/0"]),
        ({}, ["/groups"]),
        (None, ["/groups"]),
    ],
)
def test_prerequisites_that_are_not_valid_are_named(
    client: FlaskClient, entry: Make, group: Make, requires: Any, groups: Any, expected: list[str]
) -> None:
    assert [entry(), entry(), group()] == [1, 2, 1]
    before = requires(1, [2]).headers["ETag"]

    assert pointers(client.put("/catalog/1/prerequisites", json={"groups": groups})) == expected
    assert client.get("/catalog/1/prerequisites").headers["ETag"].partition(".")[0] == before.partition(".")[0]


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "1", "{}"])
def test_prerequisites_are_an_object_with_groups(client: FlaskClient, entry: Make, body: str) -> None:
    response = client.put(f"/catalog/{entry()}/prerequisites", data=body, content_type="application/json")

    assert refusal(response) == (422, "validation_failed")


def test_a_cycle_is_a_warning_and_refuses_nothing(entry: Make, requires: Callable[..., Any]) -> None:
    one, two, three, four = entry(), entry(), entry(), entry()
    requires(one, [two])
    requires(two, [three])
    requires(four, [one])

    response = requires(three, [one])

    assert response.status_code == 200
    assert [(each["code"], each["catalog_ids"]) for each in response.get_json()["warnings"]] == [
        ("prerequisite_cycle", [one, two, three]),
        ("entry_unreachable", [one, two, three]),
    ]
    # An entry that only needs the cycle is no part of it.
    assert [each["code"] for each in requires(four, [one]).get_json()["warnings"]] == ["entry_unreachable"]


def test_entries_that_may_be_taken_together_are_a_cycle_that_students_can_satisfy(
    entry: Make, requires: Callable[..., Any]
) -> None:
    lecture, lab = entry(), entry()
    requires(lecture, [lab], concurrent=True)

    response = requires(lab, [lecture], concurrent=True)

    assert [each["code"] for each in response.get_json()["warnings"]] == ["prerequisite_cycle"]


def test_a_group_of_students_leads_out_of_a_cycle(client: FlaskClient, entry: Make, group: Make, requires: Any) -> None:
    one, two = entry(), entry()
    requires(two, [one])
    groups = [[{"catalog_id": two}, {"group_id": group()}]]

    warnings = client.put(f"/catalog/{one}/prerequisites", json={"groups": groups}).get_json()["warnings"]

    assert warnings == []  # with the placement test, nothing of the cycle is needed


def test_a_group_that_prerequisites_name_cannot_be_deleted(client: FlaskClient, entry: Make, group: Make) -> None:
    wanted, seniors = entry(), group()
    path = f"/catalog/{wanted}/prerequisites"
    client.put(path, json={"groups": [[{"group_id": seniors}]]})

    assert refusal(client.delete(f"/groups/{seniors}")) == (409, "group_in_use")
    client.put(path, json={"groups": []})
    assert client.delete(f"/groups/{seniors}").status_code == 204


def test_the_same_prerequisites_twice_at_the_same_instant_are_one_change(
    app: Flask, client: FlaskClient, entry: Make
) -> None:
    wanted, one = entry(), entry()
    path, body = f"/catalog/{wanted}/prerequisites", {"groups": [[{"catalog_id": one}]]}

    responses = together(app, [lambda client: client.put(path, json=body)] * 4)

    assert [each.status_code for each in responses] == [200] * 4
    assert client.get(path).get_json()["groups"] == [[alternative(catalog_id=one)]]
