"""The counters of courses: count the rows again after they were loaded without triggers, or with triggers twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from ..database import db
from ..database.types import MAX_ID

PART = 500
"""Courses that are locked at a time."""
COUNTERS = ("seats_taken", "waiting", "passed_over_count", "last_queue_number")

LOCK = "FOR NO KEY UPDATE"
"""Each change of an enrollment locks its course before it commits, so this lock makes the count exact."""
_IDS = "SELECT id FROM courses WHERE id > :after ORDER BY id LIMIT :part"
_COUNT = """
    SELECT courses.id, code, capacity, waitlist_capacity,
           seats_taken, waiting, passed_over_count, last_queue_number,
           coalesce(seats, 0) AS seats, coalesce(places, 0) AS places, coalesce(passed_over, 0) AS passed_over,
           coalesce(highest, 0) AS highest
    FROM courses LEFT JOIN (
        SELECT course_id,
               count(CASE WHEN status = 'enrolled' THEN 1 END) AS seats,
               count(CASE WHEN status = 'waitlisted' THEN 1 END) AS places,
               count(CASE WHEN status = 'waitlisted' AND passed_over_at IS NOT NULL THEN 1 END) AS passed_over,
               max(queue_number) AS highest
        FROM student_courses WHERE course_id > :after AND course_id <= :last GROUP BY course_id
    ) AS counted ON course_id = courses.id
    WHERE courses.id > :after AND courses.id <= :last ORDER BY courses.id
"""
_SET = """
    UPDATE courses SET seats_taken = :seats_taken, waiting = :waiting, passed_over_count = :passed_over_count,
        last_queue_number = :last_queue_number
    WHERE id = :id
"""


@dataclass(frozen=True, slots=True)
class Recount:
    """A course whose counters were wrong. `problem` says why they cannot be set, if so."""

    course_id: int
    code: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    problem: str | None = None


def recount() -> Iterator[Recount]:
    """Set the counters of each course to what its rows say; yield those that were different. Safe during use."""
    after = 0
    while after < MAX_ID:
        with db.engine.begin() as connection:
            statement = f"{_IDS} {LOCK}" if connection.dialect.name == "postgresql" else _IDS
            ids = list(connection.scalars(text(statement), {"after": after, "part": PART}))
            if not ids:
                return
            changed = list(_recount(connection, after, ids[-1]))
        yield from changed
        after = ids[-1]


def _recount(connection: Connection, after: int, last: int) -> Iterator[Recount]:
    for row in connection.execute(text(_COUNT), {"after": after, "last": last}).all():
        before = tuple(getattr(row, name) for name in COUNTERS)
        counted = (row.seats, row.places, row.passed_over, max(row.last_queue_number, row.highest))
        if counted == before:
            continue
        problem = None
        if row.capacity is not None and row.seats > row.capacity:
            problem = f"{row.seats} students are enrolled, and the capacity is {row.capacity}: raise it first"
        elif row.waitlist_capacity is not None and row.places > row.waitlist_capacity:
            problem = f"{row.places} students wait, and the waitlist has {row.waitlist_capacity} places: raise it first"
        else:
            connection.execute(text(_SET), {"id": row.id, **dict(zip(COUNTERS, counted, strict=True))})
        yield Recount(row.id, row.code, before, counted, problem)
