"""Enrollments that exist already: a file changes their credits, and says of waitlists what an export has written."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.fixture_types import Sql
from ..support.importing import Import
from .files import COURSES, ENROLLMENTS, FILES

WITH_CREDITS = {
    "courses": "external_id,code,title,term,credits,credits_max,capacity\n"
    "c1,CS101,Programming,f26,1,4,\nc2,CS102,Data,f26,3,,1\n"
}
CREDITS = (
    "SELECT credits FROM student_courses WHERE student_id = (SELECT id FROM students WHERE external_id = 's1')"
    " AND course_id = (SELECT id FROM courses WHERE external_id = 'c1')"
)


def with_credits(number: float) -> dict[str, str]:
    return {"enrollments": f"student,course,credits\ns1,c1,{number}\n"}


@pytest.fixture
def imported(run: Import) -> None:
    result = run(FILES | WITH_CREDITS | with_credits(4))
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("imported")
def test_other_credits_in_a_file_change_those_of_the_enrollment(run: Import, sql: Sql) -> None:
    assert sql(CREDITS) == [(400,)]
    plan = run(with_credits(2.5), "--plan")
    assert ("update" in plan.output, "s1/c1: credits: -> 2.5." in plan.output) == (True, True), plan.output
    assert sql(CREDITS) == [(400,)]
    result = run(with_credits(2.5))
    assert (result.exit_code, sql(CREDITS)) == (0, [(250,)]), result.output
    assert sql("SELECT outcome, detail FROM import_rows WHERE import_id = 2")[0][0] == "update"
    assert sql("SELECT count(*) FROM enrollment_events") == [(2,)]
    run(with_credits(2.5))
    assert sql("SELECT count(*) FROM enrollment_events") == [(2,)]


@pytest.mark.usefixtures("imported")
def test_credits_that_somebody_has_changed_since_the_last_import_are_kept(run: Import, sql: Sql) -> None:
    sql("UPDATE student_courses SET credits = 100, actor = 'registrar:1', revision = revision + 1")
    result = run(with_credits(4) | {"students": FILES["students"]})
    assert (sql(CREDITS), "changed_since" in result.output) == ([(100,)], True), result.output


@pytest.mark.usefixtures("imported")
def test_credits_that_the_course_does_not_offer_are_refused_where_rules_bind(run: Import, sql: Sql) -> None:
    result = run(with_credits(9), "--rules", "refuse")
    assert (result.exit_code, sql(CREDITS)) == (3, [(400,)])
    assert "credits_not_offered" in result.output
    result = run(with_credits(9))
    assert (result.exit_code, sql(CREDITS)) == (0, [(900,)])
    assert "update credits_not_offered (1 row):" in result.output


@pytest.mark.usefixtures("imported")
def test_a_file_without_credits_keeps_those_of_the_enrollment(run: Import, sql: Sql) -> None:
    result = run({"enrollments": "student,course\ns1,c1\n"})
    assert (sql(CREDITS), "update" in result.output) == ([(400,)], False)


def test_a_waitlisted_student_in_a_file_is_neither_enrolled_nor_dropped(run: Import, held: Any) -> None:
    courses = COURSES.replace("capacity", "capacity,waitlist_capacity").replace("f26,\n", "f26,,\n")
    files = FILES | {"courses": courses.replace(",1\n", ",1,5\n"), "enrollments": ENROLLMENTS + "s2,c2\n"}
    run(files, "--on-full", "waitlist")
    before = held()
    assert ("s2", "c2", "waitlisted") in before
    statuses = "student,course,status\n" + "".join(
        f"{student},{course},{status}\n" for student, course, status in before
    )
    result = run({"enrollments": statuses + "007,c2,waitlisted\n"}, "--mode", "bulk")
    assert (result.exit_code, held()) == (0, before), result.output
    assert "unchanged waitlisted_in_file (2 rows)" in result.output
