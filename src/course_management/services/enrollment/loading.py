"""Read the situation of a student by one statement, so that all of it is of one moment.

The statement is made from one table of questions. Each is a query; its rows come as JSON in one column of the one row.

A rule that needs to know more brings its own questions, and nothing here changes: `Rule.questions` names them, each a
`select` with the parameters `student`, `course_ids` and `at` (the names at the top of `statements.py`, and `now` here),
and the rule finds their rows in `situation.answers[name]`, values as JSON has them. The questions of all `RULES` are
part of the one statement, and so of the one moment. An enrollment in a course without a term must not be an answer: it
can change without raising the schedule revision, by which the seat statement notices what changed meanwhile.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
)

from ...database import AnyRow
from ...database.types import UtcDateTime, among
from ...errors import StudentNotFound
from ...models import WAITLISTED, courses, enrollments, is_held, queue_position, students
from ...models.groups import course_restrictions, groups, student_groups
from ...models.holds import holds, permissions
from ...models.terms import registration_windows, terms
from . import rules
from .rules import Rule
from .situation import Course, Enrollment, Hold, Restriction, Situation, Term, Window
from .statements import course_ids, student_id

Execute = Callable[[Executable, Mapping[str, Any]], Sequence[AnyRow]]
"""How to run the statement: alone (`autocommit`), or inside a transaction."""

now = bindparam("at", type_=UtcDateTime)


def _is_live(until: ColumnElement[Any], ended: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(ended.is_(None), or_(until.is_(None), until > now))


QUESTIONS: Mapping[str, Select[Any]] = {
    "student": select(students.c.schedule_revision).where(students.c.id == student_id),
    "groups": select(student_groups.c.group_id).where(student_groups.c.student_id == student_id),
    "holds": select(holds.c.kind, holds.c.contact, holds.c.blocks).where(
        holds.c.student_id == student_id, _is_live(holds.c.until, holds.c.released_at)
    ),
    "permissions": select(permissions.c.course_id, permissions.c.rule).where(
        permissions.c.student_id == student_id,
        among(permissions.c.course_id, course_ids),
        _is_live(permissions.c.expires_at, permissions.c.revoked_at),
    ),
    "enrollments": select(
        enrollments.c.course_id,
        enrollments.c.status,
        enrollments.c.passed_over_at,
    )
    .join(courses, courses.c.id == enrollments.c.course_id)
    .where(enrollments.c.student_id == student_id, is_held(enrollments), courses.c.term_id.is_not(None)),
    "courses": select(
        courses.c.id,
        courses.c.capacity,
        courses.c.waitlist_capacity,
        courses.c.seats_taken,
        courses.c.waiting,
        courses.c.passed_over_count,
        courses.c.closed_at,
        courses.c.permission_required,
        courses.c.term_id,
        terms.c.code,
        terms.c.starts_on,
        terms.c.ends_on,
        terms.c.promote_until,
        enrollments.c.status,
        case((enrollments.c.status == literal(WAITLISTED), queue_position(enrollments, courses)), else_=null()),
    )
    .select_from(
        courses.outerjoin(terms, terms.c.id == courses.c.term_id).outerjoin(
            enrollments,
            and_(
                enrollments.c.student_id == student_id,
                enrollments.c.course_id == courses.c.id,
                is_held(enrollments),
            ),
        )
    )
    .where(among(courses.c.id, course_ids)),
    "windows": select(
        registration_windows.c.term_id,
        registration_windows.c.group_id,
        registration_windows.c.opens_at,
        registration_windows.c.closes_at,
    ).where(registration_windows.c.term_id.in_(select(courses.c.term_id).where(among(courses.c.id, course_ids)))),
    "restrictions": select(
        course_restrictions.c.course_id,
        course_restrictions.c.group_id,
        groups.c.kind,
        groups.c.code,
        course_restrictions.c.admits,
    )
    .join(groups, groups.c.id == course_restrictions.c.group_id)
    .where(among(course_restrictions.c.course_id, course_ids)),
}
"""What is read for the fields of `Situation`, by name. The parameters are `student`, `course_ids` and `at`."""


def questions(asking: Iterable[Rule]) -> Mapping[str, Select[Any]]:
    """Return `QUESTIONS` and those of the rules. Raises `ValueError` if two different ones have the same name."""
    found = dict(QUESTIONS)
    for rule in asking:
        for name, question in rule.questions.items():
            if found.setdefault(name, question) is not question:
                raise ValueError(f"the question {name!r} of {type(rule).__name__} has the name of another question")
    return found


@functools.cache
def statement(backend: str, asking: tuple[Rule, ...]) -> Executable:
    """Return the loading statement: one row, with a column of JSON for each question."""
    rows, row = ("json_group_array", "json_array") if backend == "sqlite" else ("json_agg", "json_build_array")
    columns = []
    for name, question in questions(asking).items():
        answer = question.subquery(name)
        listed = select(getattr(func, rows)(getattr(func, row)(*answer.c))).scalar_subquery()
        columns.append(cast(listed, String).label(name))
    return select(*columns)


_STATES = (
    select(
        courses.c.id,
        courses.c.capacity,
        courses.c.waitlist_capacity,
        courses.c.seats_taken,
        courses.c.waiting,
        courses.c.passed_over_count,
        courses.c.term_id,
        courses.c.closed_at,
        enrollments.c.status,
        case((enrollments.c.status == literal(WAITLISTED), queue_position(enrollments, courses))).label("position"),
    )
    .select_from(
        students.outerjoin(courses, and_(true(), among(courses.c.id, course_ids))).outerjoin(
            enrollments,
            and_(
                enrollments.c.student_id == students.c.id,
                enrollments.c.course_id == courses.c.id,
                is_held(enrollments),
            ),
        )
    )
    .where(students.c.id == student_id)
)


def look(execute: Execute, student: int, course_list: Sequence[int]) -> Situation | None:
    """Return the situation of a student in courses of which only the seats decide: a cheaper query.

    Returns None if rules decide about one of the courses; then `load` it. Raises `StudentNotFound`.
    """
    rows = execute(_STATES, {"student": student, "course_ids": course_list})
    if not rows:
        raise StudentNotFound
    found = [row for row in rows if row.id is not None]
    if any(row.term_id is not None or row.closed_at is not None for row in found):
        return None
    return Situation(
        now=datetime.now(UTC),
        student_id=student,
        courses={
            row.id: Course(
                id=row.id,
                capacity=row.capacity,
                waitlist_capacity=row.waitlist_capacity,
                seats_taken=row.seats_taken,
                waiting=row.waiting,
                passed_over=row.passed_over_count,
                status=row.status,
                position=row.position,
            )
            for row in found
        },
    )


def load(execute: Execute, backend: str, student: int, course_list: Sequence[int], time_zone: tzinfo) -> Situation:
    """Return the whole situation of a student who asks for these courses. Raises `StudentNotFound`."""
    at = datetime.now(UTC)
    asked = statement(backend, rules.RULES)
    (row,) = execute(asked, {"student": student, "course_ids": course_list, "at": at})
    answers = {name: orjson.loads(text or b"[]") for name, text in zip(row._fields, row, strict=True)}
    if not answers["student"]:
        raise StudentNotFound
    ((schedule_revision,),) = answers["student"]
    windows = _grouped(answers["windows"])
    restrictions = _grouped(answers["restrictions"])
    return Situation(
        now=at,
        student_id=student,
        schedule_revision=schedule_revision,
        group_ids=frozenset(group_id for (group_id,) in answers["groups"]),
        holds=[Hold(kind=kind, contact=contact, blocks=blocks) for kind, contact, blocks in answers["holds"]],
        permissions=frozenset((course_id, rule) for course_id, rule in answers["permissions"]),
        enrollments=[
            Enrollment(course_id=course_id, status=status, is_passed_over=passed_over_at is not None)
            for course_id, status, passed_over_at in answers["enrollments"]
        ],
        courses={each[0]: _course(each, windows, restrictions, time_zone) for each in answers["courses"]},
        answers=answers,
    )


def _course(
    row: Sequence[Any],
    windows: Mapping[int, Sequence[Any]],
    restrictions: Mapping[int, Sequence[Any]],
    time_zone: tzinfo,
) -> Course:
    number, capacity, waitlist_capacity, seats_taken, waiting, passed_over, closed_at, by_permission, *more = row
    term_id, code, starts_on, ends_on, promote_until, status, position = more
    term = None
    if term_id is not None:
        last_day = date.fromisoformat(ends_on)
        term = Term(
            id=term_id,
            code=code,
            starts_on=date.fromisoformat(starts_on),
            ends_on=last_day,
            promote_until=_instant(promote_until) or end_of(last_day, time_zone),
            windows=[
                Window(group_id=group_id, opens_at=_known(opens_at), closes_at=_known(closes_at))
                for group_id, opens_at, closes_at in windows.get(term_id, ())
            ],
        )
    return Course(
        id=number,
        capacity=capacity,
        waitlist_capacity=waitlist_capacity,
        seats_taken=seats_taken,
        waiting=waiting,
        passed_over=passed_over,
        closed_at=_instant(closed_at),
        permission_required=bool(by_permission),  # SQLite has 0 and 1
        term=term,
        restrictions=[
            Restriction(group_id=group_id, kind=kind, code=code, admits=bool(admits))
            for group_id, kind, code, admits in restrictions.get(number, ())
        ],
        status=status,
        position=position,
    )


def end_of(day: date, time_zone: tzinfo) -> datetime:
    """Return the instant at which a day of the school ends."""
    return datetime.combine(day + timedelta(days=1), time(), time_zone).astimezone(UTC)


def _grouped(rows: Iterable[Sequence[Any]]) -> dict[int, list[Sequence[Any]]]:
    """Return the rows by their first column, without it."""
    ordered = sorted(rows, key=lambda row: row[0])
    return {key: [row[1:] for row in group] for key, group in itertools.groupby(ordered, lambda row: row[0])}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else _known(text)


def _known(text: str) -> datetime:
    """Return an instant that a database wrote into JSON: SQLite without its zone, PostgreSQL in that of the session."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
