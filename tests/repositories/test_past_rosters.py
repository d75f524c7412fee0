"""`as_of`: past rosters and waitlists, read from the ledger."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from course_management.repositories import past_rosters

from ..support.fixture_types import Enroll, Make, Sql

STATUSES = ("enrolled", "waitlisted")


def now() -> str:
    """This moment, as a client writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def roster(client: FlaskClient) -> Callable[..., list[dict[str, Any]]]:
    """Return the whole roster or waitlist of a course, page by page; of the past with `as_of`."""

    def read(course_id: int, status: str = "enrolled", limit: int = 50, **query: str) -> list[dict[str, Any]]:
        path: str | None = f"/courses/{course_id}/students"
        found: list[dict[str, Any]] = []
        given: dict[str, Any] = {"status": status, "limit": limit, **query}
        while path:
            response = client.get(path, query_string=given)
            assert response.status_code == 200, response.text
            found += response.get_json()["items"]
            path, given["after"] = path if response.get_json()["next"] else None, response.get_json()["next"]
        return found

    return read


@pytest.mark.parametrize("limit", [1, 50])
def test_a_past_roster_is_the_roster_that_was_read_then(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, roster: Any, limit: int
) -> None:
    chance = random.Random(20261122)  # noqa: S311 - a repeatable choice of operations
    people, wanted = [student() for _ in range(8)], course(capacity=2, waitlist_capacity=None)
    said: list[tuple[str, str, list[dict[str, Any]]]] = []
    for _ in range(25):
        each = chance.choice(people)
        if chance.random() < 0.6:
            enroll(each, wanted, waitlist=True)
        else:
            client.delete(f"/students/{each}/unenroll?course_id={wanted}")
        said += [(now(), status, roster(wanted, status)) for status in STATUSES]

    assert max(len(then) for _, _, then in said) > 2
    for moment, status, then in said:
        assert roster(wanted, status, limit, as_of=moment) == then


def test_before_the_first_change_the_past_roster_is_empty(
    student: Make, course: Make, enroll: Enroll, roster: Any
) -> None:
    before, wanted = now(), course()
    enroll(student(), wanted)

    assert roster(wanted, as_of=before) == []
    assert roster(wanted, as_of="9999-12-31T23:59:59Z") == roster(wanted)


@pytest.fixture
def gone(client: FlaskClient, student: Make, course: Make, enroll: Enroll) -> tuple[int, int, str]:
    """Return a student who has left a course, the course, and a time before that."""
    ada, wanted = student(), course()
    enroll(ada, wanted)
    then = now()
    client.delete(f"/students/{ada}/unenroll?course_id={wanted}")
    return ada, wanted, then


def test_a_deleted_student_is_on_the_past_roster_without_a_name(
    client: FlaskClient, gone: tuple[int, int, str], roster: Any
) -> None:
    ada, wanted, then = gone
    client.delete(f"/students/{ada}")

    (entry,) = roster(wanted, as_of=then)

    assert (entry["student_id"], entry["name"], entry["status"]) == (ada, None, "enrolled")


def test_the_past_of_a_deleted_course_stays(client: FlaskClient, gone: tuple[int, int, str], roster: Any) -> None:
    ada, wanted, then = gone
    assert client.delete(f"/courses/{wanted}").status_code == 204

    assert [each["student_id"] for each in roster(wanted, as_of=then)] == [ada]
    assert client.get(f"/courses/{wanted}/students").status_code == 404


def test_an_unknown_course_has_no_past(client: FlaskClient, course: Make) -> None:
    response = client.get(f"/courses/{course() + 1}/students?as_of={now()}")

    assert (response.status_code, response.get_json()["code"]) == (404, "course_not_found")


# --- changes dated by hand ------------------------------------------------------------------------------------

TAKE = (
    "INSERT INTO student_courses (student_id, course_id, status, status_since, queue_number)"
    " VALUES (:student, :course, :status, :at, :place)"
)
CHANGE = (
    "UPDATE student_courses SET status = :status, status_since = :at, queue_number = NULL, revision = revision + 1"
    " WHERE student_id = :student AND course_id = :course"
)


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [each["student_id"] for each in found]


def test_a_row_inserted_today_with_a_date_in_the_past_was_there_from_then_on(
    student: Make, course: Make, enroll: Enroll, roster: Any, sql: Sql
) -> None:
    ada, ben, wanted = student(), student(), course()
    enroll(ada, wanted)
    before_ada = "2026-09-02T00:00:00Z"

    sql(TAKE, student=ben, course=wanted, status="enrolled", at="2026-09-01 08:00:00.000000", place=None)

    assert ids(roster(wanted, as_of="2026-09-01T07:59:59Z")) == []
    assert ids(roster(wanted, as_of=before_ada)) == [ben]
    assert ids(roster(wanted, as_of=now())) == [ada, ben]


