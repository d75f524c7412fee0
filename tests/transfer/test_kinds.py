"""Each kind of file changes what it says, a second time nothing, and keeps what a person has changed since."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from course_management.errors import StudentNotFound
from course_management.maintenance.verify import verify
from course_management.services import completions
from course_management.transfer.formats.templates import template
from course_management.transfer.kinds import KINDS

from ..support.fixture_types import Sql
from ..support.importing import Import
from .files import FILES_OF_OTHER_KINDS as FILES
from .files import GROUPS

TERMS = "external_id,code,title,starts_on,ends_on,credit_limit\nf26,2026-fall,Fall,2026-09-01,2026-12-18,18\n"
CATALOG = "external_id,code,title,credits\nk1,CS 101,Programming,3\nk2,CS 102,Data,3\nk3,CS 103,Logic,3\n"
COURSES = "external_id,code,title,term,catalog\nc1,CS101,Programming,f26,k1\nc2,CS102,Data,f26,k2\n"
STUDENTS = "external_id,name\ns1,Ada\ns2,Bob\n"
PEOPLE = "external_id,name,roles\np1,Grace,advisor\n"
BASE = {
    "terms": TERMS,
    "catalog": CATALOG,
    "courses": COURSES,
    "students": STUDENTS,
    "people": PEOPLE,
    "groups": GROUPS,
}
CREATED = {
    "prerequisites": 3,
    "meetings": 2,
    "restrictions": 2,
    "links": 1,
    "members": 4,
    "instructors": 1,
    "accounts": 3,
    "completions": 2,
    "holds": 1,
    "permissions": 1,
    "limits": 1,
}


@pytest.fixture
def rows(sql: Sql) -> Callable[..., list[tuple[Any, ...]]]:
    """Returns columns of the rows that the latest import noted of a kind, in the order of the file."""
    statement = (
        "SELECT {} FROM import_rows WHERE import_id = (SELECT max(id) FROM imports) AND kind = '{}' ORDER BY number"
    )
    return lambda kind, columns="outcome, code": [tuple(row) for row in sql(statement.format(columns, kind))]


def test_every_kind_is_imported_as_planned_and_a_second_time_without_a_change(
    app: Flask, run: Import, sql: Sql
) -> None:
    outcomes = "SELECT kind, outcome, count(*) FROM import_rows WHERE import_id = {} GROUP BY 1, 2 ORDER BY 1, 2"
    planned = run(BASE | FILES, "--plan")
    plan = [tuple(row) for row in sql(outcomes.format(1))]
    assert planned.exit_code == 0, planned.output
    created = {kind: count for kind, outcome, count in plan if outcome == "create" and kind in FILES}
    assert created == CREATED, (
        "Correct CREATED in tests/transfer/test_kinds.py, or the files in tests/transfer/files.py."
    )
    assert sql("SELECT count(*) FROM terms") == [(0,)]
    result = run(BASE | FILES)
    assert result.exit_code == 0, result.output
    assert [tuple(row) for row in sql(outcomes.format(1))] == plan
    before = [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES]
    result = run(BASE | FILES)
    assert [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES] == before
    assert {outcome for _, outcome, _ in sql(outcomes.format(2))} == {"unchanged"}, result.output
    assert {each[0] for each in sql("SELECT actor FROM rule_events")} == {"import:1"}
    with app.app_context():
        assert [each.name for each in verify() if each.verdict == "BROKEN"] == []


TABLES = (
    "prerequisites",
    "course_meetings",
    "course_restrictions",
    "course_links",
    "student_groups",
    "course_instructors",
    "accounts",
    "completions",
    "holds",
    "permissions",
    "student_terms",
    "rule_events",
)


def test_values_are_stored_as_the_files_say(run: Import, sql: Sql) -> None:
    run(BASE | FILES)
    assert sql(
        "SELECT weekday, starts_minute, ends_minute, cast(starts_on AS text), place FROM course_meetings ORDER BY 1"
    ) == [(1, 540, 590, "2026-09-01", "Hall 4"), (3, 540, 590, "2026-09-01", None)]
    assert sql("SELECT group_number, count(*) FROM prerequisites GROUP BY 1 ORDER BY 1") in (
        [(1, 1), (2, 2)],
        [(1, 2), (2, 1)],
    )
    assert sql("SELECT minimum_grade, count(*) FROM prerequisites GROUP BY 1 ORDER BY 1 DESC") in (
        [("C", 1), (None, 2)],
        [(None, 2), ("C", 1)],
    )
    assert sql("SELECT subject, student_id IS NULL FROM accounts ORDER BY 1") in (
        [("ada", False), ("ada2", False), ("grace", True)],
        [("ada", 0), ("ada2", 0), ("grace", 1)],
    )
    assert sql("SELECT admits, count(*) FROM course_restrictions GROUP BY 1 ORDER BY 1") == [(False, 1), (True, 1)]


GROUPS_OF_ADA = (
    "SELECT code FROM student_groups JOIN groups ON id = group_id"
    " WHERE student_id = (SELECT id FROM students WHERE external_id = 's1') ORDER BY 1"
)
CHANGES: list[tuple[str, str, str, str, list[tuple[Any, ...]]]] = [
    # kind, text to replace, by what, a query, and its rows afterwards
    ("completions", "B,3,true", "A,4,true", "SELECT grade FROM completions WHERE term_code = '2025-fall'", [("A",)]),
    ("limits", "21", "15", "SELECT credit_limit FROM student_terms", [(1500,)]),
    (
        "holds",
        "Bursar,enroll",
        "Bursar,both",
        "SELECT blocks, released_by FROM holds ORDER BY id",
        [("enroll", "import:2"), ("both", None)],
    ),
    (
        "permissions",
        "Agreed",
        "Settled",
        "SELECT reason, revoked_by FROM permissions ORDER BY id",
        [("Agreed with the department", "import:2"), ("Settled with the department", None)],
    ),
    ("meetings", "Hall 4", "Hall 5", "SELECT place FROM course_meetings WHERE weekday = 1", [("Hall 5",)]),
    (
        "meetings",
        "c1,3,9:00 AM,9:50 AM",
        "c1,4,9:00 AM,9:50 AM",
        "SELECT weekday FROM course_meetings ORDER BY weekday",
        [(1,), (4,)],
    ),
    ("restrictions", "CS,true", "CS,false", "SELECT count(*) FROM course_restrictions WHERE NOT admits", [(2,)]),
    (
        "members",
        "s1,program,CS\n",
        "",
        GROUPS_OF_ADA,
        [("1",), ("MA",)],
    ),
    ("prerequisites", "CS 102,2,k3", "CS 102,1,k3", "SELECT max(group_number) FROM prerequisites", [(1,)]),
]


def test_changed_files_change_what_they_say(run: Import, sql: Sql) -> None:
    run(BASE | FILES)
    files = dict(FILES)
    for kind, old, new, _, _ in CHANGES:
        assert old in files[kind]
        files[kind] = files[kind].replace(old, new)
    result = run(files)
    assert result.exit_code == 0, result.output
    assert [sql(query) for _, _, _, query, _ in CHANGES] == [expected for *_, expected in CHANGES]
    assert "Removes what the last import said and the files no longer say: program CS." in result.output
    run(files, "--plan")
    assert sql("SELECT DISTINCT outcome FROM import_rows WHERE import_id = 3") == [("unchanged",)]


BY_HAND: dict[str, str] = {
    "completions": "UPDATE completions SET grade = 'A'",
    "limits": "DELETE FROM student_terms",
    "holds": "UPDATE holds SET released_at = placed_at, released_by = 'registrar:1'",
    "permissions": "UPDATE permissions SET revoked_at = granted_at, revoked_by = 'registrar:1'",
    "accounts": "DELETE FROM accounts",
    "meetings": "UPDATE course_meetings SET place = 'Hall 9'",
    "members": "DELETE FROM student_groups",
    "restrictions": "DELETE FROM course_restrictions",
    "links": "DELETE FROM course_links",
    "prerequisites": "DELETE FROM prerequisites",
    "instructors": "DELETE FROM course_instructors",
}


def test_what_a_person_has_changed_since_the_last_import_is_kept(run: Import, sql: Sql, rows: Any) -> None:
    run(BASE | FILES)
    for statement in BY_HAND.values():
        sql(statement)
    before = [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES]
    result = run(FILES)
    assert {kind: rows(kind) for kind in FILES} == {
        kind: [("unchanged", "changed_since")] * count for kind, count in CREATED.items()
    }, result.output
    assert [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES] == before


@pytest.mark.parametrize("kind", ["holds", "completions", "permissions", "limits", "instructors"])
def test_what_was_refused_twice_is_created_once_it_can_be(run: Import, kind: str, rows: Any) -> None:
    """The second of two equal lines is `unchanged`, although the first was refused: nobody has removed it since."""
    header, *lines = FILES[kind].splitlines()
    missing = "people" if kind == "instructors" else "students"
    base = {name: text for name, text in BASE.items() if name != missing}
    twice = "\n".join([header, *lines, *lines, ""])

    refused = run({**base, kind: twice})
    run({**BASE, kind: twice})

    assert refused.exit_code == 3, refused.output
    assert {*rows(kind)} == {("create", None), ("unchanged", "duplicate_row")}


def test_what_a_person_has_added_to_a_list_stays(run: Import, sql: Sql) -> None:
    run(BASE | FILES)
    sql(
        "INSERT INTO course_meetings (course_id, weekday, starts_minute, ends_minute, starts_on, ends_on)"
        " VALUES (1, 5, 600, 650, '2026-09-01', '2026-12-18')"
    )
    result = run({"meetings": FILES["meetings"].replace("Hall 4", "Hall 5")})
    assert "no longer say: Monday 09:00 to 09:50, Hall 4." in result.output
    assert sql("SELECT weekday FROM course_meetings ORDER BY 1") == [(1,), (3,), (5,)]


def test_a_list_with_a_refused_row_loses_nothing(run: Import, sql: Sql) -> None:
    run(BASE | FILES)
    result = run({"meetings": FILES["meetings"].replace("c1,3,9:00 AM", "c1,3,26:00")})
    assert (result.exit_code, sql("SELECT count(*) FROM course_meetings")) == (3, [(2,)])
    result = run({"members": "student,kind,code\ns1,program,XX\ns1,program,MA\n"})
    assert (result.exit_code, sql("SELECT count(*) FROM student_groups")) == (3, [(4,)])


REFUSED: list[tuple[str, str, str, str]] = [
    # kind, row, code, what the sentence says
    ("prerequisites", "CS 102,3,XX 1,,,,", "catalog_entry_not_found", "There is no catalog entry 'XX 1'"),
    ("prerequisites", "XX 1,3,k1,,,,", "catalog_entry_not_found", "There is no catalog entry 'XX 1'"),
    ("prerequisites", "CS 102,3,k2,,,,", "requires_itself", "A catalog entry cannot require itself."),
    ("prerequisites", "CS 102,3,,program,XX,,", "group_not_found", "There is no group 'XX' of the kind 'program'"),
    ("prerequisites", "CS 102,3,k1,,,,C", "validation_failed", "minimum_grade: Needs minimum_points"),
    ("prerequisites", "CS 102,3,,program,CS,2,", "validation_failed", "Only an entry is completed or taken."),
    ("meetings", "c9,1,09:00,09:50,,,", "course_not_found", "There is no course 'c9'"),
    ("meetings", "c1,1,11:00,10:50,,,", "validation_failed", "ends: 10:50 must be later than 11:00"),
    ("meetings", "c1,1,11:00,11:50,2026-08-01,2026-09-02,", "validation_failed", "2026-09-01 to 2026-12-18"),
    ("meetings", "c1,1,11:00,11:50,2026-10-01,2026-09-02,", "validation_failed", "must not be before 2026-10-01"),
    ("restrictions", "c1,level,9,true", "group_not_found", "There is no group '9' of the kind 'level'"),
    ("links", "c1,1,c1", "validation_failed", "A course cannot be linked to itself."),
    ("links", "c1,1,c9", "course_not_found", "There is no course 'c9'"),
    ("members", "s9,program,CS", "student_not_found", "There is no student 's9'"),
    (
        "accounts",
        "s2,,https://login.example.edu,ada",
        "account_taken",
        "The subject belongs to the student with the id",
    ),
    ("completions", "s1,k9,2025-fall,B,3,true,3", "catalog_entry_not_found", "There is no catalog entry 'k9'"),
    ("holds", "s9,financial,Bursar,enroll,,", "student_not_found", "There is no student 's9'"),
    ("permissions", "s1,c1,course_full,Why,", "validation_failed", "rule: Must be one of: "),
    ("permissions", "s1,c9,restricted,Why,", "course_not_found", "There is no course 'c9'"),
    ("limits", "s1,f99,21", "term_not_found", "There is no term 'f99'"),
    ("students", "s3,Cy,ada@example.edu", "email_taken", "'ada@example.edu': Another student has this"),
    ("terms", "f27,2027-fall,Fall,2027-09-01,2027-08-01,", "validation_failed", "ends_on: Must not be before"),
    ("terms", "f28,2026-fall,Fall,2027-09-01,2027-12-01,", "code_taken", "'2026-fall': Another row"),
]


def test_rows_that_cannot_be_used_are_refused_by_the_plan_and_by_applying_it(run: Import, sql: Sql, rows: Any) -> None:
    files = BASE | FILES | {"students": "external_id,name,email\ns1,Ada,ada@example.edu\ns2,Bob,\n"}
    assert run(files).exit_code == 0
    before = [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES]
    refused = {kind: files[kind].partition("\n")[0] + "\n" for kind, *_ in REFUSED}
    for kind, row, _, _ in REFUSED:
        refused[kind] += f"{row}\n"
    for option in ("--plan", "--apply"):
        assert run(refused, option).exit_code == 3
        for kind in refused:
            expected = [(code, sentence) for each, _, code, sentence in REFUSED if each == kind]
            found = rows(kind, "outcome, code, detail")
            assert [(outcome, code) for outcome, code, _ in found] == [("refuse", code) for code, _ in expected]
            assert [
                detail for (_, _, detail), (_, sentence) in zip(found, expected, strict=True) if sentence not in detail
            ] == []
    assert [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES] == before


def test_what_is_over_is_left_out(run: Import, rows: Any) -> None:
    run(BASE)
    over = {"holds": "s2,financial,Bursar,enroll,,{}", "permissions": "s2,c1,restricted,Why,{}"}
    result = run(
        {kind: FILES[kind].partition("\n")[0] + "\n" + row.format("2020-01-01T00:00:00Z") for kind, row in over.items()}
    )
    assert (result.exit_code, rows("holds"), rows("permissions")) == (
        0,
        [("unchanged", "hold_over")],
        [("unchanged", "permission_over")],
    )


def test_prerequisites_in_a_circle_are_stored_with_a_warning(run: Import, sql: Sql, rows: Any) -> None:
    text = "catalog,group_number,requires\nk1,1,k2\nk2,1,k3\nk3,1,k1\nk3,1,k2\n"
    result = run(BASE | {"prerequisites": text})
    assert (result.exit_code, rows("prerequisites")) == (0, [("create", "prerequisite_cycle")] * 4), result.output
    assert sql("SELECT count(*) FROM prerequisites") == [(4,)]


def test_groups_that_say_the_same_are_one(run: Import, sql: Sql, rows: Any) -> None:
    run(BASE | {"prerequisites": "catalog,group_number,requires\nk1,1,k2\nk1,2,CS 102\n"})
    assert rows("prerequisites") == [("create", None), ("unchanged", "duplicate_row")]
    assert sql("SELECT count(*) FROM prerequisites") == [(1,)]


def test_two_rows_of_the_files_with_the_same_address_are_refused_by_the_plan(run: Import, rows: Any) -> None:
    text = "external_id,name,email\ns1,Ada,a@example.edu\ns2,Bob,A@example.edu\n"
    for option in ("--plan", "--apply"):
        result = run({"students": text}, option)
        assert (result.exit_code, rows("students")) == (3, [("create", None), ("refuse", "email_taken")])
        assert "line 2 of students.csv has the same email" in result.output


def test_a_fact_for_which_a_waitlist_waited_promotes_the_student(
    run: Import, sql: Sql, client: Any, open_term: Any, course: Any, student: Any
) -> None:
    term_id = open_term(external_id="t")
    places = {"term_id": term_id, "capacity": 1, "waitlist_capacity": 5}
    courses = [course(external_id=name, **places) for name in ("c1", "c2")]
    one, two = student(external_id="s1"), student(external_id="s2")
    for course_id in courses:
        assert client.post(f"/students/{one}/enroll", json={"course_id": course_id}).status_code == 201
        waiting = client.post(f"/students/{two}/enroll", json={"course_id": course_id, "waitlist": True})
        assert waiting.status_code == 201, waiting.text
    rules = {
        "restrictions": "course,kind,code\nc1,program,CS\n",
        "prerequisites": "catalog,group_number,requires\nk2,1,k1\n",
    }
    assert run({"groups": GROUPS, "catalog": CATALOG, **rules}).exit_code == 0
    assert (
        client.patch(
            f"/courses/{courses[1]}", json={"catalog_id": client.get("/catalog?external_id=k2").json["items"][0]["id"]}
        ).status_code
        == 200
    )
    client.delete(f"/students/{one}/unenroll", json={"course_ids": courses})
    statuses = "SELECT status FROM student_courses WHERE student_id = :id ORDER BY course_id"
    assert sql(statuses, id=two) == [("waitlisted",)] * 2
    assert run({"members": "student,kind,code\ns2,program,CS\n"}).exit_code == 0
    assert sql(statuses, id=two) == [("enrolled",), ("waitlisted",)]
    assert run({"completions": COMPLETIONS_OF_BOB}).exit_code == 0
    assert sql(statuses, id=two) == [("enrolled",)] * 2


COMPLETIONS_OF_BOB = "student,catalog,term_code,grade,passed,credits\ns2,k1,2025-fall,B,true,3\n"


def test_completions_are_written_one_by_one_if_one_of_many_is_refused(
    run: Import, sql: Sql, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(BASE)

    def refused(*_: object) -> None:
        raise StudentNotFound

    monkeypatch.setattr(completions, "put_all", refused)
    put = completions.put

    def without_ada(student_id: int, *arguments: Any) -> Any:
        if student_id == sql("SELECT id FROM students WHERE external_id = 's1'")[0][0]:
            raise StudentNotFound
        return put(student_id, *arguments)

    monkeypatch.setattr(completions, "put", without_ada)
    result = run({"completions": FILES["completions"] + COMPLETIONS_OF_BOB.split("\n")[1].replace("B,", "B,3,") + "\n"})
    assert (result.exit_code, rows("completions")) == (3, [("refuse", "student_not_found")] * 2 + [("create", None)])
    assert sql("SELECT grade FROM completions") == [("B",)]


def test_entries_that_only_prerequisites_name_are_created_where_that_is_asked(run: Import, sql: Sql) -> None:
    text = "catalog,group_number,requires\nCS 225,1,CS 125\n"
    assert run({"prerequisites": text}).exit_code == 3
    result = run({"prerequisites": text}, "--create-missing")
    assert result.exit_code == 0, result.output
    assert sql("SELECT code, title FROM catalog_entries ORDER BY 1") == [("CS 125", "CS 125"), ("CS 225", "CS 225")]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_the_template_of_a_kind_names_all_that_identifies_a_row(kind: Any) -> None:
    header, example = csv.reader(io.StringIO(template(kind.name)))
    cells = dict(zip(header, example, strict=True))
    assert [name for name in kind.required if not cells[name]] == []
