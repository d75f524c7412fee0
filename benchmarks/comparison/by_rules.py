"""What the rules of registration cost: enrolling in courses with a term, and refusals, beside courses without one.

One service on one database does all of it, in turns of a second. What is compared is the CPU time per request, that of
the service's workers and that of PostgreSQL's processes together, because other programs on a shared machine change a
rate more than they change the work that a request is. Ratios are those of each round; a figure is their median.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import psutil
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from .data import COUNT, SEATS, connected, counted_at_once, settle
from .load import measure
from .systems import ThisService

STUDENTS, COURSES, REFUSING = 8_000, 500, 20
"""Rows; REFUSING courses each are full, and are refused by rules."""
EACH, GROUPS = 4, 3
"""Enrollments in courses of the term, and groups, per student."""
CONNECTIONS = 8
WITHOUT, BY_RULES = "enroll without a term", "enroll by rules"
FULL, REFUSED = "refusal, full course", "refusal by rules"
EARLIER = "enroll without a term, earlier version"
FIRST = {WITHOUT: 1, BY_RULES: COURSES + 1, FULL: 2 * COURSES + 1, REFUSED: 2 * COURSES + REFUSING + 1, EARLIER: 1}
"""The first course of each load."""
FIGURES = {(BY_RULES, WITHOUT): 0.5, (REFUSED, FULL): 0.6, (WITHOUT, EARLIER): 0.95}
"""The goals: the rate of the first at least so much of that of the second."""
Turns: TypeAlias = dict[str, list["Turn"]]

ROWS = (
    f"{COUNT} INSERT INTO students (name, email) SELECT 'Student ' || i, 'student' || i || '@example.edu' FROM n",
    "INSERT INTO terms (code, title, starts_on, ends_on) VALUES ('2026FA', 'Fall 2026', '2026-09-01', '2099-12-18')",
    # Groups 1 to 4 are levels, 5 to 24 programs, 25 to 32 campuses; in the last no student is.
    *(
        f"INSERT INTO groups (kind, code, title) VALUES ('{kind}', '{kind} {n}', '{kind} {n}')"
        for kind, count in (("level", 4), ("program", 20), ("campus", 8))
        for n in range(count)
    ),
    """
    INSERT INTO student_groups (student_id, group_id)
    SELECT id, 1 + id % 4 FROM students UNION ALL SELECT id, 5 + id % 20 FROM students
    UNION ALL SELECT id, 25 + id % 7 FROM students
    """,
    *(
        f"INSERT INTO registration_windows (term_id, group_id, opens_at, closes_at) VALUES (1, {group}, {times})"
        for group, times in (
            *((level, "'2020-01-01 00:00:00.000000', '2099-01-01 00:00:00.000000'") for level in range(1, 5)),
            ("NULL", "'2020-02-01 00:00:00.000000', '2020-03-01 00:00:00.000000'"),
        )
    ),
    f"""
    {COUNT} INSERT INTO courses (code, title, capacity, waitlist_capacity, term_id, permission_required)
    SELECT 'C' || (1000000 + i), 'Course ' || i,
           CASE WHEN i > 2 * {COURSES} AND i <= 2 * {COURSES} + {REFUSING} THEN 0 ELSE {SEATS} END, 10,
           CASE WHEN i > {COURSES} AND i <= 2 * {COURSES} OR i > 2 * {COURSES} + {REFUSING} THEN 1 END,
           i > 2 * {COURSES} + {REFUSING} FROM n
    """,
    # Two of three courses are restricted: they admit the four levels and exclude a campus.
    """
    INSERT INTO course_restrictions (course_id, group_id, admits)
    SELECT courses.id, groups.id, groups.kind = 'level' FROM courses CROSS JOIN groups
    WHERE courses.term_id IS NOT NULL AND courses.id % 3 > 0 AND (groups.kind = 'level' OR groups.id = 32)
    """,
    # Of each student two released holds, and of every tenth one that blocks unenrolling only.
    """
    INSERT INTO holds (student_id, kind, contact, blocks, released_at, released_by)
    SELECT id, 'library', 'library@example.edu', 'both', CURRENT_TIMESTAMP, 'benchmark' FROM students
    UNION ALL SELECT id, 'bursar', 'bursar@example.edu', 'enroll', CURRENT_TIMESTAMP, 'benchmark' FROM students
    UNION ALL SELECT id, 'advising', 'advising@example.edu', 'unenroll', NULL, NULL FROM students WHERE id % 10 = 0
    """,
    # Three permissions for courses of the term, one of them revoked.
    f"""
    INSERT INTO permissions (student_id, course_id, rule, reason, revoked_at, revoked_by)
    SELECT students.id, {COURSES + 1} + (students.id * 11 + k.i * 130) % {COURSES}, 'restricted', 'Knows the subject.',
           CASE WHEN k.i = 2 THEN CURRENT_TIMESTAMP END, CASE WHEN k.i = 2 THEN 'benchmark' END
    FROM students CROSS JOIN (SELECT 0 AS i UNION ALL SELECT 1 UNION ALL SELECT 2) AS k
    """,
)
PAIRS = f"""
    INSERT INTO student_courses (student_id, course_id, status, actor)
    SELECT students.id, {COURSES + 1} + (students.id * 7 + k.i * ({COURSES} / {EACH} + 1)) % {COURSES}, 'enrolled',
           'benchmark'
    FROM students CROSS JOIN (SELECT 0 AS i {"".join(f" UNION ALL SELECT {i}" for i in range(1, EACH))}) AS k
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a load: responses per second, and milliseconds of CPU per request."""

    rate: float
    service_ms: float
    database_ms: float


def fill(url: URL) -> None:
    """Fill a migrated database: students, the tables of the rules, and courses with and without a term."""

    def run(connection: Connection, statement: str, **values: int) -> None:
        connection.execute(text(statement), values)

    with connected(url) as connection, counted_at_once(connection):
        first, *others = ROWS
        run(connection, first, count=STUDENTS)
        for each in others:
            run(connection, each, **({"count": 2 * (COURSES + REFUSING)} if ":count" in each else {}))
        run(connection, PAIRS)
    settle(url)


def compare(
    systems: Mapping[str, ThisService], rounds: int, seconds: int, postgresql: Callable[[], Sequence[psutil.Process]]
) -> Turns:
    """Run every load, each on its system, in turns; `postgresql` returns the processes of the database."""
    found: Turns = {load: [] for load in systems}  # in this order, and not in that of the first round
    for load, system in systems.items():
        run(system, load, seconds, postgresql)  # to warm up
    for turn in range(rounds):
        for load in Random(turn).sample(list(systems), len(systems)):  # noqa: S311 - the same orders in every run
            found[load].append(run(systems[load], load, seconds, postgresql))
    return found


def run(system: ThisService, load: str, seconds: int, postgresql: Callable[[], Sequence[psutil.Process]]) -> Turn:
    """Run one load. Raises `RuntimeError` where another response came than it is about."""
    courses = REFUSING if load in (FULL, REFUSED) else COURSES
    service, database = _spent(system.workers()), _spent(postgresql())
    done = measure(
        system, "enroll", STUDENTS, courses, FIRST[load], threads=1, seconds=seconds, connections=CONNECTIONS
    )
    time.sleep(0.2)  # wrk has ended, and its last requests are still being processed
    service_s, database_s = _since(service), _since(database)
    requests, refused = int(done["requests"]), int(done["refused"])
    if done["broken"] or refused != (requests if load in (FULL, REFUSED) else 0):
        raise RuntimeError(f"{load} on {system.name}: {refused} of {requests} refused, {done['broken']} broken")
    return Turn(requests / done["seconds"], service_s / requests * 1000, database_s / requests * 1000)


def _since(before: Mapping[psutil.Process, float]) -> float:
    """Return the seconds of CPU since then, of the processes that still run; a process of autovacuum may have ended."""
    return sum(now - before[process] for process, now in _spent(before).items())


def _spent(processes: Iterable[psutil.Process]) -> dict[psutil.Process, float]:
    """Return the seconds of CPU that each process has used, in user mode and in the kernel."""
    found = {}
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            found[each] = sum(each.cpu_times()[:2])
    return found


def systems(
    folder: Path, url: URL, earlier: Path | None, start: Callable[[ThisService], ThisService]
) -> Mapping[str, ThisService]:
    """Start the service, and with `earlier`, a checkout, that version on the same database; by load."""
    service = start(ThisService("by rules", folder, url))
    found: dict[str, Any] = dict.fromkeys((WITHOUT, BY_RULES, FULL, REFUSED), service)
    if earlier:
        found[EARLIER] = start(ThisService("earlier", folder, url, source=earlier / "src"))
    return found
