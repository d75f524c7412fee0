"""What the rules of registration cost: enrolling in courses with a term, and refusals, beside courses without one.

One service on one database does all of it, in turns of a second. What is compared is the CPU time per request, that of
the service's workers and that of PostgreSQL's processes together, because other programs on a shared machine change a
rate more than they change the work that a request is. Ratios are those of each round; a figure is their median.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import psutil
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from . import cpu
from .data import COUNT, SEATS, connected, counted_at_once, settle
from .load import measure
from .systems import ThisService

STUDENTS, COURSES, REFUSING = 8_000, 500, 20
"""Rows; REFUSING courses each are full, and are refused by rules."""
EACH, GROUPS = 4, 3
"""Enrollments in courses of the term, and groups, per student."""
FIRST_COMPLETED, COMPLETIONS = 101, 20
"""Catalog entries that every student has completed."""
FEW, MANY = 8, 32
"""Connections. With many, requests run in groups."""
WITHOUT, BY_RULES = "enroll without a term", "enroll by rules"
FULL, REFUSED = "refusal, full course", "refusal by rules"
EARLIER = f"{WITHOUT}, earlier version"
IN_GROUPS = f"{BY_RULES}, {MANY} connections"
EARLIER_IN_GROUPS = f"{IN_GROUPS}, earlier version"
FIRST = {
    WITHOUT: 1,
    BY_RULES: COURSES + 1,
    FULL: 2 * COURSES + 1,
    REFUSED: 2 * COURSES + REFUSING + 1,
    EARLIER: 1,
    IN_GROUPS: COURSES + 1,
    EARLIER_IN_GROUPS: COURSES + 1,
}
"""The first course of each load."""
FIGURES = {
    (BY_RULES, WITHOUT): 0.45,
    (REFUSED, FULL): 0.6,
    (WITHOUT, EARLIER): 0.95,
    (IN_GROUPS, EARLIER_IN_GROUPS): 1.2,
}
"""The goals: the rate of the first at least so much of that of the second."""
Turns: TypeAlias = dict[str, list["Turn"]]

ROWS = (
    f"{COUNT} INSERT INTO students (name, email) SELECT 'Student ' || i, 'student' || i || '@example.edu' FROM n",
    """
    INSERT INTO terms (code, title, starts_on, ends_on, credit_limit)
    VALUES ('2026FA', 'Fall 2026', '2026-09-01', '2099-12-18', 1000000)
    """,
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
    # Entries 1 to 100 are offered; each requires one of two, and one more, of the 20 that every student has completed.
    f"""
    {COUNT} INSERT INTO catalog_entries (code, title, credits, courses_per_term, completions_allowed)
    SELECT 'E' || i, 'Entry ' || i, 300, NULL, 1 FROM n
    """,
    *(
        f"INSERT INTO prerequisites (catalog_id, group_number, required_id, minimum_points)"
        f" SELECT id, {group}, {FIRST_COMPLETED} + (id + {group + other}) % {COMPLETIONS}, 200 FROM catalog_entries"
        f" WHERE id < {FIRST_COMPLETED}"
        for group, other in ((1, 0), (1, 7), (2, 11))
    ),
    f"""
    INSERT INTO completions (student_id, catalog_id, term_code, grade, points, passed, credits)
    SELECT students.id, catalog_entries.id, '2025FA', 'B', 300, 1 = 1, 300 FROM students CROSS JOIN catalog_entries
    WHERE catalog_entries.id >= {FIRST_COMPLETED}
    """,
    """
    INSERT INTO student_terms (student_id, term_id, credit_limit)
    SELECT id, 1, 2000000 FROM students WHERE id % 4 = 0
    """,
    f"""
    {COUNT} INSERT INTO courses (code, title, capacity, waitlist_capacity, term_id, permission_required, catalog_id,
                         credits, credits_max)
    SELECT 'C' || (1000000 + i), 'Course ' || i,
           CASE WHEN i > 2 * {COURSES} AND i <= 2 * {COURSES} + {REFUSING} THEN 0 ELSE {SEATS} END, 10,
           CASE WHEN i > {COURSES} AND i <= 2 * {COURSES} OR i > 2 * {COURSES} + {REFUSING} THEN 1 END,
           i > 2 * {COURSES} + {REFUSING},
           CASE WHEN i > {COURSES} AND i <= 2 * {COURSES} OR i > 2 * {COURSES} + {REFUSING} THEN 1 + i % 100 END,
           CASE WHEN i > {COURSES} AND i <= 2 * {COURSES} OR i > 2 * {COURSES} + {REFUSING} THEN 300 END,
           CASE WHEN i > {COURSES} AND i <= 2 * {COURSES} AND i % 2 = 0 THEN 400 END FROM n
    """,
    # Two meetings of each course; no two courses meet at the same time.
    *(
        f"""
        INSERT INTO course_meetings (course_id, weekday, starts_minute, ends_minute, starts_on, ends_on)
        SELECT id, 1 + id % 5, 300 + id / 5 % 110 * 10, 310 + id / 5 % 110 * 10, {days} FROM courses
        WHERE term_id IS NOT NULL
        """
        for days in ("'2026-09-01', '2026-10-23'", "'2026-10-26', '2026-12-18'")
    ),
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
    INSERT INTO student_courses (student_id, course_id, status, actor, credits)
    SELECT students.id, {COURSES + 1} + (students.id * 7 + k.i * ({COURSES} / {EACH} + 1)) % {COURSES}, 'enrolled',
           'benchmark', 300
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
            rows = FIRST_COMPLETED + COMPLETIONS - 1 if "catalog_entries (" in each else 2 * (COURSES + REFUSING)
            run(connection, each, **({"count": rows} if ":count" in each else {}))
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
    connections = MANY if load in (IN_GROUPS, EARLIER_IN_GROUPS) else FEW
    service, database = cpu.spent(system.workers()), cpu.spent(postgresql())
    done = measure(
        system, "enroll", STUDENTS, courses, FIRST[load], threads=1, seconds=seconds, connections=connections
    )
    time.sleep(0.2)  # wrk has ended, and its last requests are still being processed
    service_s, database_s = cpu.since(service), cpu.since(database)
    requests, refused = int(done["requests"]), int(done["refused"])
    if done["broken"] or refused != (requests if load in (FULL, REFUSED) else 0):
        raise RuntimeError(f"{load} on {system.name}: {refused} of {requests} refused, {done['broken']} broken")
    return Turn(requests / done["seconds"], service_s / requests * 1000, database_s / requests * 1000)


def systems(
    folder: Path, url: URL, earlier: Path | None, start: Callable[[ThisService], ThisService]
) -> Mapping[str, ThisService]:
    """Start the service, and with `earlier`, a checkout, that version on the same database; by load."""
    service = start(ThisService("by rules", folder, url))
    found: dict[str, Any] = dict.fromkeys((WITHOUT, BY_RULES, IN_GROUPS, FULL, REFUSED), service)
    if earlier:
        found |= dict.fromkeys(
            (EARLIER, EARLIER_IN_GROUPS), start(ThisService("earlier", folder, url, source=earlier / "src"))
        )
    return found
