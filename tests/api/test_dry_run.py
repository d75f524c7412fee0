"""POST /students/{id}/enroll?dry_run=true: the decisions, whatever they are, without a lock or a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from ..support.fixture_types import Enroll, Held, Make

Sql = Callable[..., list[Any]]
TABLES = ("students", "courses", "student_courses", "enrollment_events", "permissions", "rule_events")


@pytest.fixture
def rows(sql: Sql) -> Callable[[], list[Any]]:
    """Read all that enrolling could change."""
    return lambda: [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES]


@pytest.fixture
def dry_run(client: FlaskClient) -> Callable[..., Any]:
    def call(student_id: int, *course_ids: int, **body: Any) -> Any:
        return client.post(f"/students/{student_id}/enroll?dry_run=true", json={"course_ids": course_ids, **body})

    return call


def outcomes(response: Any) -> list[tuple[str, list[str]]]:
    return [
        (each["outcome"], [reason["code"] for reason in each["reasons"]]) for each in response.get_json()["decisions"]
    ]


@pytest.mark.parametrize("waitlist", [False, True])
def test_a_dry_run_gives_the_decisions_of_the_refusal_and_changes_nothing(
    student: Make,
    course: Make,
    term: Make,
    open_term: Make,
    enroll: Enroll,
    dry_run: Any,
    rows: Any,
    waitlist: bool,
) -> None:
    ada, alan, fall = student(), student(), open_term()
    full, held, waiting = course(capacity=1), course(), course(capacity=0, waitlist_capacity=1)
    free, permitted = course(term_id=fall), course(term_id=fall, permission_required=True)
    closed = course(term_id=term(), capacity=0, closed=True)
    enroll(alan, full)
    enroll(ada, held, waiting, waitlist=True)
    wanted = (full, held, waiting, free, permitted, closed, 999_999)
    before = rows()

    response = dry_run(ada, *wanted, waitlist=waitlist)
    refused = enroll(ada, *wanted, waitlist=waitlist)

    assert (response.status_code, set(response.get_json())) == (200, {"student_id", "decisions"})
    assert response.get_json()["student_id"] == ada
    assert response.get_json()["decisions"] == refused.get_json()["decisions"]
    assert outcomes(response) == [
        ("refused", ["course_full"]),
        ("already_enrolled", []),
        ("already_waitlisted", []),
        ("eligible", []),
        ("refused", ["permission_required"]),
        ("refused", ["registration_closed", "course_closed", "course_full"]),
        ("refused", ["course_not_found"]),
    ]
    assert rows() == before


def test_a_dry_run_of_what_would_be_enrolled_changes_nothing(
    student: Make, course: Make, open_term: Make, dry_run: Any, rows: Any, statements: list[str]
) -> None:
    ada, plain, termed = student(), course(), course(term_id=open_term())
    before = rows()
    statements.clear()

    for wanted in ([plain], [termed], [plain, termed]):
        assert outcomes(dry_run(ada, *wanted)) == [("eligible", [])] * len(wanted)

    assert [each for each in statements if not each.startswith("SELECT")] == []
    assert rows() == before


def test_the_student_of_a_dry_run_must_exist(course: Make, open_term: Make, dry_run: Any) -> None:
    for course_id in (course(), course(term_id=open_term()), 999_999):
        response = dry_run(999_999, course_id)
        assert (response.status_code, response.get_json()["code"]) == (404, "student_not_found")


def test_a_dry_run_waits_for_no_lock(
    make_app: Callable[..., Flask],
    database: URL,
    backend: str,
    student: Make,
    course: Make,
    open_term: Make,
) -> None:
    client = make_app(database_lock_timeout_ms=100, database_deadline_ms=300).test_client()
    ada, wanted = student(), [course(), course(term_id=open_term())]
    path, body = f"/students/{ada}/enroll", {"course_ids": wanted, "permit": {"reason": "Her last term"}}
    rival = create_engine(database, isolation_level="AUTOCOMMIT")
    with rival.connect() as holder:
        if backend == "sqlite":
            holder.execute(text("BEGIN IMMEDIATE"))
        else:
            holder.execute(text("BEGIN"))
            holder.execute(text("SELECT * FROM courses FOR UPDATE"))
            holder.execute(text("SELECT * FROM students FOR UPDATE"))

        dry = client.post(f"{path}?dry_run=true", json=body)
        real = client.post(path, json=body)

        holder.execute(text("ROLLBACK"))
    rival.dispose()
    assert (dry.status_code, outcomes(dry)) == (200, [("eligible", []), ("eligible", [])])
    assert real.status_code == 503, "the control: the real one waits for the lock, in vain"


@pytest.mark.parametrize("query", ["dry_run=yes", "dry_run=", "dry_run=1", "dry_run=true&dry_run=true", "dryrun=true"])
def test_another_query_is_refused_and_enrolls_no_student(
    client: FlaskClient, student: Make, course: Make, held: Held, query: str
) -> None:
    ada = student()

    response = client.post(f"/students/{ada}/enroll?{query}", json={"course_ids": [course()]})

    assert (response.status_code, response.get_json()["code"]) == (422, "validation_failed")
    assert [each["pointer"] for each in response.get_json()["errors"]] == [f"/{query.partition('=')[0]}"]
    assert held(ada) == {}