def test_a_student_is_not_shown_before_the_time_of_the_change(
    student: Make, course: Make, sql: Sql, roster: Any
) -> None:
    """However the lines follow each other: no entry is later than the moment asked for."""
    wanted, chance = course(waitlist_capacity=None), random.Random(13)  # noqa: S311 - a repeatable choice
    for place in range(1, 41):
        status = chance.choice(STATUSES)
        second = chance.randrange(60)
        sql(
            TAKE,
            student=student(),
            course=wanted,
            status=status,
            at=f"2026-09-01 08:00:{second:02}.000000",
            place=place if status == "waitlisted" else None,
        )

    for second in range(0, 60, 7):
        for status in STATUSES:
            found = roster(wanted, status, as_of=f"2026-09-01T08:00:{second:02}Z")
            assert all(each["status_since"] <= f"2026-09-01T08:00:{second:02}Z" for each in found)
    assert len(roster(wanted, as_of=now())) + len(roster(wanted, "waitlisted", as_of=now())) == 40


def test_changes_of_one_student_are_placed_by_their_time(student: Make, course: Make, sql: Sql, roster: Any) -> None:
    ada, wanted = student(), course(waitlist_capacity=None)
    sql(TAKE, student=ada, course=wanted, status="enrolled", at="2026-09-03 08:00:00.000000", place=None)
    sql(CHANGE, student=ada, course=wanted, status="unenrolled", at="2026-09-05 08:00:00.000000")
    sql(CHANGE, student=ada, course=wanted, status="enrolled", at="2026-09-01 08:00:00.000000")  # the import comes late
    sql(CHANGE, student=ada, course=wanted, status="unenrolled", at="2026-09-02 08:00:00.000000")

    there = [day for day in range(1, 7) if roster(wanted, as_of=f"2026-09-0{day}T12:00:00Z")]

    assert there == [1, 3, 4]


def test_a_change_of_credits_moves_no_student_in_the_past_roster(
    student: Make, course: Make, sql: Sql, roster: Any
) -> None:
    ada, ben, wanted = student(), student(), course(capacity=1, waitlist_capacity=None)
    sql(TAKE, student=ada, course=wanted, status="enrolled", at="2026-09-03 08:00:00.000000", place=None)
    sql(TAKE, student=ben, course=wanted, status="waitlisted", at="2026-09-04 08:00:00.000000", place=1)
    before = [roster(wanted, status, as_of=now()) for status in STATUSES]

    sql("UPDATE student_courses SET credits = 300")

    assert len(sql("SELECT id FROM enrollment_events")) == 4
    assert [len(each) for each in before] == [1, 1]
    before[0][0]["credits"] = 3
    assert [roster(wanted, status, as_of=now()) for status in STATUSES] == before, "only the credits, if enrolled"


@pytest.mark.parametrize("at", ["2026-09-01 08:00:00", "2026-09-01T08:00:00", "2026-09-01T10:00:00.5+02:00"])
def test_a_date_in_another_form_is_the_same_time(student: Make, course: Make, sql: Sql, roster: Any, at: str) -> None:
    ada, wanted = student(), course()
    sql(TAKE, student=ada, course=wanted, status="enrolled", at=at, place=None)

    assert ids(roster(wanted, as_of="2026-09-01T07:59:59Z")) == []
    assert ids(roster(wanted, as_of="2026-09-01T08:00:01Z")) == [ada]


def test_a_waitlist_of_the_past_is_in_order_of_time(student: Make, course: Make, sql: Sql, roster: Any) -> None:
    wanted, people = course(capacity=0, waitlist_capacity=None), [student() for _ in range(3)]
    for place, (each, second) in enumerate(zip(people, (3, 1, 2), strict=True), 1):
        at = f"2026-09-01 08:00:0{second}.000000"
        sql(TAKE, student=each, course=wanted, status="waitlisted", at=at, place=place)

    found = roster(wanted, "waitlisted", limit=2, as_of="2026-09-01T09:00:00Z")

    assert ids(found) == [people[1], people[2], people[0]]
    assert [each["position"] for each in found] == [1, 2, 3]


# --- clocks that differ -----------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes the service's clock differ by that many seconds, as another server's does."""

    def differ(seconds: float) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + timedelta(seconds=seconds)

        monkeypatch.setattr("course_management.services.enrollment.request.datetime", Clock)
        monkeypatch.setattr("course_management.services.enrollment.promotion.utcnow", lambda: Clock.now(UTC))

    return differ


def times(sql: Sql) -> list[datetime]:
    found = [row[0] for row in sql("SELECT at FROM enrollment_events ORDER BY id")]
    return [datetime.fromisoformat(each) if isinstance(each, str) else each for each in found]


