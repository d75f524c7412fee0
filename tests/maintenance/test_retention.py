"""`terms purge`: what an old term no longer needs is deleted, and the academic record stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import URL, text

from course_management.maintenance import ledger_seal

from .test_copying import content, opened

Run = Callable[..., Result]
PAST = {"starts_on": "2020-01-01", "ends_on": "2020-06-30"}


@pytest.fixture
def old_term(
    client: FlaskClient, run: Run, database: URL, student: Callable[..., int], course: Callable[..., int],
    open_term: Callable[..., int],
) -> int:  # fmt: skip
    """Make a term that has ended, with a course in which students are enrolled, waiting, and have dropped; its id."""
    term_id = open_term(code="2020-spring")
    course_id = course(term_id=term_id, capacity=1, waitlist_capacity=5)
    people = [student() for _ in range(3)]
    for student_id in people:
        body = {"course_id": course_id, "waitlist": True, "reason": f"Reason {student_id}"}
        assert client.post(f"/students/{student_id}/enroll", json=body).status_code == 201
    permission = {"course_id": course_id, "rule": "time_conflict", "reason": "Confidential"}
    assert client.post(f"/students/{people[0]}/permissions", json=permission).status_code == 201
    assert client.put(f"/students/{people[0]}/terms/{term_id}", json={"credit_limit": 21}).status_code in {200, 201}
    assert client.delete(f"/students/{people[2]}/unenroll", json={"course_id": course_id}).status_code == 200
    assert client.patch(f"/terms/{term_id}", json=PAST, headers={"If-Match": "*"}).status_code == 200
    assert run("verify").exit_code == 0
    with opened(database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM student_courses")) == 3
    return term_id


def test_a_dry_run_counts_what_a_purge_then_deletes(run: Run, database: URL, old_term: int) -> None:
    with opened(database) as connection:
        before = content(connection)

    planned = run("terms", "purge", "2020-spring")

    assert planned.exit_code == 0, planned.output
    with opened(database) as connection:
        assert content(connection) == before
    done = run("terms", "purge", "2020-spring", "--apply")
    assert done.exit_code == 0, done.output
    assert [line for line in planned.output.splitlines() if line[:2] == "  "] == [
        line for line in done.output.splitlines() if line[:2] == "  "
    ]
    again = run("terms", "purge", "2020-spring")
    assert not [line for line in again.output.splitlines() if line[:2] == "  " and "facts" not in line]
    assert old_term


def test_the_record_stays_and_reasons_are_gone(run: Run, database: URL, client: FlaskClient, old_term: int) -> None:
    with opened(database) as connection:
        lines = connection.scalar(text("SELECT max(id) FROM enrollment_events"))
        seal = ledger_seal.make(connection, lines)

    assert run("terms", "purge", "--ended-before", "2021-01-01", "--apply").exit_code == 0

    with opened(database) as connection:
        after = content(connection)
        sealed = ledger_seal.make(connection, lines)
        rows = connection.execute(text("SELECT student_id, status, reason FROM student_courses")).all()
    assert [tuple(row) for row in rows] == [(1, "enrolled", None)]
    assert not {"permissions", "student_terms", "registration_windows"} & {name for name, of in after.items() if of}
    assert "Reason 1" not in repr(after)
    assert "Confidential" not in repr(after)
    assert ledger_seal.differences(seal, sealed) == []
    assert [each["reasons_erased"] for each in ledger_seal.erasures(seal, sealed)] == [3]
    assert run("verify").exit_code == 0
    assert client.get("/courses/1").get_json()["seats_taken"] == 1
    assert old_term


def test_a_term_that_has_not_ended_is_refused(run: Run, open_term: Callable[..., int]) -> None:
    open_term(code="now")

    result = run("terms", "purge", "now", "--apply")

    assert result.exit_code == 1
    assert "Only a term that has ended can be purged" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name the terms by their codes"),
        (["x", "--ended-before", "2021-01-01"], "Name the terms by their codes"),
        (["missing"], "there is no term missing"),
        (["--ended-before", "yesterday"], "does not match the format"),
    ],
)
def test_wrong_arguments_are_a_sentence(run: Run, arguments: list[Any], sentence: str) -> None:
    result = run("terms", "purge", *arguments)

    assert result.exit_code == 2
    assert sentence in result.output
