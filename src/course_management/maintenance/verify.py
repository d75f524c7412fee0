"""Check that a database is consistent: every guarantee that can be checked from the data, with a figure.

The checks are plain SQL for both databases in one read-only snapshot, so a database in use can be verified: the
snapshot has a concurrent change as a whole or not at all. An invariant is broken if its query finds rows, which are the
evidence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, select, text

from .. import models  # noqa: F401 - whose ids are generated
from ..database import sequences, snapshot
from ..models import students
from ..schemas.email_addresses import canonical_address
from . import trigger_state, verify_notes

EVIDENCE = 20
"""Rows reported per broken invariant, at most."""
SECOND_LOOK_S = 2.0
"""Pause between two checks for free seats in courses with waiting students: promotion may be in progress."""
STALLED_AFTER_S = 20.0
"""Promotion is stalled when no waitlist has moved for this long: longer than it takes to replace a leader that died."""
LONGEST_LOOK_S = 120.0
"""How long these checks go on while some waitlists move and others do not."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A condition that always holds. `broken` finds the rows that violate it, `figure` counts what was checked.

    A `note` is not a guarantee: its rows are reported, and may be correct. `remedy` says what to do if it is broken.
    """

    name: str
    figure: str | Callable[[Connection], int]
    broken: str | Callable[[Connection], list[dict[str, Any]]]
    second_look: bool = False
    note: bool = False
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one invariant: how many were checked, and up to `EVIDENCE` rows that violate it."""

    name: str
    checked: int
    evidence: Sequence[dict[str, Any]]
    seconds: float
    note: bool = False
    remedy: str = ""

    @property
    def verdict(self) -> str:
        """`ok`, `note` for rows that may be correct, or `BROKEN`."""
        return ("note" if self.note else "BROKEN") if self.evidence else "ok"


_ROWS = """
    LEFT JOIN (
        SELECT course_id, count(*) AS rows_found FROM student_courses WHERE {rows} GROUP BY course_id
    ) AS found ON found.course_id = courses.id
"""
# One maximum gives the last line of each pair and its status: looking a million of them up takes three times as long.
_NUMBER = (
    "CASE {} WHEN 'unenrolled' THEN 0 WHEN 'waitlisted' THEN 1 WHEN 'enrolled' THEN 2 WHEN 'withdrawn' THEN 3"
    " ELSE 4 END"
)
_WORD = (
    "CASE {} WHEN 0 THEN 'unenrolled' WHEN 1 THEN 'waitlisted' WHEN 2 THEN 'enrolled' WHEN 3 THEN 'withdrawn'"
    " WHEN 4 THEN 'unknown' END"
)
_PAIRS = f"""
    SELECT student_id, course_id, max(present) AS present, max(line) % 5 AS ledger FROM (
        SELECT student_id, course_id, {_NUMBER.format("status")} AS present, NULL AS line FROM student_courses
        UNION ALL
        SELECT student_id, course_id, NULL, 5 * id + {_NUMBER.format("to_status")} FROM enrollment_events
    ) AS both_sides GROUP BY student_id, course_id
"""


_RECOUNT = (
    "Run `course-management repair counters`. Rows that were loaded without the counters of their courses, or twice, "
    "as by a restore of the data alone, are the usual cause."
)
_RESTORE = (
    "Rows were loaded without the ledger, or while triggers wrote it again, as by a restore of the data alone. The "
    "ledger is never rewritten: restore the whole backup into an empty database (`course-management restore`)."
)


def _addresses(connection: Connection) -> Iterator[dict[str, Any]]:
    """Find students whose e-mail address is not in canonical form, at most `EVIDENCE`."""
    shown = 0
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
            shown += 1
            if shown == EVIDENCE:
                return


