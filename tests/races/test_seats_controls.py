"""The control of the races: what people write first, on the same database, does oversell.

Only the CHECK stands in its way; with that removed as well, the second buyer gets the seat of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ..support.fixture_types import Make, Sql
from ..support.waits import wait_until_blocked

FREE_SEATS = text(
    "SELECT capacity - (SELECT count(*) FROM student_courses WHERE course_id = courses.id)"
    " FROM courses WHERE id = :course"
)
TAKE_SEAT = text("INSERT INTO student_courses (student_id, course_id, status) VALUES (:student, :course, 'enrolled')")
TAKE_SEAT_IF_COUNTED = text(
    "INSERT INTO student_courses (student_id, course_id, status) SELECT :student, id, 'enrolled' FROM courses"
    " WHERE id = :course AND (SELECT count(*) FROM student_courses WHERE course_id = courses.id) < capacity"
)


@pytest.mark.parametrize("guarded", [True, False])
def test_count_then_insert_oversells_unless_the_constraint_has_the_last_word(
    *, guarded: bool, backend: str, database: URL, student: Make, course: Make, sql: Sql
) -> None:
    """The control: what people write first, on connections as they come. Only the CHECK stands in its way."""
    contested, buyers = course(capacity=1), (student(), student())
    oversell = _oversell_on_sqlite if backend == "sqlite" else _oversell_on_postgresql

    if guarded:
        with pytest.raises(DBAPIError, match="ck_courses_seats_within_capacity"):
            oversell(database, contested, buyers, guarded=True)
    else:
        oversell(database, contested, buyers, guarded=False)

    assert sql("SELECT seats_taken FROM courses") == [(1 if guarded else 2,)]


def _oversell_on_sqlite(database: URL, contested: int, buyers: Sequence[int], *, guarded: bool) -> None:
    # Both read before either writes; by default, SQLite lets both continue.
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            connection.exec_driver_sql(f"PRAGMA ignore_check_constraints = {'OFF' if guarded else 'ON'}")
            assert connection.execute(FREE_SEATS, {"course": contested}).scalar_one() == 1
            connection.rollback()
        for connection, buyer in zip((first, second), buyers, strict=True):
            connection.execute(TAKE_SEAT, {"student": buyer, "course": contested})
            connection.commit()


def _oversell_on_postgresql(database: URL, contested: int, buyers: Sequence[int], *, guarded: bool) -> None:
    # One statement this time, and it oversells all the same: its count is as old as its snapshot.
    engine = create_engine(database, poolclass=NullPool)
    if not guarded:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE courses DROP CONSTRAINT ck_courses_seats_within_capacity"))
    with engine.connect() as first, engine.connect() as second, ThreadPoolExecutor(1) as pool:
        first.execute(TAKE_SEAT_IF_COUNTED, {"student": buyers[0], "course": contested})
        waiting = pool.submit(second.execute, TAKE_SEAT_IF_COUNTED, {"student": buyers[1], "course": contested})
        wait_until_blocked(engine)
        first.commit()
        waiting.result()
        second.commit()
