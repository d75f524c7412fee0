"""POST /students/{id}/enroll with `permit`: permissions and seats in one transaction, or neither."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from course_management.database import Raced
from course_management.services.enrollment import exchanging

from ..support.fixture_types import Enroll, Held, Make
from ..support.waits import wait_until_blocked

Sql = Callable[..., list[Any]]
PERMIT = {"reason": "Her last term"}
HOLD = {"kind": "financial", "contact": "Bursar's office", "blocks": "enroll"}


def decisions(response: Any) -> list[tuple[str, list[str]]]:
    return [
        (each["outcome"], [reason["code"] for reason in each["reasons"]]) for each in response.get_json()["decisions"]
    ]


@pytest.fixture
def granted(sql: Sql) -> Callable[[], list[Any]]:
    """Read the permissions that are not revoked: student, course, rule, reason, by whom."""
    query = (
        "SELECT student_id, course_id, rule, reason, granted_by FROM permissions WHERE revoked_at IS NULL"
        " ORDER BY course_id, rule"
    )
    return lambda: [tuple(row) for row in sql(query)]


@pytest.fixture
def ledger(sql: Sql) -> Callable[[], list[Any]]:
    query = "SELECT subject, change, actor, request_id FROM rule_events WHERE subject = 'permission' ORDER BY id"
    return lambda: [tuple(row) for row in sql(query)]


def test_a_permit_waives_exactly_what_refuses_each_course_and_enrolls(
    client: FlaskClient,
    student: Make,
    course: Make,
    term: Make,
    open_term: Make,
    group: Make,
    held: Held,
    granted: Any,
    ledger: Any,
) -> None:
    ada, fall, over = student(), open_term(), term()
    permitted, free, plain = course(term_id=fall, permission_required=True), course(term_id=fall), course()
    late = course(term_id=over, closed=True)
    client.put(f"/courses/{late}/restrictions", json=[{"group_id": group()}])

    response = client.post(
        f"/students/{ada}/enroll",
        json={"course_ids": [late, plain, permitted, free], "permit": PERMIT, "reason": "Decision of the dean"},
        headers={"X-Request-ID": "r1"},
    )

    assert response.status_code == 201, response.text
    assert [each["outcome"] for each in response.get_json()["results"]] == ["enrolled"] * 4
    assert set(held(ada)) == {late, plain, permitted, free}
    assert granted() == [
        (ada, permitted, "permission_required", "Her last term", "anonymous"),
        (ada, late, "course_closed", "Her last term", "anonymous"),
        (ada, late, "registration_closed", "Her last term", "anonymous"),
        (ada, late, "restricted", "Her last term", "anonymous"),
    ]
    assert ledger() == [("permission", "granted", "anonymous", "r1")] * 4
    lines = client.get(f"/students/{ada}/history").get_json()["items"]
    assert {line["reason"] for line in lines} == {"Decision of the dean"}, "not the reason of the permit"


def test_a_permit_where_nothing_refuses_grants_nothing(
    client: FlaskClient, student: Make, course: Make, open_term: Make, held: Held, granted: Any, ledger: Any
) -> None:
    ada, plain, termed = student(), course(), course(term_id=open_term())

    for wanted in (plain, termed):
        body = {"course_id": wanted, "permit": PERMIT}
        assert client.post(f"/students/{ada}/enroll", json=body).status_code == 201

    assert (set(held(ada)), granted(), ledger()) == ({plain, termed}, [], [])


def test_repeating_a_permit_changes_nothing(
    client: FlaskClient, student: Make, course: Make, term: Make, granted: Any, ledger: Any
) -> None:
    ada, late = student(), course(term_id=term())
    body = {"course_id": late, "permit": PERMIT}

    first, second = (client.post(f"/students/{ada}/enroll", json=body) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.get_json()["results"] == [{"course_id": late, "outcome": "already_enrolled"}]
    assert (len(granted()), len(ledger())) == (1, 1)


@pytest.mark.parametrize("obstacle", ["hold", "full", "unknown"])
def test_what_cannot_be_waived_refuses_and_leaves_no_permission(
    client: FlaskClient,
    student: Make,
    course: Make,
    term: Make,
    held: Held,
    granted: Any,
    ledger: Any,
    obstacle: str,
) -> None:
    ada, fall = student(), term()
    late, other = course(term_id=fall), course(term_id=fall, capacity=0 if obstacle == "full" else None)
    if obstacle == "hold":
        client.post(f"/students/{ada}/holds", json=HOLD)
    wanted = [late, 999_999 if obstacle == "unknown" else other]
    body = {"course_ids": wanted, "permit": PERMIT}

    response = client.post(f"/students/{ada}/enroll", json=body)
    dry = client.post(f"/students/{ada}/enroll?dry_run=true", json=body)

    code = {"hold": "hold", "full": "course_full", "unknown": "course_not_found"}[obstacle]
    first = ("refused", ["hold"]) if obstacle == "hold" else ("eligible", [])
    assert response.status_code == (404 if obstacle == "unknown" else 409)
    assert decisions(response) == [first, ("refused", [code])], "only what a permission cannot waive"
    assert response.get_json()["decisions"] == dry.get_json()["decisions"]
    assert (held(ada), granted(), ledger()) == ({}, [], [])


def test_a_permit_for_a_student_who_does_not_exist_is_404(
    client: FlaskClient, course: Make, term: Make, granted: Any
) -> None:
    body = {"course_id": course(term_id=term()), "permit": PERMIT}

    for query in ("", "?dry_run=true"):
        response = client.post(f"/students/999/enroll{query}", json=body)
        assert (response.status_code, response.get_json()["code"]) == (404, "student_not_found")
    assert granted() == []


def test_a_permit_of_a_dry_run_says_what_would_be_and_grants_nothing(
    client: FlaskClient, student: Make, course: Make, term: Make, held: Held, granted: Any, ledger: Any
) -> None:
    ada, late = student(), course(term_id=term())

    without, permitted = (
        client.post(f"/students/{ada}/enroll?dry_run=true", json={"course_id": late, **more})
        for more in ({}, {"permit": PERMIT})
    )

    assert decisions(without) == [("refused", ["registration_closed"])]
    assert decisions(permitted) == [("eligible", [])]
    assert (held(ada), granted(), ledger()) == ({}, [], [])


def test_a_permit_joins_a_waitlist_too(
    client: FlaskClient, student: Make, course: Make, open_term: Make, granted: Any
) -> None:
    ada, fall = student(), open_term()
    full = course(term_id=fall, permission_required=True, capacity=0, waitlist_capacity=5)

    response = client.post(f"/students/{ada}/enroll", json={"course_id": full, "waitlist": True, "permit": PERMIT})

    assert response.get_json()["results"] == [{"course_id": full, "outcome": "waitlisted", "position": 1}]
    assert [row[2] for row in granted()] == ["permission_required"]


def test_an_expired_permission_gives_way_to_that_of_a_permit(
    client: FlaskClient, student: Make, course: Make, term: Make, sql: Sql, granted: Any, ledger: Any
) -> None:
    ada, late = student(), course(term_id=term())
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    old = {"course_id": late, "rule": "registration_closed", "reason": "Old", "expires_at": tomorrow}
    assert client.post(f"/students/{ada}/permissions", json=old).status_code == 201
    sql("UPDATE permissions SET expires_at = '2020-01-01 00:00:00.000000'")

    response = client.post(f"/students/{ada}/enroll", json={"course_id": late, "permit": PERMIT})

    assert response.status_code == 201
    assert granted() == [(ada, late, "registration_closed", "Her last term", "anonymous")]
    assert [line[1] for line in ledger()] == ["granted", "expired", "granted"]


def test_a_live_permission_is_kept_and_only_the_others_are_granted(
    client: FlaskClient, student: Make, course: Make, term: Make, granted: Any
) -> None:
    ada, late = student(), course(term_id=term(), permission_required=True)
    known = {"course_id": late, "rule": "permission_required", "reason": "An equivalent course"}
    client.post(f"/students/{ada}/permissions", json=known)

    client.post(f"/students/{ada}/enroll", json={"course_id": late, "permit": PERMIT})

    assert [row[2:4] for row in granted()] == [
        ("permission_required", "An equivalent course"),
        ("registration_closed", "Her last term"),
    ]


def test_a_permit_meets_students_who_wait_beside_a_free_seat_and_promotes_them_first(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, sql: Sql
) -> None:
    waiting, ada, full = student(), student(), course(capacity=0, waitlist_capacity=1)
    enroll(waiting, full, waitlist=True)
    sql("UPDATE courses SET capacity = 2")  # by hand: nobody was promoted

    response = client.post(f"/students/{ada}/enroll", json={"course_id": full, "permit": PERMIT})

    assert (response.status_code, held(waiting), held(ada)) == (201, {full: "enrolled"}, {full: "enrolled"})


def test_a_permit_whose_seats_cannot_be_taken_leaves_no_permission(
    client: FlaskClient,
    student: Make,
    course: Make,
    term: Make,
    held: Held,
    granted: Any,
    ledger: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What fails after the permissions were written, as a statement of the seats that finds something changed."""
    ada, late = student(), course(term_id=term())

    def take(*_: Any) -> Any:
        raise Raced

    monkeypatch.setattr(exchanging, "_apply_enrolling", take)

    response = client.post(f"/students/{ada}/enroll", json={"course_id": late, "permit": PERMIT})

    assert response.status_code == 503
    assert (held(ada), granted(), ledger()) == ({}, [], [])