def test_clocks_that_differ_do_not_oversell_the_past(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    roster: Any,
    sql: Sql,
    clock: Callable[[float], None],
) -> None:
    """Several servers, each with a clock of its own: in one course, the lines stay in the order of the changes."""
    chance = random.Random(4)  # noqa: S311 - a repeatable choice of operations
    people, wanted = [student() for _ in range(6)], course(capacity=2, waitlist_capacity=None)
    for _ in range(90):
        clock(chance.uniform(-200, 200))
        each = chance.choice(people)
        if chance.random() < 0.5:
            enroll(each, wanted, waitlist=True)
        elif chance.random() < 0.5:
            client.delete(f"/students/{each}/unenroll?course_id={wanted}")
        else:
            courses = [wanted][: chance.randrange(2)]
            client.put(f"/students/{each}/enroll", json={"course_ids": courses, "waitlist": True})

    moments = times(sql)
    assert len(moments) > 40
    assert moments == sorted(moments)
    for moment in {each.isoformat().replace("+00:00", "") + "Z" for each in moments}:
        assert len(roster(wanted, as_of=moment)) <= 2
        waiting = roster(wanted, "waitlisted", as_of=moment)
        assert [each["position"] for each in waiting] == list(range(1, len(waiting) + 1))


def test_without_that_rule_clocks_that_differ_would_oversell_it(
    student: Make, course: Make, sql: Sql, roster: Any
) -> None:
    """The control: the same changes, dated by hand as the clocks of two servers said."""
    ada, ben, wanted = student(), student(), course(capacity=1)
    sql(TAKE, student=ben, course=wanted, status="enrolled", at="2026-09-01 08:00:02.000000", place=None)
    sql(CHANGE, student=ben, course=wanted, status="unenrolled", at="2026-09-01 08:00:04.000000")
    sql(TAKE, student=ada, course=wanted, status="enrolled", at="2026-09-01 08:00:01.000000", place=None)

    assert ids(roster(wanted, as_of="2026-09-01T08:00:03Z")) == [ada, ben]


def test_a_change_by_hand_is_dated_no_earlier_than_the_line_before_it(
    student: Make, course: Make, enroll: Enroll, sql: Sql, clock: Callable[[float], None]
) -> None:
    ada, wanted = student(), course()
    clock(200)
    enroll(ada, wanted)

    sql("UPDATE student_courses SET status = 'unenrolled'")

    first, second = times(sql)
    assert second >= first


def test_rows_inserted_by_hand_without_a_date_do_not_oversell_the_past(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, roster: Any, sql: Sql
) -> None:
    """Their date is the default: on SQLite the present second, which began before the line of the service."""
    wanted = course(capacity=1)
    for _ in range(4):
        each = student()
        enroll(each, wanted)
        client.delete(f"/students/{each}/unenroll?course_id={wanted}")
        by_hand = student()
        sql(
            "INSERT INTO student_courses (student_id, course_id, status) VALUES (:student, :course, 'enrolled')",
            student=by_hand,
            course=wanted,
        )
        sql("UPDATE student_courses SET status = 'unenrolled' WHERE student_id = :student", student=by_hand)

    moments = times(sql)
    assert moments == sorted(moments)
    assert len(moments) == 16
    for moment in moments:
        assert len(roster(wanted, as_of=moment.isoformat().replace("+00:00", "") + "Z")) <= 1


def test_a_transaction_that_began_before_the_line_does_not_date_its_rows_back(
    backend: str, engine: Engine, student: Make, course: Make, enroll: Enroll, sql: Sql
) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite's date is that of the statement")
    ada, ben, wanted = student(), student(), course()
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT now()")  # the default of the rows to come
        enroll(ada, wanted)
        connection.exec_driver_sql(
            f"INSERT INTO student_courses (student_id, course_id, status) VALUES ({ben}, {wanted}, 'enrolled')"
        )

    first, second = times(sql)
    assert second >= first


def test_a_row_dated_far_in_the_future_does_not_date_the_changes_after_it(
    student: Make, course: Make, enroll: Enroll, sql: Sql
) -> None:
    wanted = course()
    sql(TAKE, student=student(), course=wanted, status="enrolled", at="2999-01-01 00:00:00.000000", place=None)

    enroll(student(), wanted)

    assert times(sql)[-1].year < 2999


# --- pages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", [1, 2, 3, 7])
@pytest.mark.parametrize("status", STATUSES)
def test_pages_that_skip_many_students_are_complete_together(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    roster: Any,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    look: int,
) -> None:
    monkeypatch.setattr(past_rosters, "LOOK", look)
    wanted = course(capacity=None if status == "enrolled" else 0, waitlist_capacity=None)
    people = [student() for _ in range(12)]
    for each in people:
        enroll(each, wanted, waitlist=True)
    for number in (0, 1, 2, 3, 4, 7, 8, 11):
        client.delete(f"/students/{people[number]}/unenroll?course_id={wanted}")

    for limit in (1, 2, 50):
        assert roster(wanted, status, limit, as_of=now()) == roster(wanted, status)


