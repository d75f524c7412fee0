"""Sessions of the ORM: one transaction or none, one connection of a thread at a time, the time limits of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from course_management.database import autocommit, db, reading, retried, time_limit, writing
from course_management.models import Course, Student

from ..support.calls import IN_TRANSACTION, ONE_STATEMENT, OTHER_COUNTS
from ..support.fixture_types import Make

Sql = Callable[..., list[Any]]


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """Push an application context without a request, as a script does."""
    with app.app_context():
        yield


@pytest.mark.usefixtures("context")
def test_what_is_written_is_visible_to_others_after_the_block(sql: Sql) -> None:
    with writing() as session:
        session.add(Student(name="Ada Lovelace", email="ada@example.edu"))

    assert sql("SELECT name FROM students") == [("Ada Lovelace",)]


@pytest.mark.usefixtures("context")
def test_an_exception_in_the_block_leaves_nothing_behind(sql: Sql) -> None:
    def fail() -> None:
        with writing() as session:
            session.add(Student(name="Ada Lovelace", email="ada@example.edu"))
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert sql("SELECT name FROM students") == []
    with writing() as session:  # and the next block finds a connection without a transaction
        session.add(Student(name="Alan Turing", email="alan@example.edu"))
    assert sql("SELECT name FROM students") == [("Alan Turing",)]


@pytest.mark.usefixtures("context")
def test_a_constraint_that_refuses_is_known_at_the_end_of_the_block(student: Make, sql: Sql) -> None:
    student(email="ada@example.edu")

    with pytest.raises(IntegrityError), writing() as session:
        session.add(Student(name="Ada Lovelace", email="ada@example.edu"))

    assert sql("SELECT count(*) FROM students") == [(1,)]


@pytest.mark.usefixtures("context")
def test_objects_are_readable_after_the_block(course: Make) -> None:
    number = course(title="Programming")

    with writing() as session:
        changed = session.get_one(Course, number)
        changed.title = "Algorithms"
    with reading() as session:
        found = session.get_one(Course, number)

    assert (changed.title, changed.seats_taken) == ("Algorithms", 0)
    assert (found.title, found.created_at) == ("Algorithms", changed.created_at)


@pytest.mark.usefixtures("context")
def test_reading_begins_no_transaction_and_writing_locks_at_once(statements: list[str], backend: str) -> None:
    with reading() as session:
        session.scalars(select(Student)).all()
    assert not [each for each in statements if "BEGIN" in each]

    with writing() as session:
        session.scalars(select(Student)).all()
    assert [each for each in statements if "BEGIN" in each] == ["BEGIN IMMEDIATE" if backend == "sqlite" else "BEGIN"]


@pytest.mark.usefixtures("context")
def test_reading_does_not_wait_for_a_transaction_that_writes(student: Make, engine: Engine) -> None:
    number = student(name="Ada Lovelace")

    with engine.begin() as other:
        other.exec_driver_sql("UPDATE students SET name = 'Ada King'")
        with reading() as session:
            assert session.get_one(Student, number).name == "Ada Lovelace"


@pytest.mark.usefixtures("context")
def test_a_session_that_reads_does_not_write(student: Make, sql: Sql) -> None:
    number = student(name="Ada Lovelace")

    with reading() as session:
        session.get_one(Student, number).name = "Ada King"
        with pytest.raises(InvalidRequestError, match="only reads"):
            session.flush()

    assert sql("SELECT name FROM students") == [("Ada Lovelace",)]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("outer", [reading, writing])
@pytest.mark.parametrize("inner", [reading, writing])
def test_a_session_inside_another_is_refused(outer: Any, inner: Any, sql: Sql) -> None:
    with outer() as session:
        with pytest.raises(InvalidRequestError), inner():
            pass
        session.scalars(select(Student)).all()  # the first one goes on

    assert sql("SELECT 1") == [(1,)]


@pytest.mark.parametrize("block", [reading, writing])
def test_a_thread_with_a_session_has_no_connection_for_another_call(make_app: Callable[..., Flask], block: Any) -> None:
    """With one connection per thread, a Core call in the block would wait for the connection that the block has."""
    app = make_app(threads=1, database_pool_timeout_ms=50)
    with app.app_context():
        with block() as session:
            session.scalars(select(Student)).all()
            with pytest.raises(PoolTimeout):
                autocommit(select(Student.id))
        assert autocommit(select(Student.id)) == []
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_every_endpoint_works_with_a_single_connection(make_app: Callable[..., Flask]) -> None:
    """A request that uses two at once could wait for another such request without end."""
    client = make_app(threads=1, database_pool_timeout_ms=500).test_client()
    for number in (1, 2):
        client.post("/students", json={"name": "Ada Lovelace", "email": f"ada{number}@example.edu"})
    for number, seats in ((1, 1), (2, 5), (3, 1)):
        client.post("/courses", json={"code": f"CS{number}", "title": "C", "capacity": seats, "waitlist_capacity": 5})
    client.post("/students/1/enroll", json={"course_ids": [1, 3]})

    calls = ONE_STATEMENT | {name: call for name, (_, call) in (OTHER_COUNTS | IN_TRANSACTION).items()}
    statuses = {name: call(client).status_code for name, call in calls.items()}

    assert [name for name, status in statuses.items() if status == 503] == []
    assert {200, 201} <= set(statuses.values())


def test_a_session_is_tried_again_as_a_whole(app: Flask, student: Make, sql: Sql) -> None:
    number = student(name="Ada Lovelace")
    tries = 0

    @retried(repeatable=False)
    def change() -> None:
        nonlocal tries
        tries += 1
        with writing() as session:
            session.get_one(Student, number).name = f"Ada {tries}"
            session.flush()
            if tries == 1:
                raise busy()

    with app.app_context():
        change()

    assert (tries, sql("SELECT name FROM students")) == (2, [("Ada 2",)])


def busy() -> DBAPIError:
    """Return the error of a database when the same transaction can succeed a moment later."""

    class Busy(Exception):
        sqlstate = "40001"

    return DBAPIError(None, None, Busy())


def test_a_session_keeps_to_the_time_limit_of_its_request(app: Flask, backend: str) -> None:
    slow = {
        "postgresql": "SELECT pg_sleep(60)",
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    }[backend]

    with app.app_context(), time_limit(0.2), pytest.raises(DBAPIError), reading() as session:
        session.connection().exec_driver_sql(slow)