@pytest.mark.parametrize("count", [2, 4])
def test_permits_at_the_same_moment_grant_one_permission_and_all_get_a_good_answer(
    app: Flask, student: Make, course: Make, term: Make, held: Held, granted: Any, ledger: Any, count: int
) -> None:
    ada, late = student(), course(term_id=term(), capacity=1)

    def permit(_: int) -> Any:
        return app.test_client().post(f"/students/{ada}/enroll", json={"course_id": late, "permit": PERMIT})

    with ThreadPoolExecutor(count) as pool:
        responses = list(pool.map(permit, range(count)))

    assert sorted(each.status_code for each in responses) == [200] * (count - 1) + [201]
    found = sorted(each.get_json()["results"][0]["outcome"] for each in responses)
    assert found == ["already_enrolled"] * (count - 1) + ["enrolled"]
    assert (held(ada), len(granted()), len(ledger())) == ({late: "enrolled"}, 1, 1)


def test_a_permit_that_waited_for_another_of_its_student_decides_on_what_is_then(
    app: Flask, backend: str, engine: Engine, student: Make, course: Make, term: Make, granted: Any
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    ada, late = student(), course(term_id=term(), permission_required=True)
    with ThreadPoolExecutor(1) as pool, engine.connect() as rival:
        rival.execute(text("SELECT id FROM students WHERE id = :id FOR NO KEY UPDATE"), {"id": ada})
        body = {"course_id": late, "permit": PERMIT}
        waiting = pool.submit(lambda: app.test_client().post(f"/students/{ada}/enroll", json=body))
        wait_until_blocked(engine)
        rival.execute(
            text(
                "INSERT INTO permissions (student_id, course_id, rule, reason)"
                " VALUES (:ada, :late, 'permission_required', 'Another office')"
            ),
            {"ada": ada, "late": late},
        )
        rival.commit()

        assert waiting.result().status_code == 201
    assert [row[2:4] for row in granted()] == [
        ("permission_required", "Another office"),
        ("registration_closed", "Her last term"),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"permit": None}, "/permit"),
        ({"permit": {}}, "/permit/reason"),
        ({"permit": []}, "/permit"),
        ({"permit": "because"}, "/permit"),
        ({"permit": True}, "/permit"),
        ({"permit": {"reason": None}}, "/permit/reason"),
        ({"permit": {"reason": " "}}, "/permit/reason"),
        ({"permit": {"reason": 7}}, "/permit/reason"),
        ({"permit": {"reason": "x" * 501}}, "/permit/reason"),
        ({"permit": {"reason": "a\x00b"}}, "/permit/reason"),
        ({"permit": {"reason": "a\ud800"}}, "/permit/reason"),
        ({"permit": {"reason": "a", "rule": "hold"}}, "/permit/rule"),
    ],
)
def test_a_permit_that_is_not_valid_is_refused(
    client: FlaskClient, student: Make, course: Make, term: Make, granted: Any, body: dict[str, Any], pointer: str
) -> None:
    response = client.post(f"/students/{student()}/enroll", json={"course_id": course(term_id=term()), **body})

    assert response.status_code == 422, response.text
    assert [each["pointer"] for each in response.get_json()["errors"]] == [pointer]
    assert granted() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_only_an_enroll_takes_a_permit(client: FlaskClient, student: Make, course: Make, method: str) -> None:
    path = f"/students/{student()}/{'unenroll' if method == 'DELETE' else 'enroll'}"

    response = client.open(path, method=method, json={"course_ids": [course()], "permit": PERMIT})

    assert [each["pointer"] for each in response.get_json()["errors"]] == ["/permit"]
