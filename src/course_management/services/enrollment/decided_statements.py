"""The statements that apply what the rules have decided.

They get the decision and not the question: which courses as seats, which as places on the waitlist, for which credits,
which courses to unenroll from; and what the decision was based on. They apply all of it or nothing: nothing if a
course no longer offers exactly what was judged (a seat, or a place), if a course that was judged without a term got
one, or if something about the student has changed since (`schedule_revision`). Two courses of one student are two rows
that have nothing in common but the student.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ...database import travels
from ...database.types import IdList, among
from ...models import ENROLLED, UNENROLLED, WAITLISTED, courses, enrollments, is_held, students
from . import parameters
from .statements import insert_or_update, no_earlier_than_the_ledger, place_free, seat_free, unenroll_statement

seat_course_ids = bindparam("seat_course_ids", type_=IdList)
place_course_ids = bindparam("place_course_ids", type_=IdList)
without_term = bindparam("without_term", type_=IdList)
judged_revision = bindparam("judged_revision", type_=Integer)
credits_by_course = bindparam("credits_by_course", type_=String)
"""A JSON object: hundredths by the id of the course."""


def _is_of_the_judged_kind() -> ColumnElement[bool]:
    """Return the condition that a course has a term if it was judged with one, and none if without."""
    return or_(
        and_(courses.c.term_id.is_(None), among(courses.c.id, without_term)),
        and_(courses.c.term_id.is_not(None), not_(among(courses.c.id, without_term))),
    )


def _student(claims: FromClause) -> FromClause:
    """Select and lock the student, after the courses, unless something about the student has changed since."""
    return (
        select(students.c.id)
        .where(
            students.c.id == parameters.student_id,
            students.c.schedule_revision == judged_revision,
            select(func.count()).select_from(claims).scalar_subquery() == parameters.requested,
        )
        .with_for_update(key_share=True, of=students)
        .cte("student")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )


def _credits(backend: str, course_id: ColumnElement[int]) -> ColumnElement[Any]:
    if backend == "postgresql":
        json_value = cast(credits_by_course, postgresql.JSONB)[cast(course_id, String)].astext
        return cast(json_value, Integer)
    # Not ->>, which takes a text of digits for the index of an array.
    return func.json_extract(credits_by_course, literal('$."', String) + cast(course_id, String) + literal('"', String))


def _enroll_as_decided(backend: str, insert: Any) -> Executable:
    """Enroll one student as decided, or in none of the courses. Returns `course_id, status` of each change.

    `claims` locks the courses, ascending by id, then `student` the student. PostgreSQL evaluates both rows again once
    it has their locks.
    """
    held = enrollments.alias("held")
    is_seat, is_place = among(courses.c.id, seat_course_ids), among(courses.c.id, place_course_ids)
    offers_seat = and_(courses.c.waiting == courses.c.passed_over_count, seat_free(courses))
    claims = (
        select(
            courses.c.id,
            case(
                (is_seat, literal(ENROLLED, String)),
                (is_place, literal(WAITLISTED, String)),
                else_=literal(UNENROLLED, String),
            ).label("status"),
            (courses.c.last_queue_number + 1).label("queue_number"),
            no_earlier_than_the_ledger(courses).label("at"),
        )
        .outerjoin(held, and_(held.c.student_id == parameters.student_id, held.c.course_id == courses.c.id))
        .where(
            among(courses.c.id, parameters.course_ids),
            or_(
                is_held(held),
                and_(is_seat, offers_seat),
                and_(is_place, not_(offers_seat), place_free(courses)),
            ),
            _is_of_the_judged_kind(),
        )
        .order_by(courses.c.id)
        .with_for_update(key_share=True, of=courses)
        .cte("claims")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    student = _student(claims)
    rows = {
        "student_id": student.c.id,
        "course_id": claims.c.id,
        "status": claims.c.status,
        "status_since": claims.c.at,
        "previous_status": null(),
        "queue_number": case((claims.c.status == literal(WAITLISTED, String), claims.c.queue_number)),
        "revision": literal(1, Integer),
        "actor": parameters.actor,
        "request_id": parameters.request_id,
        "reason": parameters.ledger_reason,
        "credits": _credits(backend, claims.c.id),
    }
    # WHERE true: without it, SQLite takes ON CONFLICT for a condition of the join.
    source = select(*rows.values()).select_from(student.join(claims, true())).where(true())
    return insert_or_update(insert, rows, source)


def _change_credits(backend: str) -> Executable:
    """Change what the enrollments of one student count, in a transaction that has locked courses and student."""
    return (
        update(enrollments)
        .where(
            enrollments.c.student_id == parameters.student_id,
            among(enrollments.c.course_id, parameters.course_ids),
            enrollments.c.status == literal(ENROLLED, String),
        )
        .values(
            credits=_credits(backend, enrollments.c.course_id),
            revision=enrollments.c.revision + 1,
            actor=parameters.actor,
            request_id=parameters.request_id,
            reason=parameters.ledger_reason,
        )
        .returning(enrollments.c.course_id)
    )


ENROLL_AS_DECIDED = {
    "postgresql": travels(_enroll_as_decided("postgresql", postgresql.insert), "course_ids"),
    "sqlite": travels(_enroll_as_decided("sqlite", sqlite.insert), "course_ids"),
}
UNENROLL_AS_DECIDED = {
    backend: travels(unenroll_statement(backend, _is_of_the_judged_kind(), _student), "course_ids")
    for backend in ENROLL_AS_DECIDED
}
CHANGE_CREDITS = {backend: _change_credits(backend) for backend in ENROLL_AS_DECIDED}
