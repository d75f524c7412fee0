"""`recheck` lists the enrollments of a term that the rules would refuse today, and `verify` notes them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.maintenance import verify
from course_management.repositories import enrolled_students

from ..support.commands import DONE, REFUSED, WRONG, Run
from ..support.fixture_types import Enroll, Make, Sql

MONDAY = {"weekday": 1, "starts": "09:00", "ends": "10:00", "starts_on": "2026-09-07", "ends_on": "2026-12-14"}
CODES = {"prerequisite_missing", "linked_course_missing", "time_conflict", "credit_limit_exceeded"}


@pytest.fixture
def school(
    client: FlaskClient, open_term: Make, entry: Make, course: Make, student: Make, enroll: Enroll
) -> SimpleNamespace:
    """A student in a lecture with its lab, and in another course; and one in the other course alone."""
    term = open_term(code="T")
    basics, advanced = entry(code="BASICS"), entry(code="ADVANCED")
    made = SimpleNamespace(
        term=term,
        basics=basics,
        lecture=course(code="LEC", term_id=term, catalog_id=advanced, component="LEC", credits=3),
        lab=course(code="LAB", term_id=term, component="LAB", credits=1),
        other=course(code="OTH", term_id=term, credits=2.5),
        ada=student(),
        ben=student(),
    )
    completion = {"grade": "B", "points": 3, "passed": True, "credits": 3}
    for path, body in (
        (f"/catalog/{advanced}/prerequisites", {"groups": [[{"catalog_id": basics, "minimum_points": 2}]]}),
        (f"/students/{made.ada}/completions/{basics}/past", completion),
        (f"/courses/{made.lecture}/links", {"groups": [[made.lab]]}),
        (f"/courses/{made.lecture}/meetings", [MONDAY]),
        (f"/courses/{made.other}/meetings", [MONDAY | {"weekday": 2}]),
        (f"/students/{made.ada}/terms/{term}", {"credit_limit": 6.5}),
    ):
        assert client.put(path, json=body).status_code in {200, 201}, path
    assert enroll(made.ada, made.lecture, made.lab, made.other).status_code == 201
    assert enroll(made.ben, made.other).status_code == 201
    return made


@pytest.fixture
def rows(run: Run, tmp_path: Path) -> Callable[[], list[tuple[int, int, str]]]:
    """Run the command; the rows of its report: student, course, code."""

    def read() -> list[tuple[int, int, str]]:
        report = tmp_path / "report.csv"
        result = run("recheck", "--term", "T", "--report", report)
        with report.open(encoding="utf-8", newline="") as file:
            found = [(int(row["student_id"]), int(row["course_id"]), row["rule"]) for row in csv.DictReader(file)]
        assert result.exit_code == (REFUSED if found else DONE), result.output
        return found

    return read


@pytest.fixture
def noted(app: Flask) -> Callable[[], dict[str, Any]]:
    """Return the evidence of each note of `verify` about rules."""

    def find() -> dict[str, Any]:
        with app.app_context():
            findings = {each.name: each for each in verify.verify()}
        assert [each.name for each in findings.values() if each.verdict == "BROKEN"] == []
        return {name: each.evidence for name, each in findings.items() if each.evidence}

    return find


def break_everything(client: FlaskClient, school: SimpleNamespace) -> None:
    """Change what the enrollments of the student depended on, beside them."""
    client.delete(f"/students/{school.ada}/completions/{school.basics}/past")
    client.put(f"/courses/{school.other}/meetings", json=[MONDAY | {"starts": "09:30", "ends": "11:00"}])
    client.put(f"/students/{school.ada}/terms/{school.term}", json={"credit_limit": 6})
    client.put(f"/courses/{school.other}/links", json={"groups": [[school.lab]]})


def test_enrollments_that_the_rules_still_allow_are_not_listed(
    run: Run,
    school: SimpleNamespace,
    noted: Any,
) -> None:
    result = run("recheck", "--term", "T")

    assert result.output.splitlines() == [
        "Rechecked 2 students with 4 enrollments in T.",
        "The rules refuse none of them.",
    ]
    assert (result.exit_code, noted()) == (DONE, {})
    assert school.ada < school.ben


def test_what_was_changed_since_is_listed_and_noted(
    client: FlaskClient, school: SimpleNamespace, rows: Any, noted: Any, sql: Sql
) -> None:
    break_everything(client, school)
    ledger = sql("SELECT count(*) FROM enrollment_events")

    found = rows()

    first = min(school.lecture, school.lab, school.other)
    assert sorted(found) == sorted(
        [
            (school.ada, school.lecture, "prerequisite_missing"),
            (school.ada, school.lecture, "time_conflict"),
            (school.ada, school.other, "time_conflict"),
            (school.ada, first, "credit_limit_exceeded"),
            (school.ben, school.other, "linked_course_missing"),
        ]
    )
    assert {code for *_, code in found} == CODES
    assert noted() == {
        "no student is over a credit limit": [
            {"student_id": school.ada, "term": "T", "credits": 6.5, "credit_limit": 6.0}
        ],
        "no student has two courses at the same time": [
            {"student_id": school.ada, "course_ids": sorted([school.lecture, school.other])}
        ],
        "students have the prerequisites of their courses": [
            {"student_id": school.ada, "course_id": school.lecture, "groups_missing": 1}
        ],
    }
    assert sql("SELECT count(*) FROM enrollment_events") == ledger


def test_findings_are_printed_with_their_facts(
    client: FlaskClient,
    run: Run,
    school: SimpleNamespace,
) -> None:
    client.put(f"/students/{school.ada}/terms/{school.term}", json={"credit_limit": 6})

    result = run("recheck", "--term", "T")

    line, *summary = result.output.splitlines()
    start, _, facts = line.partition("{")
    assert start.startswith(f"Student {school.ada}, course {school.lecture} (LEC): credit_limit_exceeded. The student ")
    assert json.loads("{" + facts) == {"limit": 6, "held": 6.5, "asked": 0}
    assert summary == [
        "Rechecked 2 students with 4 enrollments in T.",
        "Findings about 1 student: credit_limit_exceeded 1.",
    ]
    assert result.exit_code == REFUSED


def test_a_spreadsheet_computes_nothing_of_a_report(
    client: FlaskClient, run: Run, school: SimpleNamespace, tmp_path: Path
) -> None:
    client.put(f"/students/{school.ada}/terms/{school.term}", json={"credit_limit": 6})
    client.patch(f"/courses/{school.lecture}", json={"code": "=1+1"})

    run("recheck", "--term", "T", "--report", tmp_path / "report.csv")

    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        assert [row["course_code"] for row in csv.DictReader(file)] == ["'=1+1"]


def test_what_a_permission_waives_is_not_listed(
    client: FlaskClient, school: SimpleNamespace, rows: Any, noted: Any
) -> None:
    break_everything(client, school)
    client.put(f"/students/{school.ada}/terms/{school.term}", json={"credit_limit": 7})
    for student, course, rule in (
        (school.ada, school.lecture, "prerequisite_missing"),
        (school.ada, school.lecture, "time_conflict"),  # and so about the other course
        (school.ben, school.other, "linked_course_missing"),
    ):
        permission = {"course_id": course, "rule": rule, "reason": "Known"}
        assert client.post(f"/students/{student}/permissions", json=permission).status_code == 201

    assert (rows(), noted()) == ([], {})


def test_courses_of_other_terms_are_not_judged_and_count_as_they_do_when_enrolling(
    client: FlaskClient, school: SimpleNamespace, open_term: Make, course: Make, enroll: Enroll, rows: Any
) -> None:
    other_term = open_term(code="OTHER")
    elsewhere = course(term_id=other_term, credits=9)
    assert enroll(school.ada, elsewhere).status_code == 201
    meetings = [MONDAY | {"starts": "09:30", "ends": "11:00"}]

    client.put(f"/courses/{elsewhere}/meetings", json=meetings)

    assert rows() == [(school.ada, school.lecture, "time_conflict")]


def test_pages_of_rows_end_within_a_student(
    monkeypatch: pytest.MonkeyPatch, app: Flask, school: SimpleNamespace
) -> None:
    monkeypatch.setattr(enrolled_students, "AT_ONCE", 2)

    with app.app_context():
        found = list(enrolled_students.students_of_term(school.term))

    assert found == [
        (school.ada, {school.lecture: "LEC", school.lab: "LAB", school.other: "OTH"}),
        (school.ben, {school.other: "OTH"}),
    ]


def test_an_unknown_term_is_refused_and_no_report_is_written(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"

    result = run("recheck", "--term", "nonsense", "--report", report)

    assert (result.exit_code, report.exists()) == (WRONG, False)
    assert "there is no term nonsense" in result.output
