"""Sixteen processes enroll by rules while other processes change the rules, and one adopts courses into the term."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from course_management import create_app
from course_management.context import RequestContext
from course_management.database import db
from course_management.errors import Problem
from course_management.models import Course, Group, Term, courses, groups, registration_windows, student_groups, terms
from course_management.models.groups import course_restrictions
from course_management.services import enrollment, holds, permissions
from course_management.services.enrollment import rules

from ..support.limited_courses import LIMITED, AtMost
from .processes import run
from .report import Check
from .rule_clients import CLOSES, LIMIT, OPENS, Report, School, permission_for, work
from .stage import IMPOSSIBLE, Stage

STUDENTS = 12
SEATS = {"capacity": 2, "waitlist_capacity": 3}
COURSES = {"limited": 16, "others": 6, "adopted": 8}
BY_PERMISSION, RESTRICTED = 4, 4
OVER_LIMIT = "students who were over the limit"


def prove(stage: Stage, seed: int, seconds: int) -> tuple[dict[str, Any], list[Check]]:
    """Let the processes work, and compare what they saw with what was in force; then settle, and look again."""
    school = _found(stage)
    found = run(stage, work, seed, seconds, school)
    tried_again = conflicts(stage.folder)
    figures: Counter[str] = sum((each.figures for each in found), Counter())
    lines = stage.sql("SELECT * FROM enrollment_events ORDER BY id")
    figures["promoted"] = sum((line.from_status, line.to_status) == ("waitlisted", "enrolled") for line in lines)
    checks = [
        Check("errors", [error for each in found for error in each.errors][:5], []),
        Check("deadlocks and stale snapshots", sum(tried_again[kind] for kind in IMPOSSIBLE)),
        Check("enrolled against a rule that was in force", list(_against_rules(found))[:5], []),
        Check(OVER_LIMIT, sorted(_over_limit(lines, set(school.limited)))[:5], []),
        *_settled(stage, school),
        *stage.verified(),
    ]
    return {"enrolled": sum(len(each.enrolled) for each in found), **dict(sorted(figures.items()))}, checks


def _found(stage: Stage) -> School:
    """Create the school: students, groups, two terms with open windows, and courses of two seats each."""
    people = stage.people(STUDENTS)
    with stage.engine.begin() as connection:

        def create(table: Any, key: Any, rows: Sequence[dict[str, Any]]) -> list[int]:
            return sorted(connection.scalars(insert(table).returning(key), rows))

        dates = {"starts_on": OPENS.date(), "ends_on": CLOSES.date()}
        of = create(terms, Term.id, [{"code": f"T{n}", "title": "Term", **dates} for n in range(2)])
        kinds = create(groups, Group.id, [{"kind": "level", "code": f"G{n}", "title": "Group"} for n in range(2)])
        connection.execute(
            insert(student_groups),
            [{"student_id": each, "group_id": kinds[n % 2]} for n, each in enumerate(people)],
        )
        connection.execute(
            insert(registration_windows),
            [
                {"term_id": term, "group_id": kind, "opens_at": OPENS, "closes_at": CLOSES}
                for term in of
                for kind in kinds
            ],
        )
        limited, others, adopted = (
            create(
                courses,
                Course.id,
                [
                    {
                        "code": f"{prefix}{n}",
                        "title": "Course",
                        "term_id": term,
                        **SEATS,
                        "permission_required": term == of[0] and n < BY_PERMISSION,
                    }
                    for n in range(count)
                ],
            )
            for prefix, term, count in zip((LIMITED, "T", "N"), (of[0], of[1], None), COURSES.values(), strict=True)
        )
        restricted = limited[BY_PERMISSION : BY_PERMISSION + RESTRICTED]
        connection.execute(
            insert(course_restrictions), [{"course_id": each, "group_id": kinds[0]} for each in restricted]
        )
    return School(people, kinds, of, limited[:BY_PERMISSION], restricted, limited, others, adopted)


def _against_rules(reports: Sequence[Report]) -> Iterator[str]:
    in_force = [each for report in reports for each in report.in_force]
    for report in reports:
        for change in report.enrolled:
            for rule in in_force:
                if rule.forbids(change):
                    yield f"{rule.rule}: {change}"


def _over_limit(lines: Sequence[Any], limited: set[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield the students who were enrolled in too many courses after a line of the ledger, and the courses."""
    held: dict[int, set[int]] = defaultdict(set)
    for line in lines:
        if line.course_id not in limited:
            continue
        of_student = held[line.student_id]
        if line.to_status == "enrolled":
            of_student.add(line.course_id)
            if len(of_student) > LIMIT:
                yield line.student_id, sorted(of_student)
        else:
            of_student.discard(line.course_id)