INVARIANTS = (
    Invariant(
        "seats counted are rows enrolled",
        "SELECT coalesce(sum(seats_taken), 0) FROM courses",
        "SELECT id AS course_id, seats_taken, coalesce(rows_found, 0) AS rows_enrolled FROM courses"
        + _ROWS.format(rows="status = 'enrolled'")
        + "WHERE seats_taken <> coalesce(rows_found, 0)",
        remedy=_RECOUNT,
    ),
    Invariant(
        "no course is oversold",
        "SELECT count(*) FROM courses",
        "SELECT id AS course_id, capacity, coalesce(rows_found, 0) AS rows_enrolled FROM courses"
        + _ROWS.format(rows="status = 'enrolled'")
        + "WHERE rows_found > capacity",
    ),
    Invariant(
        "waiting counted are rows waitlisted",
        "SELECT coalesce(sum(waiting), 0) FROM courses",
        "SELECT id AS course_id, waiting, coalesce(rows_found, 0) AS rows_waitlisted FROM courses"
        + _ROWS.format(rows="status = 'waitlisted'")
        + "WHERE waiting <> coalesce(rows_found, 0) OR rows_found > waitlist_capacity",
        remedy=_RECOUNT,
    ),
    Invariant(
        "students passed over counted are waiting rows passed over",
        "SELECT coalesce(sum(passed_over_count), 0) FROM courses",
        "SELECT id AS course_id, passed_over_count, coalesce(rows_found, 0) AS rows_passed_over FROM courses"
        + _ROWS.format(rows="status = 'waitlisted' AND passed_over_at IS NOT NULL")
        + "WHERE passed_over_count <> coalesce(rows_found, 0)",
        remedy=_RECOUNT,
    ),
    Invariant(
        "queue numbers are not ahead of the course's last",
        "SELECT count(*) FROM student_courses WHERE queue_number IS NOT NULL",
        "SELECT course_id, student_id, queue_number, last_queue_number FROM student_courses"
        " JOIN courses ON courses.id = course_id WHERE queue_number IS NOT NULL AND queue_number > last_queue_number",
        remedy=_RECOUNT,
    ),
    Invariant(
        "no seat is free while a student waits",
        # Without a term, a closed course does not promote. In a term, the rules may have passed over all who wait.
        "SELECT count(*) FROM courses WHERE waiting > 0",
        "SELECT id AS course_id, capacity, seats_taken, waiting,"
        " (SELECT min(queue_number) FROM student_courses WHERE course_id = courses.id AND passed_over_at IS NULL)"
        " AS first_in_queue FROM courses"
        " WHERE waiting > passed_over_count AND (closed_at IS NULL OR term_id IS NOT NULL)"
        " AND (capacity IS NULL OR seats_taken < capacity)",
        second_look=True,
        remedy="The service promotes while it runs; `course-management promote` does it at once.",
    ),
    Invariant(
        "each line of the ledger starts from the status of the previous line",
        "SELECT count(*) FROM enrollment_events",
        "SELECT id AS line, student_id, course_id, before, from_status, to_status FROM ("
        "SELECT *, lag(to_status) OVER pair AS before, lag(credits) OVER pair AS credits_before FROM enrollment_events"
        " WINDOW pair AS (PARTITION BY student_id, course_id ORDER BY id)) AS lines"
        " WHERE coalesce(before, '') <> coalesce(from_status, '') OR (coalesce(from_status, '') = to_status"
        " AND coalesce(credits_before, -1) = coalesce(credits, -1))",  # a line of the same status is one of credits
        remedy=_RESTORE,
    ),
    Invariant(
        "the ledger alone rebuilds the present",
        "SELECT count(*) FROM student_courses",
        f"SELECT student_id, course_id, {_WORD.format('present')} AS status, {_WORD.format('ledger')} AS ledger"
        # The lines of a row deleted with its student or course remain; by the last one, the student was unenrolled.
        f" FROM ({_PAIRS}) AS pairs"
        " WHERE CASE WHEN present IS NULL THEN ledger IN (1, 2, 3) ELSE coalesce(ledger, -1) <> present END",
        remedy=_RESTORE,
    ),
    Invariant(
        "no enrollment is an orphan",
        "SELECT count(*) FROM student_courses",
        "SELECT e.student_id, e.course_id, e.status FROM student_courses AS e"
        " LEFT JOIN students ON students.id = e.student_id LEFT JOIN courses ON courses.id = e.course_id"
        " WHERE students.id IS NULL OR courses.id IS NULL",
        remedy=_RESTORE,
    ),
    Invariant(
        "all triggers exist and are enabled",
        trigger_state.number,
        lambda connection: [
            {"table": flaw.table, "trigger": flaw.trigger, "state": flaw.state}
            for flaw in trigger_state.flaws(connection)
        ],
        remedy="Run `course-management repair triggers`, then verify again.",
    ),
    Invariant(
        "new ids are above all that were given",
        f"SELECT {len(sequences.tables())}",
        lambda connection: [asdict(sequence) for sequence in sequences.behind(connection)],
        remedy="Run `course-management repair sequences`.",
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
    *(Invariant(name, figure, broken, note=True) for name, figure, broken in verify_notes.notes(EVIDENCE)),
)


def verify(announce: Callable[[str], None] = lambda _: None, *, is_copy: bool = False) -> Iterator[Finding]:
    """Check every invariant and yield the findings in order. `announce` is called with each name before its check.

    No service promotes students in a copy yet. It is of one moment, in which a seat may just have become free: there,
    that is a note.
    """
    again = []
    with snapshot() as connection:
        for invariant in INVARIANTS:
            announce(invariant.name)
            finding = _check(connection, invariant)
            if finding.evidence and invariant.second_look and is_copy:
                yield replace(finding, evidence=finding.evidence[:EVIDENCE], note=True)
            elif finding.evidence and invariant.second_look:
                again.append((invariant, finding))
            else:
                yield finding
    for invariant, finding in again:  # outside the snapshot, which would stop the database from removing old rows
        announce(invariant.name)
        yield _look_again(invariant, finding)


def _check(connection: Connection, invariant: Invariant) -> Finding:
    started = time.perf_counter()
    if isinstance(invariant.broken, str):
        limit = "" if invariant.second_look else f" LIMIT {EVIDENCE}"  # all rows: some will be gone at the next check
        rows = [dict(row) for row in connection.execute(text(invariant.broken + limit)).mappings()]
    else:
        rows = invariant.broken(connection)
    figure = invariant.figure
    checked = figure(connection) if callable(figure) else connection.execute(text(figure)).scalar_one()
    return Finding(invariant.name, int(checked), rows, time.perf_counter() - started, invariant.note, invariant.remedy)


def _look_again(invariant: Invariant, first: Finding) -> Finding:
    """Check again until promotion has reached every course of the first check, or has stalled.

    A course is broken if the first student in its waitlist is still the same when no waitlist has moved for
    `STALLED_AFTER_S`, or after `LONGEST_LOOK_S`.
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
            seconds = first.seconds + present - started
            return replace(first, checked=now.checked, evidence=still[:EVIDENCE], seconds=seconds)


def _heads(finding: Finding) -> dict[int, int]:
    """Return the first queue number of each course in a finding."""
    return {row["course_id"]: row["first_in_queue"] for row in finding.evidence}
