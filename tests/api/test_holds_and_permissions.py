"""Holds and permissions of students, and the lines that they leave in the ledger of rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from course_management.services.enrollment.rules import RULES, waivable

from ..support.fixture_types import Enroll
from ..support.responses import pointers, refusal

Make = Callable[..., int]
Sql = Callable[..., list[Any]]
HOLD = {"kind": "financial", "contact": "Bursar's office", "blocks": "enroll"}


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def permission(course_id: int, **values: Any) -> dict[str, Any]:
    return {"course_id": course_id, "rule": "permission_required", "reason": "An equivalent course", **values}


@pytest.fixture
def ledger(sql: Sql) -> Callable[[], list[Any]]:
    """Read what changed, to which row, by whom, in which request."""
    lines = "SELECT subject, subject_id, change, actor, request_id FROM rule_events ORDER BY id"
    return lambda: [tuple(line) for line in sql(lines)]


# --- holds ------------------------------------------------------------------------------------------------


def test_a_hold_is_placed_listed_and_released(
    client: FlaskClient, student: Make, ledger: Callable[[], list[Any]]
) -> None:
    path = f"/students/{student()}/holds"

    placed = client.post(path, json=HOLD | {"note": "Invoice 4711"}, headers={"X-Request-ID": "r1"})
    number = placed.get_json()["id"]
    first = client.delete(f"{path}/{number}", headers={"X-Request-ID": "r2"})
    (released,) = client.get(path).get_json()["items"]
    second = client.delete(f"{path}/{number}", headers={"X-Request-ID": "r3"})

    assert (placed.status_code, placed.headers["Location"]) == (201, f"{path}/{number}")
    assert {name: placed.get_json()[name] for name in HOLD} == HOLD
    assert (placed.get_json()["placed_by"], placed.get_json()["released_at"]) == ("anonymous", None)
    assert (first.status_code, second.status_code) == (204, 204)
    assert released["released_by"] == "anonymous"
    assert [released] == client.get(path).get_json()["items"], "the second release changes nothing"
    assert ledger() == [
        ("hold", number, "placed", "anonymous", "r1"),
        ("hold", number, "released", "anonymous", "r2"),
    ]


def test_the_ledger_keeps_what_a_hold_was_and_not_its_note(client: FlaskClient, student: Make, sql: Sql) -> None:
    client.post(f"/students/{student()}/holds", json=HOLD | {"note": "Invoice 4711"})

    ((facts,),) = sql("SELECT facts FROM rule_events")

    assert "Bursar's office" in str(facts)
    assert "4711" not in str(facts)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"contact": None}, "/contact"),
        ({"contact": " "}, "/contact"),
        ({"kind": "x" * 51}, "/kind"),
        ({"note": "x" * 1001}, "/note"),
        ({"note": "a\x00"}, "/note"),
        ({"blocks": "everything"}, "/blocks"),
        ({"blocks": ["enroll"]}, "/blocks"),
        ({"blocks": None}, "/blocks"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until"),
        ({"until": "2030-01-01"}, "/until"),
        ({"placed_by": "registrar:1"}, "/placed_by"),
        ({"released_at": "2030-01-01T00:00:00Z"}, "/released_at"),
    ],
)
def test_a_hold_that_is_not_valid_is_refused(
    client: FlaskClient, student: Make, values: dict[str, Any], expected: str
) -> None:
    path = f"/students/{student()}/holds"

    assert pointers(client.post(path, json=HOLD | values)) == [expected]
    assert client.get(path).get_json()["items"] == []


def test_a_hold_needs_a_contact(client: FlaskClient, student: Make) -> None:
    assert pointers(client.post(f"/students/{student()}/holds", json={})) == ["/blocks", "/contact", "/kind"]


def test_a_hold_of_another_student_or_none_is_404(client: FlaskClient, student: Make) -> None:
    ada, alan = student(), student()
    number = client.post(f"/students/{ada}/holds", json=HOLD).get_json()["id"]

    assert refusal(client.delete(f"/students/{alan}/holds/{number}")) == (404, "hold_not_found")
    assert refusal(client.delete(f"/students/{ada}/holds/999")) == (404, "hold_not_found")
    assert refusal(client.delete(f"/students/999/holds/{number}")) == (404, "student_not_found")
    assert refusal(client.post("/students/999/holds", json=HOLD)) == (404, "student_not_found")
    assert refusal(client.get("/students/999/holds")) == (404, "student_not_found")
    assert client.delete(f"/students/{ada}/holds/{2**53}").status_code == 404


def test_the_holds_of_a_student_have_pages(client: FlaskClient, student: Make) -> None:
    path = f"/students/{student()}/holds"
    numbers = [client.post(path, json=HOLD).get_json()["id"] for _ in range(3)]

    first = client.get(f"{path}?limit=2").get_json()
    second = client.get(path, query_string={"limit": 2, "after": first["next"]}).get_json()

    assert [each["id"] for each in first["items"] + second["items"]] == numbers
    assert second["next"] is None
    assert client.get(f"{path}?kind=financial").status_code == 422


def test_the_holds_and_permissions_of_a_student_go_with_the_student_and_the_ledger_stays(
    client: FlaskClient, student: Make, course: Make, group: Make, sql: Sql
) -> None:
    ada = student()
    client.post(f"/students/{ada}/holds", json=HOLD)
    client.post(f"/students/{ada}/permissions", json=permission(course()))
    client.put(f"/students/{ada}/groups", json=[group()])

    assert client.delete(f"/students/{ada}").status_code == 204

    for table in ("holds", "permissions", "student_groups"):
        assert sql(f"SELECT * FROM {table}") == []
    assert sql("SELECT count(*) FROM rule_events") == [(3,)]


# --- permissions ------------------------------------------------------------------------------------------


def test_a_permission_is_granted_listed_and_revoked(
    client: FlaskClient, student: Make, course: Make, ledger: Callable[[], list[Any]]
) -> None:
    path, body = f"/students/{student()}/permissions", permission(course(), expires_at=in_days(30))

    granted = client.post(path, json=body, headers={"X-Request-ID": "r1"})
    number = granted.get_json()["id"]
    statuses = [client.delete(f"{path}/{number}", headers={"X-Request-ID": each}).status_code for each in ("r2", "r3")]
    (revoked,) = client.get(path).get_json()["items"]
    again = client.post(path, json=body, headers={"X-Request-ID": "r4"})

    assert (granted.status_code, granted.headers["Location"]) == (201, f"{path}/{number}")
    assert granted.get_json()["reason"] == "An equivalent course"
    assert statuses == [204, 204]
    assert revoked["revoked_by"] == "anonymous"
    assert again.status_code == 201
    assert ledger() == [
        ("permission", number, "granted", "anonymous", "r1"),
        ("permission", number, "revoked", "anonymous", "r2"),
        ("permission", again.get_json()["id"], "granted", "anonymous", "r4"),
    ]


def test_a_second_permission_for_the_same_rule_of_the_course_is_refused(
    client: FlaskClient, student: Make, course: Make
) -> None:
    ada, programming = student(), course()
    path = f"/students/{ada}/permissions"
    first = client.post(path, json=permission(programming)).get_json()["id"]

    second = client.post(path, json=permission(programming, reason="Another reason"))

    assert (*refusal(second), second.get_json()["existing_id"]) == (409, "permission_exists", first)
    for other in (permission(programming, rule="course_closed"), permission(course())):
        assert client.post(path, json=other).status_code == 201
    assert client.post(f"/students/{student()}/permissions", json=permission(programming)).status_code == 201


def test_an_expired_permission_gives_way_to_a_new_one(
    client: FlaskClient, student: Make, course: Make, sql: Sql, ledger: Callable[[], list[Any]]
) -> None:
    path, body = f"/students/{student()}/permissions", permission(course())
    old = client.post(path, json=body | {"expires_at": in_days(1)}).get_json()["id"]
    sql("UPDATE permissions SET expires_at = '2020-01-01 00:00:00.000000'")

    new = client.post(path, json=body)

    assert new.status_code == 201
    assert [each["revoked_at"] is None for each in client.get(path).get_json()["items"]] == [False, True]
    assert [line[:3] for line in ledger()] == [
        ("permission", old, "granted"),
        ("permission", old, "expired"),
        ("permission", new.get_json()["id"], "granted"),
    ]


@pytest.mark.parametrize("code", [*sorted({each.code for each in RULES} - waivable()), "course_full", "nonsense"])
def test_a_rule_that_cannot_be_waived_is_refused(client: FlaskClient, student: Make, course: Make, code: str) -> None:
    response = client.post(f"/students/{student()}/permissions", json=permission(course(), rule=code))

    assert pointers(response) == ["/rule"]
    assert "permission_required" in response.get_json()["errors"][0]["detail"]


def test_the_rules_that_can_be_waived(client: FlaskClient, student: Make, course: Make) -> None:
    ada, programming = student(), course()

    for code in waivable():
        body = permission(programming, rule=code)
        assert client.post(f"/students/{ada}/permissions", json=body).status_code == 201


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"course_id": 999}, ["/course_id"]),
        ({"course_id": 999, "rule": "hold"}, ["/course_id", "/rule"]),
        ({"course_id": 2**53}, ["/course_id"]),
        ({"reason": None}, ["/reason"]),
        ({"reason": ""}, ["/reason"]),
        ({"expires_at": "2020-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"granted_by": "registrar:1"}, ["/granted_by"]),
    ],
)
def test_a_permission_that_is_not_valid_is_refused(
    client: FlaskClient, student: Make, course: Make, values: dict[str, Any], expected: list[str]
) -> None:
    path = f"/students/{student()}/permissions"

    assert pointers(client.post(path, json=permission(course()) | values)) == expected
    assert client.get(path).get_json()["items"] == []


def test_a_permission_of_another_student_or_none_is_404(client: FlaskClient, student: Make, course: Make) -> None:
    ada, alan = student(), student()
    number = client.post(f"/students/{ada}/permissions", json=permission(course())).get_json()["id"]

    assert refusal(client.delete(f"/students/{alan}/permissions/{number}")) == (404, "permission_not_found")
    assert refusal(client.delete(f"/students/999/permissions/{number}")) == (404, "student_not_found")
    assert refusal(client.post("/students/999/permissions", json=permission(1))) == (404, "student_not_found")
    assert refusal(client.get("/students/999/permissions")) == (404, "student_not_found")


# --- promotion --------------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[FlaskClient, int, int], Any]] = {
    "hold": lambda client, ada, _: client.delete(f"/students/{ada}/holds/1"),
    "permission": lambda client, ada, course: client.post(f"/students/{ada}/permissions", json=permission(course)),
    "group": lambda client, ada, _: client.put(f"/students/{ada}/groups", json=[1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_about_a_student_who_was_passed_over_takes_the_mark_away(
    client: FlaskClient, student: Make, course: Make, term: Make, group: Make, enroll: Enroll, sql: Sql, change: str
) -> None:
    ada, alan, programming = student(), student(), course(capacity=1, waitlist_capacity=9)
    group()
    assert client.post(f"/students/{ada}/holds", json=HOLD).get_json()["id"] == 1
    for each in (student(), ada, alan):
        enroll(each, programming, waitlist=True)
    client.patch(f"/courses/{programming}", json={"term_id": term()})
    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP WHERE queue_number > 0")
    enrollment = f"SELECT status_since, queue_number, revision FROM student_courses WHERE student_id = {ada}"
    before = sql(enrollment)
    revision = sql(f"SELECT schedule_revision FROM students WHERE id = {ada}")[0][0]

    assert CHANGES[change](client, ada, programming).status_code < 300

    marked = "SELECT student_id FROM student_courses WHERE passed_over_at IS NOT NULL"
    assert sql(marked) == [(alan,)]
    assert client.get(f"/courses/{programming}").get_json()["passed_over_count"] == 1
    assert sql(enrollment) == before
    assert sql(f"SELECT schedule_revision FROM students WHERE id = {ada}")[0][0] > revision


def test_a_change_of_a_course_or_its_term_begins_a_round_of_promotion(
    client: FlaskClient, student: Make, course: Make, term: Make, group: Make, enroll: Enroll, sql: Sql
) -> None:
    fall, programming = term(), course(capacity=1, waitlist_capacity=9)
    for _ in range(2):
        enroll(student(), programming, waitlist=True)
    client.patch(f"/courses/{programming}", json={"term_id": fall})
    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP WHERE queue_number > 0")
    seen = set()
    for method, path, body in (
        ("PATCH", f"/courses/{programming}", {"title": "Logic"}),
        ("PUT", f"/courses/{programming}/restrictions", [{"group_id": group()}]),
        ("PATCH", f"/terms/{fall}", {"promote_until": "2026-09-08T22:00:00Z"}),
    ):
        assert client.open(path, method=method, json=body).status_code == 200
        ((round_at,),) = sql("SELECT promotion_round_at FROM courses")
        assert round_at is not None
        assert round_at not in seen
        seen.add(round_at)
