"""`terms adopt` moves existing courses into a term, and `rules` explains decisions on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from course_management.services import adopting

from ..support.commands import DONE, REFUSED, WRONG, Run
from ..support.fixture_types import Enroll, Held, Make, Sql


@pytest.fixture
def fall(term: Make) -> int:
    return term(code="F26")


@pytest.fixture
def terms_of(sql: Sql) -> Callable[[], dict[int, int | None]]:
    """Read the term of each course, by ids."""
    return lambda: {row.id: row.term_id for row in sql("SELECT id, term_id FROM courses")}


def in_hours(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


# --- terms adopt ------------------------------------------------------------------------------------------


def test_courses_are_adopted_by_code_or_id_with_their_enrollments(
    run: Run, fall: int, course: Make, student: Make, enroll: Enroll, terms_of: Any, sql: Sql, held: Held
) -> None:
    logic, sets, left = course(code="LOG"), course(code="SET", capacity=1, waitlist_capacity=1), course(code="LEFT")
    ada, alan = student(), student()
    enroll(ada, logic, sets)
    enroll(alan, sets, waitlist=True)
    ledger = sql("SELECT * FROM enrollment_events")

    result = run("terms", "adopt", "F26", "--courses", "LOG", sets)

    assert (result.exit_code, result.output) == (DONE, "Moved 2 courses with 3 enrollments into F26.\n")
    assert terms_of() == {logic: fall, sets: fall, left: None}
    assert held(ada) == {logic: "enrolled", sets: "enrolled"}
    assert held(alan) == {sets: "waitlisted"}
    assert sql("SELECT * FROM enrollment_events") == ledger
    assert sql("SELECT schedule_revision FROM students ORDER BY id") == [(2,), (1,)]


@pytest.mark.usefixtures("fall")
def test_a_course_that_is_in_the_term_already_is_unchanged(run: Run, course: Make, sql: Sql) -> None:
    course(code="LOG")
    run("terms", "adopt", "F26", "--courses", "LOG")
    before = sql("SELECT * FROM courses")

    result = run("terms", "adopt", "F26", "--courses", "LOG")

    assert result.exit_code == DONE
    assert result.output == "Moved 0 courses with 0 enrollments into F26.\nAlready in it: 1 course.\n"
    assert sql("SELECT * FROM courses") == before


def test_what_the_term_cannot_take_is_reported_and_all_else_is_adopted(
    run: Run, fall: int, term: Make, course: Make, terms_of: Any
) -> None:
    spring = term(code="S27")
    twin, elsewhere = course(code="TWIN", term_id=fall), course(code="AWAY", term_id=spring)
    taken, logic = course(code="TWIN"), course(code="LOG")

    result = run("terms", "adopt", "F26", "--courses", "AWAY", "TWIN", "LOG")

    assert result.exit_code == REFUSED
    assert "Moved 1 course with 0 enrollments into F26.\n" in result.output
    assert f"AWAY (id {elsewhere}, term S27): term_is_fixed. " in result.output
    assert f"TWIN (id {taken}): code_taken. " in result.output
    assert f"existing_id: {twin}." in result.output
    assert terms_of() == {twin: fall, elsewhere: spring, taken: None, logic: fall}


@pytest.mark.usefixtures("fall")
def test_all_courses_without_a_term_are_adopted_in_batches(
    run: Run, course: Make, terms_of: Any, fall: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "BATCH", 2)
    course(code="TWIN", term_id=fall)
    ids = [course(), course(code="TWIN"), course(), course(), course()]

    first, second = run("terms", "adopt", "F26", "--all"), run("terms", "adopt", "F26", "--all")

    assert [each.exit_code for each in (first, second)] == [REFUSED, REFUSED]
    assert "Moved 4 courses" in first.output
    assert f"TWIN (id {ids[1]}): code_taken" in first.output
    assert "Moved 0 courses" in second.output
    assert [number for number, term_id in terms_of().items() if term_id is None] == [ids[1]]


def test_an_interrupted_command_is_continued_by_running_it_again(
    run: Run, fall: int, course: Make, terms_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [course() for _ in range(3)]
    monkeypatch.setattr(adopting, "BATCH", 1)
    original, calls = adopting._adopt, []  # noqa: SLF001

    def interrupted(term_id: int, batch: Any) -> Any:
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(term_id, batch)

    monkeypatch.setattr(adopting, "_adopt", interrupted)

    first, between = run("terms", "adopt", "F26", "--all"), terms_of()
    second = run("terms", "adopt", "F26", "--all")

    assert first.exit_code != DONE
    assert between == {ids[0]: fall, ids[1]: None, ids[2]: None}
    assert second.output.startswith("Moved 2 courses")


def test_names_are_read_from_a_file_or_standard_input(
    run: Run, fall: int, course: Make, terms_of: Any, tmp_path: Path
) -> None:
    logic, sets, numbers = course(code="LOG"), course(code="SET"), course(code="NUM")
    file = tmp_path / "courses.txt"
    file.write_text(f"LOG\n\n  {sets} \n")

    assert run("terms", "adopt", "F26", "--from", file).exit_code == DONE
    assert terms_of() == {logic: fall, sets: fall, numbers: None}
    assert run("terms", "adopt", "F26", "--from", "-", input="NUM\n").exit_code == DONE
    assert terms_of()[numbers] == fall


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["F26"], "Name the courses with --courses or --from, or use --all."),
        (["F26", "--all", "--courses", "LOG"], "Name the courses with --courses or --from, or use --all."),
        (["S27", "--courses", "LOG"], "there is no term S27"),
        (["F26", "--courses", "LOG", "NONE", "999", "id=998"], "no course is named NONE, 999, id=998"),
        (["F26", "--courses", "LOG", "9" * 30, "a\x00b", "\udcff"], f"no course is named {'9' * 30}, "),
        (["\udcff", "--courses", "LOG"], "there is no term"),
        (["F26", "--courses", "LOG", "1"], "1 can be LOG (id 1) or 1 (id 2); write id=1 or code=1"),
    ],
)
@pytest.mark.usefixtures("fall")
def test_a_name_that_is_not_clear_changes_nothing(
    run: Run, course: Make, terms_of: Any, arguments: list[str], sentence: str
) -> None:
    assert (course(code="LOG"), course(code="1")) == (1, 2)

    result = run("terms", "adopt", *arguments)

    assert result.exit_code == WRONG
    assert sentence in result.output
    assert terms_of() == {1: None, 2: None}


def test_a_name_can_say_whether_it_is_a_code_or_an_id(run: Run, fall: int, course: Make, terms_of: Any) -> None:
    assert (course(code="LOG"), course(code="1")) == (1, 2)

    assert run("terms", "adopt", "F26", "--courses", "code=1").exit_code == DONE
    assert terms_of() == {1: None, 2: fall}
    assert run("terms", "adopt", "F26", "--courses", "id=1").exit_code == DONE
    assert terms_of() == {1: fall, 2: fall}


def test_a_file_that_is_not_text_is_refused(run: Run, fall: int, tmp_path: Path) -> None:
    file = tmp_path / "courses.txt"
    file.write_bytes(b"\xff\xfe")

    result = run("terms", "adopt", "F26", "--from", file)

    assert (fall, result.exit_code) == (1, WRONG)
    assert "the file is not a text in UTF-8" in result.output


def test_terms_are_listed_with_the_number_of_their_courses(run: Run, fall: int, course: Make, term: Make) -> None:
    term(code="S26", title="Spring 2026", starts_on="2026-01-12")
    course(term_id=fall)

    assert run("terms", "list").output.splitlines() == [
        "S26                   2026-01-12 to 2999-12-18       0 courses  Spring 2026",
        "F26                   2026-09-01 to 2999-12-18       1 courses  Fall 2026",
    ]


# --- rules ------------------------------------------------------------------------------------------------


def test_rules_name_each_reason_and_what_was_considered(
    run: Run, client: FlaskClient, fall: int, course: Make, student: Make, group: Make
) -> None:
    ada, seniors = student(name="Ada Lovelace"), group(kind="level", code="SENIOR")
    client.patch(f"/terms/{fall}", json={"ends_on": "2099-12-18"})
    windows = [
        {"group_id": seniors, "opens_at": in_hours(-2), "closes_at": in_hours(2)},
        {"opens_at": in_hours(24), "closes_at": in_hours(48)},
    ]
    client.put(f"/terms/{fall}/windows", json=windows)
    logic = course(code="LOG", term_id=fall, permission_required=True)
    client.put(f"/courses/{logic}/restrictions", json=[{"group_id": seniors}])
    client.post(f"/students/{ada}/holds", json={"kind": "financial", "contact": "Bursar", "blocks": "enroll"})
    waived = {"course_id": logic, "rule": "permission_required", "reason": "Took it elsewhere"}
    client.post(f"/students/{ada}/permissions", json=waived)
    free = course(code="FREE")

    result = run("rules", ada, "LOG", free)

    assert result.exit_code == REFUSED
    for part in (
        f"Student {ada}, Ada Lovelace, at ",
        "holds: financial (blocks: enroll; contact: Bursar)",
        "ids of groups: none",
        f"LOG (id {logic}, term F26): refused",
        "hold: A hold blocks this for the student. (a permission cannot waive it)",
        "kinds: financial, contact: Bursar",
        "registration_closed: No registration window of the term is open for the student. (a permission can waive it)",
        "restricted: The course is restricted to students of other groups. (a permission can waive it)",
        "kind: level, admits: SENIOR, excludes: none",
        "permissions: permission_required",
        f"(group {seniors}, not of this student, open)",
        "(all students, not open yet)",
        f"FREE (id {free}): would be enrolled",
    ):
        assert part in result.output
    assert "permission_required:" not in result.output, "it is waived"


def test_rules_of_courses_that_are_eligible_or_taken_already_have_exit_code_0(
    run: Run, course: Make, student: Make, enroll: Enroll
) -> None:
    ada, alan = student(), student()
    taken, full = course(code="TAKEN"), course(code="FULL", capacity=0, waitlist_capacity=9)
    enroll(alan, full, waitlist=True)
    enroll(ada, taken)

    refused, waiting = run("rules", ada, "TAKEN", "FULL"), run("rules", ada, "TAKEN", "FULL", "--waitlist")

    assert (refused.exit_code, waiting.exit_code) == (REFUSED, DONE)
    assert f"FULL (id {full}): refused\n  course_full: " in refused.output
    assert f"TAKEN (id {taken}): is enrolled already" in waiting.output
    assert f"FULL (id {full}): would join the waitlist" in waiting.output
    assert f"FULL (id {full}): is on the waitlist already, position 1" in run("rules", alan, full).output


def test_rules_show_times_in_the_time_zone_of_the_school(
    run: Run, client: FlaskClient, fall: int, course: Make, student: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(
        f"/terms/{fall}/windows", json=[{"opens_at": "2099-08-01T06:00:00Z", "closes_at": "2099-09-01T06:00:00Z"}]
    )
    course(code="LOG", term_id=fall)
    monkeypatch.setenv("TIME_ZONE", "America/Chicago")

    output = run("rules", student(), "LOG").output

    assert "term: F26, opens_at: 2099-08-01 01:00 CDT, closes_at: 2099-09-01 01:00 CDT" in output


@pytest.mark.parametrize("zone", ["America/Chicago", "Pacific/Kiritimati"])
def test_rules_show_times_at_the_ends_of_the_calendar(
    run: Run, client: FlaskClient, fall: int, course: Make, student: Make, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {"opens_at": "0001-01-01T00:00:00Z", "closes_at": "9999-12-31T23:59:59Z"}
    client.put(f"/terms/{fall}/windows", json=[ends])
    course(code="LOG", term_id=fall)
    monkeypatch.setenv("TIME_ZONE", zone)

    result = run("rules", student(), "LOG")

    assert result.exit_code == DONE
    assert "(all students, open)" in result.output


def test_a_code_of_several_terms_needs_its_term(run: Run, fall: int, term: Make, course: Make, student: Make) -> None:
    spring, ada = term(code="S27"), student()
    first, second = course(code="LOG", term_id=fall), course(code="LOG", term_id=spring)

    unclear, clear = run("rules", ada, "LOG"), run("rules", ada, "LOG", "--term", "S27")

    assert unclear.exit_code == WRONG
    assert (
        f"LOG can be LOG (id {first}, term F26) or LOG (id {second}, term S27); write id={first} or id={second}"
        in unclear.output
    )
    assert f"LOG (id {second}, term S27): refused" in clear.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["999", "LOG"], "there is no student with the id 999"),
        (["1", "NONE"], "no course is named NONE"),
        (["Ada", "LOG"], "'Ada' is not a valid integer"),
        (["1"], "Missing argument"),
        (["1", "LOG", "--term", "X"], "there is no term X"),
    ],
)
def test_rules_of_what_does_not_exist_have_exit_code_2(
    run: Run, course: Make, student: Make, arguments: list[str], sentence: str
) -> None:
    assert (student(), course(code="LOG")) == (1, 1)

    result = run("rules", *arguments)

    assert result.exit_code == WRONG
    assert sentence in result.output
