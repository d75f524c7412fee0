"""Sixteen processes change the schedules of twelve students: no clash, none over the limit, none without its lab.

What was so at any time is computed from the ledger and the tables, without the rules: after each request, whose lines
have one request id, the schedule of its student must be one that is allowed.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import insert

from course_management.models import Course, Term, courses, registration_windows, terms
from course_management.models.timetable import course_links, course_meetings

from .processes import run
from .report import Check
from .rule_clients import CLOSES, OPENS
from .rules import STUDENTS, conflicts
from .schedule_clients import Schedules, work
from .stage import IMPOSSIBLE, Stage

COURSES, SLOTS, LABS = 30, 10, 8
"""Three courses meet in each slot. Of the first courses, as many as LABS need another one, their lab."""
LIMIT = Decimal(12)
CLASHES, OVER_CREDITS, WITHOUT_LAB = "clashes", "students over the credit limit", "courses held without their lab"
FIRST_DAY, LAST_DAY = date(2000, 1, 3), date(2999, 12, 20)


def prove(stage: Stage, seed: int, seconds: int, students: int = STUDENTS) -> tuple[dict[str, Any], list[Check]]:
    """Let the processes work, and compare the schedules that the ledger shows with what is allowed."""
    school = _found(stage, students)
    done = run(stage, work, seed, seconds, school)
    tried_again = conflicts(stage.folder)
    figures: Counter[str] = sum((each.figures for each in done), Counter())
    lines = stage.sql("SELECT * FROM enrollment_events ORDER BY id")
    figures["changes"] = len(lines)
    figures["promoted"] = sum((line.from_status, line.to_status) == ("waitlisted", "enrolled") for line in lines)
    wrong = defaultdict(list)
    for what, evidence in _wrong(lines, school):
        wrong[what].append(evidence)
    oversold = stage.sql(
        "SELECT course_id FROM student_courses WHERE status = 'enrolled' GROUP BY course_id HAVING count(*) > 2"
    )
    return dict(sorted(figures.items())), [
        Check("errors", [error for each in done for error in each.errors][:5], []),
        Check("deadlocks and stale snapshots", sum(tried_again[kind] for kind in IMPOSSIBLE)),
        *(Check(what, wrong[what][:5], []) for what in (CLASHES, OVER_CREDITS, WITHOUT_LAB)),
        Check("oversold courses", [row.course_id for row in oversold], []),
        *stage.verified(),
    ]


def one_student(stage: Stage, seed: int, seconds: int) -> tuple[dict[str, Any], list[Check]]:
    """Let all processes change the schedule of one student; none of them may fail."""
    return prove(stage, seed, seconds, students=1)


def _found(stage: Stage, students: int) -> Schedules:
    """Create the students, and a term with courses of two seats, which meet in slots, for three or four credits."""
    people = stage.people(students)
    with stage.engine.begin() as connection:
        values = {"starts_on": FIRST_DAY, "ends_on": LAST_DAY, "credit_limit": LIMIT}
        term = connection.scalar(insert(terms).returning(Term.id), {"code": "T", "title": "Term", **values})
        connection.execute(insert(registration_windows), {"term_id": term, "opens_at": OPENS, "closes_at": CLOSES})
        rows = [
            {
                "code": f"C{number}",
                "title": "Course",
                "term_id": term,
                "capacity": 2,
                "waitlist_capacity": 2,
                "credits": Decimal(3),
                "credits_max": Decimal(4),
            }
            for number in range(COURSES)
        ]
        ids = sorted(connection.scalars(insert(courses).returning(Course.id), rows))
        days = {"starts_minute": "09:00", "ends_minute": "09:50", "starts_on": FIRST_DAY}
        connection.execute(
            insert(course_meetings),
            [
                # Two half-terms at the same time of five weekdays are ten slots.
                {"course_id": each, "weekday": 1 + number % 5, **days, "ends_on": date(2000, 3, 3)}
                if number % SLOTS < 5
                else {
                    "course_id": each,
                    "weekday": 1 + number % 5,
                    **days,
                    "starts_on": date(2000, 3, 6),
                    "ends_on": date(2000, 5, 5),
                }
                for number, each in enumerate(ids)
            ],
        )
        # A course and its lab are in different slots.
        connection.execute(
            insert(course_links),
            [{"course_id": ids[n], "group_number": 1, "linked_id": ids[LABS + n]} for n in range(LABS)],
        )
    return Schedules(people, ids)


def _wrong(lines: Sequence[Any], school: Schedules) -> Iterator[tuple[str, Any]]:
    """Yield what is not allowed in the schedule of a student after a request, and the schedule."""
    number = {each: n for n, each in enumerate(school.courses)}
    for student in school.students:
        held: dict[int, tuple[str, Decimal]] = {}
        own = [line for line in lines if line.student_id == student]
        for request, group in itertools.groupby(own, key=lambda line: line.request_id):
            for line in group:
                held[number[line.course_id]] = (line.to_status, Decimal(line.credits or 0) / 100)
            held = {n: each for n, each in held.items() if each[0] in {"enrolled", "waitlisted"}}
            enrolled = {n: each for n, (status, each) in held.items() if status == "enrolled"}
            evidence = (student, request, sorted(held))
            if len({n % SLOTS for n in enrolled}) < len(enrolled):
                yield CLASHES, evidence
            if sum(enrolled.values()) > LIMIT:
                yield OVER_CREDITS, evidence
            if any(n + LABS not in held for n in held if n < LABS):
                yield WITHOUT_LAB, evidence
