"""The tables of the rules of registration, and their triggers, for every program that writes: here by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from course_management.database import broken_constraint

from ..support.fixture_types import Enroll, Make, Sql

TERM = "INSERT INTO terms (code, title, starts_on, ends_on) VALUES ('{}', 'Fall 2026', '2026-09-01', '2026-12-18')"
GROUP = "INSERT INTO groups (kind, code, title) VALUES ('level', 'UG', 'Undergraduate')"
ENTRIES = "INSERT INTO catalog_entries (code, title, credits) VALUES ('CS 1', 'One', 300), ('CS 2', 'Two', 300)"
COMPLETION = (
    "INSERT INTO completions (student_id, catalog_id, term_code, grade, passed, credits)"
    " VALUES (1, 1, 'F25', 'A', true, 300)"
)
INSERT = "INSERT INTO student_courses (student_id, course_id, status{}) VALUES {}"


@pytest.fixture
def term(sql: Sql) -> Callable[..., int]:
    """Creates a term; its id."""

    def make(code: str = "F26") -> int:
        sql(TERM.format(code))
        return int(sql("SELECT max(id) FROM terms")[0][0])

    return make


@pytest.fixture
def in_term(sql: Sql, course: Make, term: Any) -> Callable[..., int]:
    """Creates a course of a term; its id."""

    def make(**values: Any) -> int:
        made = course(**values)
        found = sql("SELECT id FROM terms") or [[term()]]
        sql("UPDATE courses SET term_id = :term WHERE id = :course", term=found[0][0], course=made)
        return made

    return make


@pytest.fixture
def refused(sql: Sql) -> Callable[..., str]:
    """Runs a statement that the database must refuse; the name of the constraint."""

    def run(statement: str, **parameters: Any) -> str:
        with pytest.raises(IntegrityError) as caught:
            sql(statement, **parameters)
        return broken_constraint(caught.value)

    return run


@pytest.fixture
def revisions(sql: Sql) -> Callable[[], list[int]]:
    """Return the schedule revision of each student, by id."""
    return lambda: [row[0] for row in sql("SELECT schedule_revision FROM students ORDER BY id")]


# --- schedule revisions -----------------------------------------------------------------------------------------


def test_a_changed_status_in_a_course_of_a_term_raises_the_schedule_revision(
    student: Make, in_term: Make, sql: Sql, revisions: Any
) -> None:
    ada, programming = student(), in_term()
    student()

    sql(INSERT.format("", f"({ada}, {programming}, 'enrolled')"))
    assert revisions() == [1, 0]

    sql("UPDATE student_courses SET status = 'unenrolled'")
    assert revisions() == [2, 0]


def test_a_course_without_a_term_raises_no_schedule_revision(
    student: Make, course: Make, sql: Sql, enroll: Enroll, client: Any, revisions: Any
) -> None:
    ada, programming = student(), course()

    enroll(ada, programming)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})
    sql("UPDATE student_courses SET status = 'enrolled'")

    assert revisions() == [0]


def test_one_statement_raises_the_revision_of_every_student_that_it_changes(
    student: Make, course: Make, in_term: Make, sql: Sql, revisions: Any
) -> None:
    students, of_a_term, without = [student() for _ in range(3)], in_term(), course()
    rows = ", ".join(f"({each}, {of_a_term}, 'enrolled')" for each in students[:2])

    sql(INSERT.format("", f"{rows}, ({students[2]}, {without}, 'enrolled')"))
    assert [revision > 0 for revision in revisions()[:2]] == [True, True]

    before = revisions()
    sql(
        "UPDATE student_courses SET status = 'unenrolled' WHERE course_id = :course OR student_id = :one",
        course=without,
        one=students[0],
    )
    assert [now > then for now, then in zip(revisions()[:2], before[:2], strict=True)] == [True, False]


def test_being_passed_over_is_no_change_of_the_schedule(student: Make, in_term: Make, sql: Sql, revisions: Any) -> None:
    ada, full = student(), in_term(capacity=0, waitlist_capacity=None)
    sql(INSERT.format(", queue_number", f"({ada}, {full}, 'waitlisted', 1)"))
    before = revisions(), sql("SELECT count(*) FROM enrollment_events"), sql("SELECT last_event_at FROM courses")

    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP, passed_over_for = 'hold restricted'")

    assert sql("SELECT passed_over_count FROM courses") == [(1,)]
    assert before == (
        revisions(),
        sql("SELECT count(*) FROM enrollment_events"),
        sql("SELECT last_event_at FROM courses"),
    )


# --- credits ----------------------------------------------------------------------------------------------------

LINES = "SELECT student_id, from_status, to_status, credits, actor FROM enrollment_events ORDER BY id"


def test_a_change_of_credits_is_a_line_of_the_ledger_and_raises_the_schedule_revision(
    student: Make, in_term: Make, sql: Sql, revisions: Any
) -> None:
    ada, ben, programming = student(), student(), in_term()
    old = "'2026-01-01 08:00:00.000000'"
    sql(INSERT.format(", credits, status_since", f"({ada}, {programming}, 'enrolled', 300, {old})"))
    sql(INSERT.format(", credits, status_since", f"({ben}, {programming}, 'enrolled', 300, {old})"))
    before = revisions()

    sql("UPDATE student_courses SET credits = 400 WHERE student_id = :ada", ada=ada)
    sql(
        "UPDATE student_courses SET credits = 200, revision = revision + 1, actor = 'me' WHERE student_id = :ada", ada=1
    )
    sql("UPDATE student_courses SET credits = credits")

    assert [tuple(line) for line in sql(LINES)][2:] == [
        (ada, "enrolled", "enrolled", 400, "database"),
        (ada, "enrolled", "enrolled", 200, "me"),
    ]
    assert [now - then for now, then in zip(revisions(), before, strict=True)] == [2, 0]
    # In order of time, although `status_since` is that of the enrollment.
    times = [line.at for line in sql("SELECT at FROM enrollment_events ORDER BY id")]
    assert times == sorted(times)
    assert times[2] > times[1]


def test_credits_in_a_course_without_a_term_raise_no_schedule_revision(
    student: Make, course: Make, sql: Sql, revisions: Any
) -> None:
    sql(INSERT.format(", credits", f"({student()}, {course()}, 'enrolled', 300)"))
    sql("UPDATE student_courses SET credits = 400")

    assert revisions() == [0]
    assert sql("SELECT count(*) FROM enrollment_events") == [(2,)]


def test_a_course_that_moves_into_a_term_gives_its_credits_to_the_students_who_are_enrolled(
    student: Make, course: Make, term: Any, sql: Sql
) -> None:
    moved = course(capacity=2, waitlist_capacity=1)
    enrolled, left, waiting = student(), student(), student()
    sql(INSERT.format("", f"({enrolled}, {moved}, 'enrolled'), ({left}, {moved}, 'enrolled')"))
    sql("UPDATE student_courses SET status = 'unenrolled' WHERE student_id = :left", left=left)
    sql(INSERT.format(", queue_number", f"({waiting}, {moved}, 'waitlisted', 1)"))

    sql("UPDATE courses SET term_id = :term, credits = 300", term=term())

    assert sql("SELECT credits FROM student_courses ORDER BY student_id") == [(300,), (None,), (None,)]
    assert tuple(sql(LINES)[-1]) == (enrolled, "enrolled", "enrolled", 300, "database")


def test_a_course_that_moves_into_a_term_without_credits_writes_no_line(
    student: Make, course: Make, term: Any, sql: Sql
) -> None:
    sql(INSERT.format("", f"({student()}, {course()}, 'enrolled')"))

    sql("UPDATE courses SET term_id = :term", term=term())

    assert sql("SELECT count(*) FROM enrollment_events") == [(1,)]


# --- withdrawn --------------------------------------------------------------------------------------------------


def test_a_student_who_has_withdrawn_has_no_seat_and_keeps_the_row(
    student: Make, in_term: Make, sql: Sql, refused: Any
) -> None:
    sql(INSERT.format("", f"({student()}, {in_term(capacity=1)}, 'enrolled')"))

    sql("UPDATE student_courses SET status = 'withdrawn'")

    assert sql("SELECT seats_taken, waiting FROM courses") == [(0, 0)]
    for table in ("student_courses", "students", "courses"):
        assert refused(f"DELETE FROM {table}") == "student_courses_held_rows_stay"


# --- terms of courses -------------------------------------------------------------------------------------------


def test_moving_a_course_into_a_term_raises_the_revision_of_its_students(
    student: Make, course: Make, term: Any, sql: Sql, revisions: Any
) -> None:
    enrolled, waiting, left, other = (student() for _ in range(4))
    moved, elsewhere = course(capacity=1, waitlist_capacity=1), course()
    sql(INSERT.format("", f"({left}, {moved}, 'enrolled'), ({other}, {elsewhere}, 'enrolled')"))
    sql("UPDATE student_courses SET status = 'unenrolled' WHERE student_id = :left", left=left)
    sql(INSERT.format("", f"({enrolled}, {moved}, 'enrolled')"))
    sql(INSERT.format(", queue_number", f"({waiting}, {moved}, 'waitlisted', 1)"))

    sql("UPDATE courses SET term_id = :term WHERE id = :course", term=term(), course=moved)

    assert revisions() == [1, 1, 0, 0]


def test_a_course_never_leaves_or_changes_its_term(in_term: Make, term: Any, refused: Any, sql: Sql) -> None:
    programming = in_term()
    other = term("S27")

    for change in ("NULL", str(other)):
        assert refused(f"UPDATE courses SET term_id = {change}") == "courses_term_is_fixed"
    sql("UPDATE courses SET term_id = term_id, title = 'Algorithms'")  # nothing changes

    assert sql("SELECT id, title FROM courses") == [(programming, "Algorithms")]


def test_codes_are_unique_in_each_term_and_among_courses_without_one(
    course: Make, in_term: Make, term: Any, refused: Any, sql: Sql
) -> None:
    in_term(code="CS101")
    course(code="CS101")
    next_term = term("S27")
    insert = "INSERT INTO courses (code, title, term_id) VALUES ('CS101', 'Programming', {})"

    assert refused(insert.format("NULL")) == "uq_courses_code"
    assert refused(insert.format("1")) == "uq_courses_term_id_code"
    assert refused("UPDATE courses SET term_id = 1 WHERE term_id IS NULL") == "uq_courses_term_id_code"
    sql(insert.format(next_term))


def test_only_a_course_of_a_term_requires_permission(course: Make, term: Any, refused: Any, sql: Sql) -> None:
    course()

    assert refused("UPDATE courses SET permission_required = true") == "ck_courses_permission_required_in_term"
    sql("UPDATE courses SET permission_required = true, term_id = :term", term=term())


# --- students whom promotion passed over ------------------------------------------------------------------------


def test_passed_over_students_are_counted_whoever_changes_them(student: Make, course: Make, sql: Sql) -> None:
    full = course(capacity=0, waitlist_capacity=None)
    people = [student() for _ in range(4)]

    def counted() -> tuple[int, int]:
        return tuple(sql("SELECT waiting, passed_over_count FROM courses")[0])

    rows = ", ".join(f"({each}, {full}, 'waitlisted', {each})" for each in people[:3])
    sql(INSERT.format(", queue_number", rows))
    moment = "'2026-09-01 08:00:00.000000'"
    sql(INSERT.format(", queue_number, passed_over_at", f"({people[3]}, {full}, 'waitlisted', 9, {moment})"))
    assert counted() == (4, 1)

    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP")
    assert counted() == (4, 4)
    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP")  # again: counted once
    assert counted() == (4, 4)
    sql("UPDATE student_courses SET passed_over_at = NULL WHERE student_id = :id", id=people[0])
    assert counted() == (4, 3)
    # By hand, without a thought for the mark, which then counts no more.
    sql("UPDATE student_courses SET status = 'unenrolled', queue_number = NULL WHERE student_id = :id", id=people[1])
    assert counted() == (3, 2)
    sql("UPDATE courses SET capacity = 1")
    sql("UPDATE student_courses SET status = 'enrolled', queue_number = NULL WHERE student_id = :id", id=people[2])
    assert counted() == (2, 1)
    sql("UPDATE student_courses SET passed_over_at = CURRENT_TIMESTAMP WHERE student_id = :id", id=people[2])
    assert counted() == (2, 1)


def test_the_counter_of_passed_over_students_stays_within_those_waiting(course: Make, refused: Any) -> None:
    course()

    for number in (-1, 1):
        statement = f"UPDATE courses SET passed_over_count = {number}"
        assert refused(statement) == "ck_courses_passed_over_within_waiting"


# --- reasons ----------------------------------------------------------------------------------------------------


def test_the_ledger_has_the_reason_of_a_change_by_the_service_only(student: Make, course: Make, sql: Sql) -> None:
    ada, programming = student(), course()

    sql(INSERT.format(", reason", f"({ada}, {programming}, 'enrolled', 'late admission')"))
    sql("UPDATE student_courses SET status = 'unenrolled'")
    sql("UPDATE student_courses SET status = 'enrolled', revision = revision + 1, reason = 'back again'")

    assert sql("SELECT reason FROM enrollment_events ORDER BY id") == [("late admission",), (None,), ("back again",)]


# --- what refers to a row keeps it ------------------------------------------------------------------------------


def test_a_term_with_courses_is_not_deleted(in_term: Make, refused: Any, sql: Sql) -> None:
    in_term()
    sql("INSERT INTO registration_windows (term_id, opens_at, closes_at) VALUES (1, '2026-08-01', '2026-09-15')")

    assert refused("DELETE FROM terms") == "fk_courses_term_id"

    sql("DELETE FROM courses")
    sql("DELETE FROM terms")
    assert sql("SELECT * FROM registration_windows") == []


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            (
                "INSERT INTO registration_windows (term_id, group_id, opens_at, closes_at)"
                " VALUES (1, 1, '2026-08-01', '2026-09-15')"
            ),
            "fk_registration_windows_group_id",
        ),
        ("INSERT INTO student_groups (student_id, group_id) VALUES (1, 1)", "fk_student_groups_group_id"),
        ("INSERT INTO course_restrictions (course_id, group_id) VALUES (1, 1)", "fk_course_restrictions_group_id"),
    ],
)
def test_a_group_in_use_is_not_deleted(
    student: Make, in_term: Make, sql: Sql, refused: Any, statement: str, constraint: str
) -> None:
    student()
    in_term()
    sql(GROUP)
    sql(statement)

    assert refused("DELETE FROM groups") == constraint


@pytest.mark.parametrize(
    ("statement", "deletion", "constraint"),
    [
        ("UPDATE courses SET catalog_id = 1", "catalog_entries", "fk_courses_catalog_id"),
        (
            "INSERT INTO prerequisites (catalog_id, group_number, required_id) VALUES (2, 1, 1)",
            "catalog_entries WHERE id = 1",
            "fk_prerequisites_required_id",
        ),
        (
            "INSERT INTO prerequisites (catalog_id, group_number, required_group_id) VALUES (2, 1, 1)",
            "groups",
            "fk_prerequisites_required_group_id",
        ),
        (COMPLETION, "catalog_entries", "fk_completions_catalog_id"),
        (COMPLETION, "students", "fk_completions_student_id"),
        (
            "INSERT INTO course_links (course_id, group_number, linked_id) VALUES (2, 1, 1)",
            "courses WHERE id = 1",
            "fk_course_links_linked_id",
        ),
    ],
)
def test_what_the_catalog_and_its_courses_refer_to_is_not_deleted(
    student: Make, in_term: Make, sql: Sql, refused: Any, statement: str, deletion: str, constraint: str
) -> None:
    student()
    assert [in_term(), in_term()] == [1, 2]
    sql(GROUP)
    sql(ENTRIES)
    sql(statement)

    assert refused(f"DELETE FROM {deletion}") == constraint


def test_what_belongs_to_a_student_or_a_course_goes_with_it(student: Make, in_term: Make, sql: Sql) -> None:
    ada, programming, lab = student(), in_term(), in_term()
    values = {"ada": ada, "course": programming, "lab": lab}
    sql(GROUP)
    sql("INSERT INTO people (id, name) VALUES (1, 'Grace')")
    sql("INSERT INTO student_groups (student_id, group_id) VALUES (:ada, 1)", ada=ada)
    sql("INSERT INTO holds (student_id, kind, contact, blocks) VALUES (:ada, 'library', 'Room 1', 'both')", ada=ada)
    sql("INSERT INTO permissions (student_id, course_id, rule, reason) VALUES (:ada, :course, 'r', 'x')", **values)
    sql("INSERT INTO course_restrictions (course_id, group_id) VALUES (:course, 1)", course=programming)
    sql("INSERT INTO course_instructors (course_id, person_id) VALUES (:course, 1)", course=programming)
    sql(MEETING.format(1, 540, 600, "2026-09-01", "2026-12-18"))
    sql("INSERT INTO course_links (course_id, group_number, linked_id) VALUES (:course, 1, :lab)", **values)
    sql("INSERT INTO student_terms (student_id, term_id, credit_limit) VALUES (:ada, 1, 2100)", ada=ada)
    sql("INSERT INTO rule_events (student_id, subject, subject_id, change) VALUES (:ada, 'hold', 1, 'placed')", ada=ada)

    sql("DELETE FROM students")
    assert [
        sql(f"SELECT count(*) FROM {table}") for table in ("student_groups", "holds", "permissions", "student_terms")
    ] == [[(0,)]] * 4
    sql("DELETE FROM courses WHERE id = :course", course=programming)
    assert [
        sql(f"SELECT count(*) FROM course_{table}") for table in ("restrictions", "instructors", "meetings", "links")
    ] == [[(0,)]] * 4
    assert sql("SELECT count(*) FROM rule_events") == [(1,)]  # the ledger stays


# --- values -----------------------------------------------------------------------------------------------------

WINDOW = "INSERT INTO registration_windows (term_id, opens_at, closes_at) VALUES (1, '{}', '{}')"
HOLD = "INSERT INTO holds (student_id, kind, contact, blocks) VALUES (1, 'library', 'Room 1', '{}')"
MEETING = (
    "INSERT INTO course_meetings (course_id, weekday, starts_minute, ends_minute, starts_on, ends_on)"
    " VALUES (1, {}, {}, {}, '{}', '{}')"
)
PREREQUISITE = "INSERT INTO prerequisites (catalog_id, group_number, {}) VALUES (1, 1, {})"
EVENT = "INSERT INTO rule_events (student_id, subject, subject_id, change) VALUES (1, '{}', 1, 'placed')"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE terms SET ends_on = '2026-08-31'", "ck_terms_dates_in_order"),
        ("UPDATE terms SET credit_limit = -1", "ck_terms_credit_limit_not_negative"),
        (
            "UPDATE terms SET drop_until = '2026-10-02 00:00:00', withdraw_until = '2026-10-01 00:00:00'",
            "ck_terms_withdraw_after_drop",
        ),
        (TERM.format("F26"), "uq_terms_code"),
        (WINDOW.format("2026-09-01 08:00:00", "2026-09-01 08:00:00"), "ck_registration_windows_opens_before_closes"),
        (HOLD.format("everything"), "ck_holds_blocks_known"),
        (EVENT.format("weather"), "ck_rule_events_subject_known"),
        ("INSERT INTO groups (kind, code, title) VALUES ('level', 'UG', 'Again')", "uq_groups_kind_code"),
        (MEETING.format(0, 540, 600, "2026-09-01", "2026-12-18"), "ck_course_meetings_weekday_known"),
        (MEETING.format(1, 600, 600, "2026-09-01", "2026-12-18"), "ck_course_meetings_minutes_in_order"),
        (MEETING.format(1, 540, 1441, "2026-09-01", "2026-12-18"), "ck_course_meetings_minutes_in_order"),
        (MEETING.format(1, 540, 600, "2026-12-18", "2026-09-01"), "ck_course_meetings_dates_in_order"),
        (
            "INSERT INTO course_links (course_id, group_number, linked_id) VALUES (1, 1, 1)",
            "ck_course_links_not_itself",
        ),
        (PREREQUISITE.format("required_id", "1"), "ck_prerequisites_not_itself"),
        (PREREQUISITE.format("required_id, required_group_id", "2, 1"), "ck_prerequisites_entry_or_group"),
        (PREREQUISITE.format("minimum_points", "200"), "ck_prerequisites_entry_or_group"),
        (PREREQUISITE.format("required_id, minimum_grade", "2, 'C'"), "ck_prerequisites_grade_has_points"),
        (
            "INSERT INTO student_terms (student_id, term_id, credit_limit) VALUES (1, 1, -1)",
            "ck_student_terms_credit_limit_not_negative",
        ),
        ("UPDATE courses SET credits = -1", "ck_courses_credits_not_negative"),
        ("UPDATE courses SET credits = 400, credits_max = 300", "ck_courses_credits_in_order"),
        ("UPDATE courses SET credits_max = 300", "ck_courses_credits_in_order"),
        ("INSERT INTO courses (code, title, credits) VALUES ('X', 'X', 300)", "ck_courses_credits_in_term"),
        ("INSERT INTO catalog_entries (code, title, credits) VALUES ('CS 1', 'X', 3)", "uq_catalog_entries_code"),
        ("UPDATE catalog_entries SET credits_max = 200", "ck_catalog_entries_credits_in_order"),
        ("UPDATE catalog_entries SET courses_per_term = 0", "ck_catalog_entries_courses_per_term_positive"),
        (
            "INSERT INTO permissions (student_id, course_id, rule, reason) VALUES (1, 1, 'restricted', 'again')",
            "uq_permissions_student_id_course_id_rule",
        ),
    ],
)
def test_the_database_refuses_what_makes_no_sense(
    student: Make, in_term: Make, sql: Sql, refused: Any, statement: str, constraint: str
) -> None:
    student()
    in_term()
    sql(GROUP)
    sql(ENTRIES)
    sql("INSERT INTO permissions (student_id, course_id, rule, reason) VALUES (1, 1, 'restricted', 'once')")

    assert refused(statement) == constraint


def test_a_revoked_permission_can_be_granted_again(student: Make, in_term: Make, sql: Sql) -> None:
    values = {"ada": student(), "course": in_term()}
    grant = "INSERT INTO permissions (student_id, course_id, rule, reason) VALUES (:ada, :course, 'restricted', 'x')"

    for _ in range(3):
        sql(grant, **values)
        sql("UPDATE permissions SET revoked_at = CURRENT_TIMESTAMP WHERE revoked_at IS NULL")

    assert sql("SELECT count(*) FROM permissions") == [(3,)]


def test_a_boolean_is_true_or_false(backend: str, in_term: Make, sql: Sql, refused: Any) -> None:
    if backend != "sqlite":
        pytest.skip("PostgreSQL has a type of its own")
    in_term()
    sql(GROUP)

    assert refused("UPDATE courses SET permission_required = 2") == "ck_courses_permission_required_is_boolean"
    assert (
        refused("INSERT INTO course_restrictions (course_id, group_id, admits) VALUES (1, 1, 2)")
        == "ck_course_restrictions_admits_is_boolean"
    )


@pytest.mark.parametrize(
    "statement",
    ["UPDATE rule_events SET change = 'x'", "DELETE FROM rule_events", "TRUNCATE rule_events", "REPLACE"],
)
def test_the_ledger_of_rules_is_append_only(backend: str, sql: Sql, refused: Any, statement: str) -> None:
    if statement == {"sqlite": "TRUNCATE rule_events", "postgresql": "REPLACE"}[backend]:
        pytest.skip("not a statement of this database")
    sql(EVENT.format("hold"))
    replace = "REPLACE INTO rule_events (id, student_id, subject, subject_id, change) VALUES (1, 1, 'hold', 1, 'x')"

    refusal = refused(replace if statement == "REPLACE" else statement)

    assert refusal in {"rule_events_append_only", "rule_events_no_truncate"}
    assert sql("SELECT change FROM rule_events") == [("placed",)]
