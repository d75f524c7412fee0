"""Whether a whole database agrees with itself: every promise that can be checked from the data, with its figure.

Plain SQL that runs on both databases, in one read-only snapshot, so that a database in use can be verified: what
is being written meanwhile is wholly in the snapshot or not at all. An invariant is broken when its query finds
rows; the rows are the evidence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select, text

from . import models  # noqa: F401 - whose ids are generated
from .database import db, sequences
from .models import students
from .schemas.email_addresses import canonical_address

EVIDENCE = 20
"""Rows that are shown for a broken invariant."""
SECOND_LOOK_S = 2.0
"""Pause between two looks at free seats beside waiting students: promotion may be in progress."""
STALLED_AFTER_S = 20.0
"""Promotion is stalled when no waitlist has moved for this long: longer than it takes to replace a leader that died."""
LONGEST_LOOK_S = 120.0
"""How long the looks go on while some waitlists move and others do not."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that is always true. `broken` finds the rows where it is not, `figure` counts what was checked.

    A `note` is no promise of the database: what it finds is reported and can be right.
    """

    name: str
    figure: str
    broken: str | Callable[[Connection], list[dict[str, Any]]]
    second_look: bool = False
    note: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one invariant: how many were checked, and the rows that break it (at most 20)."""

    name: str
    checked: int
    evidence: Sequence[dict[str, Any]]
    seconds: float
    note: bool = False

    @property
    def verdict(self) -> str:
        """`ok`, `note` for what can be right, or `BROKEN`."""
        return ("note" if self.note else "BROKEN") if self.evidence else "ok"


_ROWS = """
    LEFT JOIN (
        SELECT course_id, count(*) AS rows_found FROM student_courses WHERE status = '{status}' GROUP BY course_id
    ) AS found ON found.course_id = courses.id
"""
# The last line of each pair and its status in one maximum: looking a million of them up takes three times as long.
_NUMBER = "CASE {} WHEN 'unenrolled' THEN 0 WHEN 'waitlisted' THEN 1 WHEN 'enrolled' THEN 2 ELSE 3 END"
_WORD = "CASE {} WHEN 0 THEN 'unenrolled' WHEN 1 THEN 'waitlisted' WHEN 2 THEN 'enrolled' WHEN 3 THEN 'unknown' END"
_PAIRS = f"""
    SELECT student_id, course_id, max(present) AS present, max(line) % 4 AS ledger FROM (
        SELECT student_id, course_id, {_NUMBER.format("status")} AS present, NULL AS line FROM student_courses
        UNION ALL
        SELECT student_id, course_id, NULL, 4 * id + {_NUMBER.format("to_status")} FROM enrollment_events
    ) AS both_sides GROUP BY student_id, course_id
"""


def _addresses(connection: Connection) -> Iterator[dict[str, Any]]:
    """Students with an address that the service would write in another way; at most `EVIDENCE` of them."""
    found = 0
    statement = (
        select(students.c.id, students.c.email).where(students.c.email.is_not(None)).execution_options(yield_per=10_000)
    )
    for student_id, email in connection.execute(statement):
        try:
            stored = canonical_address(email)
        except ValueError:
            stored = None
        if stored != email:
            yield {"student_id": student_id, "form": "another one" if stored else "no e-mail address"}
            found += 1
            if found == EVIDENCE:
                return


