"""How many SQL statements each endpoint sends: a number that grows is a service that grows slow."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from course_management.services.enrollment import course_memory

from .support.calls import IN_TRANSACTION, ONE_STATEMENT, OTHER_COUNTS, Call
from .support.fixture_types import Enroll, Make
from .support.spies import watched


@pytest.fixture
def school(student: Make, course: Make, enroll: Enroll) -> None:
    ada, _ = student(), student()
    full, *_ = course(capacity=1), course(), course(capacity=0, waitlist_capacity=5)
    enroll(ada, full)


@pytest.mark.usefixtures("school")
@pytest.mark.parametrize("name", ONE_STATEMENT)
def test_reads_and_simple_writes_are_one_statement(client: FlaskClient, statements: list[str], name: str) -> None:
    response = ONE_STATEMENT[name](client)

    assert response.status_code < 300
    assert len(statements) == 1, statements


@pytest.mark.usefixtures("school")
@pytest.mark.parametrize("name", OTHER_COUNTS)
def test_only_what_needs_more_sends_more(client: FlaskClient, statements: list[str], name: str) -> None:
    expected, call = OTHER_COUNTS[name]

    call(client)

    assert len(statements) == expected, statements


@pytest.mark.usefixtures("school")
def test_a_course_that_refused_is_looked_at_first_and_only_until_it_does_not(
    client: FlaskClient, statements: list[str]
) -> None:
    def enroll() -> tuple[int, int]:
        statements.clear()
        return client.post("/students/2/enroll", json={"course_id": 1}).status_code, len(statements)

    assert enroll() == (409, 2)
    assert enroll() == (409, 1)
    client.delete("/students/1/unenroll?course_id=1")
    assert enroll() == (201, 2)
    client.delete("/students/2/unenroll?course_id=1")
    assert enroll() == (201, 1)


@pytest.mark.usefixtures("school")
def test_positions_are_read_only_for_a_student_who_waits(client: FlaskClient, statements: list[str]) -> None:
    client.post("/students/2/enroll", json={"course_id": 3, "waitlist": True})
    statements.clear()

    listed = client.get("/students/2/courses?status=any").get_json()["courses"]

    assert [course["position"] for course in listed] == [1]
    assert len(statements) == 2, statements


@pytest.fixture
def by_rules(client: FlaskClient, student: Make, course: Make, term: Make) -> None:
    """Student 1, and courses of a term: 1 and 2 have free seats, 3 is full; the service has seen that they have one."""
    fall = term()
    window = {"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z"}
    client.put(f"/terms/{fall}/windows", json=[window])
    _, grace = student(), student()
    for capacity in (5, 5, 0):
        client.post(f"/students/{grace}/enroll", json={"course_id": course(capacity=capacity, term_id=fall)})


@pytest.mark.usefixtures("by_rules")
@pytest.mark.parametrize(
    ("expected", "status", "call"),
    [
        (2, 201, lambda client: client.post("/students/1/enroll", json={"course_id": 1})),  # load, take
        (2, 201, lambda client: client.post("/students/1/enroll", json={"course_ids": [1, 2]})),
        (1, 409, lambda client: client.post("/students/1/enroll", json={"course_id": 3})),
        (1, 409, lambda client: client.post("/students/1/enroll", json={"course_ids": [1, 2, 3]})),
        # Not enrolled: load, and promotion, as this may repeat a request whose promotion failed.
        (2, 200, lambda client: client.delete("/students/1/unenroll?course_id=1")),
    ],
)
def test_by_rules_a_request_loads_and_takes(
    client: FlaskClient, statements: list[str], expected: int, status: int, call: Call
) -> None:
    assert call(client).status_code == status

    assert len(statements) == expected, statements


@pytest.mark.usefixtures("by_rules")
def test_by_rules_an_unenrolling_loads_and_leaves(client: FlaskClient, statements: list[str]) -> None:
    client.post("/students/1/enroll", json={"course_id": 1})
    statements.clear()

    assert client.delete("/students/1/unenroll?course_id=1").status_code == 200
    assert len(statements) == 2, statements


@pytest.mark.usefixtures("school")
def test_in_a_course_that_refused_recently_one_query_finds_that_a_student_is_enrolled(
    client: FlaskClient, statements: list[str]
) -> None:
    assert client.post("/students/2/enroll", json={"course_id": 1}).status_code == 409
    statements.clear()

    response = client.post("/students/1/enroll", json={"course_id": 1})

    assert (response.status_code, response.get_json()["results"][0]["outcome"]) == (200, "already_enrolled")
    assert len(statements) == 1


def test_what_refused_lately_is_forgotten_rather_than_kept_without_end(
    client: FlaskClient, student: Make, course: Make, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course_memory, "SIZE", 2)
    ada, full = student(), [course(capacity=0) for _ in range(3)]

    def cost(course_id: int) -> int:
        statements.clear()
        assert client.post(f"/students/{ada}/enroll", json={"course_id": course_id}).status_code == 409
        return len(statements)

    assert [cost(each) for each in (*full[:2], *full[:2])] == [2, 2, 1, 1]
    assert [cost(each) for each in (full[2], *full[:2])] == [2, 2, 2]


@pytest.mark.usefixtures("school")
@pytest.mark.parametrize("name", IN_TRANSACTION)
def test_a_transaction_sends_what_it_must(client: FlaskClient, statements: list[str], name: str) -> None:
    expected, call = IN_TRANSACTION[name]

    assert call(client).status_code < 300

    assert statements.pop(0).startswith("BEGIN")
    assert len(statements) == expected, statements


@pytest.mark.usefixtures("school")
@pytest.mark.parametrize("name", [*ONE_STATEMENT, *OTHER_COUNTS, *IN_TRANSACTION])
def test_no_endpoint_reads_a_whole_table(backend: str, client: FlaskClient, name: str) -> None:
    """Small data hides it: one list cost 150 ms at 50,000 rows because of the shape of a join."""
    if backend != "sqlite":
        pytest.skip("PostgreSQL reads small tables whole, and rightly so")
    plans: list[str] = []

    def explain(cursor: Any, statement: str, parameters: Any) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[-1] for row in cursor.fetchall())

    call = ONE_STATEMENT.get(name) or {**OTHER_COUNTS, **IN_TRANSACTION}[name][1]
    with watched(before=explain):
        call(client)

    tables = ("student_courses", "enrollment_events", "students", "courses", "queued")
    whole = [plan for plan in plans if plan.split()[:2] in [["SCAN", table] for table in tables]]
    assert whole == [], plans
