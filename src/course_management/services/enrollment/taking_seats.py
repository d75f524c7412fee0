"""Enroll several students in one statement, in a transaction that has locked their courses and them.

Most rows of an import are new enrollments that nothing refuses. A statement for each student costs the database half as
much again, mostly for calling the triggers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    String,
    bindparam,
    cast,
    column,
    func,
    literal,
    null,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB

from ...database import Raced, db
from ...models import ENROLLED, courses
from . import parameters
from .decisions import Decision
from .loading import Execute, load_many_by_rules
from .request import EnrollmentRequest
from .results import EnrollmentResult
from .situation import Situation
from .statements import insert_or_update, no_earlier_than_the_ledger

seat_rows = bindparam("seat_rows", type_=String)
"""A JSON array of objects: `student`, `course`, `credits`."""
_TYPES = {"student": BigInteger(), "course": BigInteger(), "credits": Integer()}


def take_seats(execute: Execute, requests: Sequence[EnrollmentRequest]) -> Mapping[int, EnrollmentResult]:
    """Enroll the students who get seats in all courses of their requests; return what was done, by student.

    Nothing is done for the others. The requests are of different students who wait for no course, in one context, and
    unenroll from nothing. Raises `Raced` if the courses and students were not locked.
    """
    if not requests:
        return {}
    context = requests[0].context
    course_ids_by_student = {request.student_id: request.course_ids for request in requests}
    situations = load_many_by_rules(execute, course_ids_by_student, context)
    taken = Counter[int]()
    decided: dict[int, list[Decision]] = {}
    for request in requests:
        situation = situations[request.student_id]
        decisions = request.decide(situation)
        if all(_has_seat(decision, situation, taken) for decision in decisions):
            taken.update(request.course_ids)
            decided[request.student_id] = decisions
    rows = [
        {"student": student, "course": decision.course_id, "credits": decision.credits}
        for student, decisions in decided.items()
        for decision in decisions
    ]
    if rows:
        done = execute(
            _TAKE_SEATS[db.engine.dialect.name],
            {
                "seat_rows": orjson.dumps(rows).decode(),
                "now": datetime.now(UTC),
                "by_actor": context.caller.actor,
                "by_request": context.request_id,
                "by_reason": requests[0].ledger_reason,
            },
        )
        if len(done) < len(rows):
            raise Raced
    return {
        student: EnrollmentResult(
            outcome_by_course={decision.course_id: ENROLLED for decision in decisions}, decisions=decisions
        )
        for student, decisions in decided.items()
    }


def _has_seat(decision: Decision, situation: Situation, taken: Mapping[int, int]) -> bool:
    """Return whether the student gets a seat, after those that were taken before in this transaction."""
    if not decision.allows("enroll"):
        return False
    course = situation.courses[decision.course_id]
    return course.capacity is None or course.seats_taken + taken[course.id] < course.capacity


def _take_seats(backend: str, insert: Any) -> Executable:
    """Enroll students in courses. Returns `course_id, status` of each change."""
    values: Sequence[ColumnElement[Any]]
    if backend == "sqlite":
        seat = func.json_each(seat_rows).table_valued("value", name="seat")
        values = [func.json_extract(seat.c.value, f"$.{name}") for name in _TYPES]
    else:
        # Functions that are not immutable, such as json_to_recordset, are refused here by Citus.
        seat = func.jsonb_array_elements(cast(seat_rows, JSONB)).table_valued(column("value", JSONB))
        seat = seat.render_derived(name="seat")
        values = [seat.c.value[name].astext.cast(type_) for name, type_ in _TYPES.items()]
    student_id, course_id, chosen_credits = values
    rows = {
        "student_id": student_id,
        "course_id": courses.c.id,
        "status": literal(ENROLLED, String),
        "status_since": no_earlier_than_the_ledger(courses),
        "previous_status": null(),
        "queue_number": null(),
        "revision": literal(1, Integer),
        "actor": parameters.actor,
        "request_id": parameters.request_id,
        "reason": parameters.ledger_reason,
        "credits": chosen_credits,
    }
    # WHERE true: without it, SQLite takes ON CONFLICT for a condition of the join.
    source = select(*rows.values()).select_from(seat.join(courses, courses.c.id == course_id)).where(true())
    return insert_or_update(insert, rows, source)


_TAKE_SEATS = {
    "postgresql": _take_seats("postgresql", postgresql.insert),
    "sqlite": _take_seats("sqlite", sqlite.insert),
}