INVARIANTS = (
    Invariant(
        "seats counted are rows enrolled",
        "SELECT coalesce(sum(seats_taken), 0) FROM courses",
        "SELECT id AS course_id, seats_taken, coalesce(rows_found, 0) AS rows_enrolled FROM courses"
        + _ROWS.format(status="enrolled")
        + "WHERE seats_taken <> coalesce(rows_found, 0)",
    ),
    Invariant(
        "no course is oversold",
        "SELECT count(*) FROM courses",
        "SELECT id AS course_id, capacity, coalesce(rows_found, 0) AS rows_enrolled FROM courses"
        + _ROWS.format(status="enrolled")
        + "WHERE rows_found > capacity",
    ),
    Invariant(
        "waiting counted are rows waitlisted",
        "SELECT coalesce(sum(waiting), 0) FROM courses",
        "SELECT id AS course_id, waiting, coalesce(rows_found, 0) AS rows_waitlisted FROM courses"
        + _ROWS.format(status="waitlisted")
        + "WHERE waiting <> coalesce(rows_found, 0) OR rows_found > waitlist_capacity",
    ),
    Invariant(
        "queue numbers are not ahead of the course's last",
        "SELECT count(*) FROM student_courses WHERE queue_number IS NOT NULL",
        "SELECT course_id, student_id, queue_number, last_queue_number FROM student_courses"
        " JOIN courses ON courses.id = course_id WHERE queue_number IS NOT NULL AND queue_number > last_queue_number",
    ),
    Invariant(
        "no seat is free while somebody waits",
        "SELECT count(*) FROM courses WHERE waiting > 0",
        "SELECT id AS course_id, capacity, seats_taken, waiting,"
        " (SELECT min(queue_number) FROM student_courses WHERE course_id = courses.id) AS first_in_queue FROM courses"
        " WHERE waiting > 0 AND (capacity IS NULL OR seats_taken < capacity)",
        second_look=True,
    ),
    Invariant(
        "each line of the ledger goes on where the one before it ended",
        "SELECT count(*) FROM enrollment_events",
        "SELECT id AS line, student_id, course_id, before, from_status, to_status FROM ("
        "SELECT *, lag(to_status) OVER (PARTITION BY student_id, course_id ORDER BY id) AS before"
        " FROM enrollment_events) AS lines"
        " WHERE coalesce(before, '') <> coalesce(from_status, '') OR coalesce(from_status, '') = to_status",
    ),
    Invariant(
        "the ledger alone rebuilds the present",
        "SELECT count(*) FROM student_courses",
        f"SELECT student_id, course_id, {_WORD.format('present')} AS status, {_WORD.format('ledger')} AS ledger"
        # Of a row that was deleted with its student or course, the lines stay; by the last one, it was not held.
        f" FROM ({_PAIRS}) AS pairs"
        " WHERE CASE WHEN present IS NULL THEN ledger IN (1, 2) ELSE coalesce(ledger, -1) <> present END",
    ),
    Invariant(
        "no enrollment is an orphan",
        "SELECT count(*) FROM student_courses",
        "SELECT e.student_id, e.course_id, e.status FROM student_courses AS e"
        " LEFT JOIN students ON students.id = e.student_id LEFT JOIN courses ON courses.id = e.course_id"
        " WHERE students.id IS NULL OR courses.id IS NULL",
    ),
    Invariant(
        "new ids are above all that were given",
        f"SELECT {len(sequences.tables())}",
        lambda connection: [asdict(found) for found in sequences.behind(connection)],
    ),
    Invariant(
        "the lines of the ledger are in order of time in each course",
        "SELECT count(*) FROM enrollment_events",
        "SELECT id AS line, student_id, course_id, at, line_before, at_before FROM ("
        "SELECT id, student_id, course_id, at, lag(id) OVER by_id AS line_before, lag(at) OVER by_id AS at_before"
        " FROM enrollment_events WINDOW by_id AS (PARTITION BY course_id ORDER BY id)) AS lines WHERE at < at_before",
        note=True,
    ),
    Invariant(
        "e-mail addresses are stored in their canonical form",
        "SELECT count(*) FROM students",
        lambda connection: list(_addresses(connection)),
        note=True,
    ),
)


def verify(announce: Callable[[str], None] = lambda _: None) -> Iterator[Finding]:
    """Check every invariant; the findings, in order, as they are made. `announce` gets each name before its check."""
    again = []
    with snapshot() as connection:
        for invariant in INVARIANTS:
            announce(invariant.name)
            finding = _check(connection, invariant)
            if finding.evidence and invariant.second_look:
                again.append((invariant, finding))
            else:
                yield finding
    for invariant, finding in again:  # without the snapshot: it would keep the database from cleaning up meanwhile
        announce(invariant.name)
        yield _look_again(invariant, finding)


def _check(connection: Connection, invariant: Invariant) -> Finding:
    started = time.perf_counter()
    if isinstance(invariant.broken, str):
        limit = "" if invariant.second_look else f" LIMIT {EVIDENCE}"  # what lasts may come behind what passes
        rows = [dict(row) for row in connection.execute(text(invariant.broken + limit)).mappings()]
    else:
        rows = invariant.broken(connection)
    checked = connection.execute(text(invariant.figure)).scalar_one()
    return Finding(invariant.name, int(checked), rows, time.perf_counter() - started, note=invariant.note)


def _look_again(invariant: Invariant, first: Finding) -> Finding:
    """Look again until promotion has reached every course of the first look, or has stalled.

    Broken are the courses whose first student in the waitlist is still the same when no waitlist has moved for
    `STALLED_AFTER_S`, or when `LONGEST_LOOK_S` are over.
    """
    started = moved = time.monotonic()
    at_first = latest = _heads(first)
    while True:
        time.sleep(SECOND_LOOK_S)
        with snapshot() as connection:
            now = _check(connection, invariant)
        heads = {course: head for course, head in _heads(now).items() if course in at_first}
        still = [row for row in now.evidence if at_first.get(row["course_id"]) == row["first_in_queue"]]
        present = time.monotonic()
        if heads != latest:
            latest, moved = heads, present
        if not still or present - moved >= STALLED_AFTER_S or present - started >= LONGEST_LOOK_S:
            return Finding(first.name, now.checked, still[:EVIDENCE], first.seconds + present - started)


def _heads(finding: Finding) -> dict[int, int]:
    """The first number in the waitlist of each course that was found."""
    return {row["course_id"]: row["first_in_queue"] for row in finding.evidence}


@contextmanager
def snapshot() -> Iterator[Connection]:
    """One unchanging view of the database, without a lock that others would wait for, and without a time limit."""
    engine = db.engine.execution_options(autocommit=True)  # it begins by itself, below
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")
