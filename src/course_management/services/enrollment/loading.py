"""Read the situation of a student by one statement, so that all of it is of one moment.

The statement is made of the table of questions (`questions.py`). Their rows come as JSON, a column of the one row each.

A rule that needs to know more brings its own questions, and nothing here changes: `Rule.questions` names them, each a
`select` with the parameters `student`, `course_ids` and `at` (by name in `parameters.py`).
The rule finds their rows in `situation.answers[name]`, values as JSON has them. The questions of all `RULES` are part
of the one statement, and so of the one moment.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Executable,
    FromClause,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.sql.visitors import replacement_traverse

from ...context import RequestContext
from ...database import AnyRow, db, travels
from ...database.types import among
from ...errors import StudentNotFound
from ...models import WAITLISTED, courses, enrollments, is_held, queue_position, students
from . import parameters, rules
from .course_memory import memory_of
from .questions import QUESTIONS
from .rules import Rule
from .situation import Course, Situation
from .situation_rows import situation_from

requests = bindparam("requests", type_=String)
Execute = Callable[[Executable, Mapping[str, Any]], Sequence[AnyRow]]
"""How to run the statement: alone (`autocommit`), or inside a transaction."""


def all_questions(all_rules: Iterable[Rule]) -> Mapping[str, Select[Any]]:
    """Return `QUESTIONS` and those of the rules. Raises `ValueError` if two different ones have the same name."""
    by_name = dict(QUESTIONS)
    for rule in all_rules:
        for name, question in rule.questions.items():
            if by_name.setdefault(name, question) is not question:
                raise ValueError(f"the question {name!r} of {type(rule).__name__} has the name of another question")
    return by_name


@functools.cache
def statement_of_one(backend: str, all_rules: tuple[Rule, ...]) -> Executable:
    """Return the loading statement: one row, with a column of JSON for each question."""
    answers = (_answer(backend, name, question) for name, question in all_questions(all_rules).items())
    return travels(select(*answers))


@functools.cache
def statement_of_many(backend: str, all_rules: tuple[Rule, ...]) -> Executable:
    """Return the same statement for several students, a row for each: it costs the database half as much.

    `requests` is a JSON array of `student` and `course_ids`; the questions get them as columns instead of parameters.
    """
    names = ("student", "course_ids")
    if backend == "sqlite":
        of_student = {name: f"json_extract(asked.value, '$.{name}')" for name in names}
        asked: FromClause = func.json_each(requests).table_valued("value", name="asked")
    else:
        of_student = {name: f"asked.{name}" for name in names}
        columns = column("student", BigInteger), column("course_ids", ARRAY(BigInteger))
        asked = func.json_to_recordset(cast(requests, JSON)).table_valued(*columns)
        asked = asked.render_derived(name="asked", with_types=True)

    def replaced(element: Any, **_: Any) -> Any:
        return literal_column(of_student[element.key]) if getattr(element, "key", None) in of_student else None

    answers = [
        _answer(backend, name, replacement_traverse(question, {}, replaced))
        for name, question in all_questions(all_rules).items()
    ]
    return select(literal_column(of_student["student"]).label("of_student"), *answers).select_from(asked)


def _answer(backend: str, name: str, question: Any) -> Any:
    rows, row = ("json_group_array", "json_array") if backend == "sqlite" else ("json_agg", "json_build_array")
    answer = question.subquery(name)
    listed = select(getattr(func, rows)(getattr(func, row)(*answer.c))).scalar_subquery()
    return cast(listed, String).label(name)


_STATES = travels(
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
        students.outerjoin(courses, and_(true(), among(courses.c.id, parameters.course_ids))).outerjoin(
            enrollments,
            and_(
                enrollments.c.student_id == students.c.id,
                enrollments.c.course_id == courses.c.id,
                is_held(enrollments),
            ),
        )
    )
    .where(students.c.id == parameters.student_id)
)


def situation_of(execute: Execute, student_id: int, course_ids: Sequence[int], context: RequestContext) -> Situation:
    """Return the situation of a student, by the cheapest query that has all that the rules of these courses need.

    Raises `StudentNotFound`.
    """
    memory = memory_of(db.engine)
    situation = None if memory.has_term(course_ids) else load_by_seats(execute, student_id, course_ids)
    if situation is None:
        situation = load_by_rules(execute, student_id, course_ids, context)
        memory.remember_terms(situation)
    return situation


def load_by_seats(execute: Execute, student_id: int, course_ids: Sequence[int]) -> Situation | None:
    """Return the situation of a student in courses of which only the seats decide: a cheaper query.

    Returns None if rules decide about one of the courses; then `load_by_rules`. Raises `StudentNotFound`.
    """
    rows = execute(_STATES, {"student": student_id, "course_ids": course_ids})
    if not rows:
        raise StudentNotFound
    course_rows = [row for row in rows if row.id is not None]
    if any(row.term_id is not None or row.closed_at is not None for row in course_rows):
        return None
    return Situation(
        now=datetime.now(UTC),
        student_id=student_id,
        courses={
            row.id: Course(
                id=row.id,
                capacity=row.capacity,
                waitlist_capacity=row.waitlist_capacity,
                seats_taken=row.seats_taken,
                waiting=row.waiting,
                passed_over_count=row.passed_over_count,
                student_status=row.status,
                student_position=row.position,
            )
            for row in course_rows
        },
    )


def load_by_rules(execute: Execute, student_id: int, course_ids: Sequence[int], context: RequestContext) -> Situation:
    """Return the whole situation of a student who asks for these courses. Raises `StudentNotFound`."""
    at = datetime.now(UTC)
    question = statement_of_one(db.engine.dialect.name, rules.RULES)
    (row,) = execute(question, {"student": student_id, "course_ids": course_ids, "at": at})
    return _situation(student_id, at, dict(zip(row._fields, row, strict=True)), context)


def load_many_by_rules(
    execute: Execute, course_ids_by_student: Mapping[int, Sequence[int]], context: RequestContext
) -> Mapping[int, Situation]:
    """Return the situations of those students who exist, given the courses for which each asks."""
    at = datetime.now(UTC)
    question = statement_of_many(db.engine.dialect.name, rules.RULES)
    asked = [
        {"student": student_id, "course_ids": course_ids} for student_id, course_ids in course_ids_by_student.items()
    ]
    situations = {}
    for row in execute(question, {"requests": orjson.dumps(asked).decode(), "at": at}):
        student_id, *answers = row
        with suppress(StudentNotFound):
            situations[student_id] = _situation(
                student_id, at, dict(zip(row._fields[1:], answers, strict=True)), context
            )
    return situations


def _situation(student_id: int, at: datetime, texts: Mapping[str, str | None], context: RequestContext) -> Situation:
    answers = {name: orjson.loads(text or b"[]") for name, text in texts.items()}
    if not answers["student"]:
        raise StudentNotFound
    return situation_from(student_id, at, answers, context.time_zone)