def conflicts(folder: Path) -> Counter[str]:
    """Return how many transactions were tried again, by cause, from the logs of the processes."""
    found: Counter[str] = Counter()
    for log in folder.glob("rules-*.log"):
        for line in log.read_text().splitlines():
            if '"database.retry"' in line:
                found[json.loads(line)["kind"]] += 1
        log.unlink()
    return found


def _settled(stage: Stage, school: School) -> Iterator[Check]:
    """Release and open everything. Then nobody waits who may have a seat, and every free seat is for anybody."""
    app = create_app({"DATABASE_URL": stage.url.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
    context = RequestContext()
    before, rules.RULES = rules.RULES, (*rules.RULES, AtMost(LIMIT))
    try:
        with app.app_context():
            for hold in stage.sql("SELECT id, student_id FROM holds WHERE released_at IS NULL"):
                holds.release(hold.student_id, hold.id, context)
            while enrollment.promote_all(context)[0]:
                pass
            yield Check("students who wait beside a seat that they may have", list(_waiting(stage, school))[:5], [])
            yield Check("free seats that a student cannot have", list(_unavailable(stage, school, context))[:5], [])
            db.engine.dispose()
    finally:
        rules.RULES = before


def _waiting(stage: Stage, school: School) -> Iterator[tuple[int, int]]:
    """Yield the student and the course where every rule, said here once more, lets the student have a free seat."""
    rows = stage.sql("SELECT student_id, course_id, status FROM student_courses")
    taken = Counter(row.course_id for row in rows if row.status == "enrolled")
    limited = Counter(row.student_id for row in rows if row.status == "enrolled" and row.course_id in school.limited)
    needing = {row.id for row in stage.sql("SELECT id FROM courses WHERE permission_required")}
    permitted = {
        (row.student_id, row.course_id)
        for row in stage.sql("SELECT student_id, course_id FROM permissions WHERE revoked_at IS NULL")
    }
    for row in rows:
        student, course = row.student_id, row.course_id
        if (
            row.status == "waitlisted"
            and taken[course] < SEATS["capacity"]
            and (course not in needing or (student, course) in permitted)
            and (course not in school.restricted or school.group_of(student) == school.groups[0])
            and (course not in school.limited or limited[student] < LIMIT)
        ):
            yield student, course


def _unavailable(stage: Stage, school: School, context: RequestContext) -> Iterator[str]:
    """Yield why a new student, against whom no rule stands, cannot enroll in a course with a free seat."""
    free = stage.sql(
        "SELECT id, permission_required FROM courses WHERE seats_taken < capacity AND waiting = passed_over_count"
    )
    for course in free:
        (number,) = stage.people(1)
        with stage.engine.begin() as connection:
            connection.execute(insert(student_groups), [{"student_id": number, "group_id": school.groups[0]}])
        if course.permission_required:
            permissions.grant(number, permission_for(course.id), context)
        try:
            enrollment.enroll(enrollment.EnrollmentRequest(number, [course.id], context=context))
        except Problem as problem:
            yield f"{course.id}: {problem.members}"