@pytest.mark.parametrize("status", STATUSES)
def test_a_page_costs_the_same_whatever_the_size_of_the_ledger(
    backend: str, engine: Engine, student: Make, course: Make, sql: Sql, roster: Any, status: str
) -> None:
    """Counted in instructions of SQLite's virtual machine, which depend on the data only."""
    if backend != "sqlite":
        pytest.skip("PostgreSQL counts buffers; see the decision")
    wanted, people = course(), [student() for _ in range(40)]
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    def cost() -> int:
        nonlocal counted
        counted = 0
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(count, 1)
        assert len(roster(wanted, status, 20, as_of="2026-12-31T00:00:00Z")) == 20
        driver.set_progress_handler(None, 1)
        return counted

    def turn(second: int, whose: str, *changes: str) -> None:
        before = "unenrolled"
        for change in changes:
            sql(
                "INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor)"
                " SELECT :at, id, :course, :before, :change, 'database'"
                f" FROM students WHERE id {whose} {people[20]}",
                at=f"2026-09-01 {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000",
                course=wanted,
                before=before,
                change=change,
            )
            before = change

    turn(0, "<", "enrolled", "unenrolled")
    turn(1, "<", status)
    small = cost()
    # The lines of the same students, or for the waitlist of others: a page passes by those who joined it and left.
    for number in range(2, 60):
        turn(number, "<" if status == "enrolled" else ">=", "enrolled", "unenrolled")
    if status == "enrolled":
        turn(60, "<", status)

    assert sql("SELECT count(*) FROM enrollment_events")[0][0] > 2000
    assert cost() < small * 1.2


def test_a_cursor_with_a_position_is_none_of_another_list(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    for _ in range(3):
        enroll(student(), wanted, waitlist=True)
    query = f"limit=1&status=waitlisted&as_of={now()}"
    first = client.get(f"/courses/{wanted}/students?{query}").get_json()
    second = client.get(f"/courses/{wanted}/students?{query}&after={first['next']}").get_json()

    assert [each["position"] for each in first["items"] + second["items"]] == [1, 2]
    for cursor in (first["next"], second["next"]):
        for path in ("/students?", "/students/1/history?", f"/courses/{wanted}/students?status=waitlisted&"):
            response = client.get(f"{path}after={cursor}")
            assert (response.status_code, response.get_json()["errors"][0]["pointer"]) == (422, "/after")


# --- times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        "2026-09-01T08:00:00Z",
        "2026-09-01t08:00:00.5z",
        "2026-09-01T10:00:00.123456789+02:00",
        "2024-02-29T23:59:59-12:00",
    ],
)
def test_a_time_is_taken_as_rfc_3339_writes_it(client: FlaskClient, course: Make, moment: str) -> None:
    assert client.get(f"/courses/{course()}/students?as_of={quote(moment)}").status_code == 200


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "now",
        "2026-09-01",
        "2026-09-01T08:00:00",
        "2026-09-01 08:00:00Z",
        "2026-09-01T08:00Z",
        "20260901T080000Z",
        "2026-W36-2T08:00:00Z",
        "2026-09-01T08:00:00+0200",
        "2026-09-01T08:00:00 02:00",  # a + that was not written as %2B
        "2026-02-30T08:00:00Z",
        "2026-09-01T24:00:01Z",
        "2026-09-01T23:60:00Z",
        "2026-09-01T23:59:61Z",
        "9999-12-31T23:59:60Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-09-01T08:00:00.Z",
        "2026-09-01T08:00:00,5Z",
        "\u0662026-09-01T08:00:00Z",
        "2026-09-01T08:00:00Z\x00",
        "1788249600",
    ],
)
def test_a_value_that_is_not_a_time_is_refused(client: FlaskClient, course: Make, moment: str) -> None:
    response = client.get(f"/courses/{course()}/students", query_string={"as_of": moment})

    assert response.status_code == 422
    assert [each["pointer"] for each in response.get_json()["errors"]] == ["/as_of"]


def test_a_cursor_is_valid_for_its_own_time_only(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    wanted = course()
    for _ in range(2):
        enroll(student(), wanted)
    path, moment, other = f"/courses/{wanted}/students", now(), now()
    cursor = client.get(f"{path}?limit=1&as_of={moment}").get_json()["next"]

    assert client.get(f"{path}?limit=1&as_of={moment}&after={cursor}").status_code == 200
    for wrong in (f"{path}?after={cursor}", f"{path}?as_of={other}&after={cursor}"):
        response = client.get(wrong)
        assert [each["pointer"] for each in response.get_json()["errors"]] == ["/after"]
