"""The statements that change enrollments, built once for each database.

Every value is a parameter (see `EnrollmentRequest`). The statements contain no `now()`, no volatile function and no
column default, so that they also run through a Citus coordinator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    case,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ...database import travels
from ...database.types import among
from ...models import ENROLLED, HUNDREDTHS, UNENROLLED, WAITLISTED, WITHDRAWN, courses, enrollments, is_held, students
from . import parameters

CLEAR_PASSED_OVER = {"passed_over_at": null(), "passed_over_for": null()}
"""What every change of a status sets, since the mark belongs to a waiting student."""


def no_earlier_than_the_ledger(course: FromClause) -> ColumnElement[Any]:
    """Return the time of a change: now, or the time of the course's last ledger line if that is later.

    The statement must have locked the course. `now` was read before the statement waited for the lock, and servers'
    clocks differ; this expression puts the ledger lines of a course in the order of its changes.
    """
    return case((course.c.last_event_at > parameters.now, course.c.last_event_at), else_=parameters.now)


def decided_by_seats(course: FromClause) -> ColumnElement[bool]:
    """Return the condition that a course is not closed and belongs to no term: only its seats and places decide."""
    return and_(course.c.term_id.is_(None), course.c.closed_at.is_(None))


def seat_free(course: FromClause) -> ColumnElement[bool]:
    """Return the condition that a seat is not taken. It may be reserved for students on the waitlist."""
    return or_(course.c.capacity.is_(None), course.c.seats_taken < course.c.capacity)


def place_free(course: FromClause) -> ColumnElement[bool]:
    """Return the condition that the waitlist is not full."""
    return or_(course.c.waitlist_capacity.is_(None), course.c.waiting < course.c.waitlist_capacity)


def _enroll_by_seats(insert: Any) -> Executable:
    """Enroll one student in all of `course_ids`, or in none. Returns `course_id, status` of each change.

    It takes no students into courses of a term, where the rules of registration decide, nor into closed ones.

    `claims` selects the courses that have a seat or a place on the waitlist for this student, or in which the student
    is enrolled or waitlisted already, and locks them in ascending order. A full course is filtered out before it is
    locked, so that a refusal never waits. PostgreSQL evaluates the row again once it has the lock, so `status` and
    `queue_number` are decided on the locked row. The next query counts the claims; the insert needs all of them.

    `held` is as old as the statement: the student may have been unenrolled since. Such a claim has the status
    `unenrolled` if there is no seat now. If the row is no longer held, the status becomes null, and NOT NULL
    rolls the statement back, which is then tried again.
    """
    held = enrollments.alias("held")
    by_seats = decided_by_seats(courses)
    seat = and_(courses.c.waiting == 0, seat_free(courses))
    place = and_(parameters.waitlist, place_free(courses))
    offer = case(
        (and_(by_seats, seat), literal(ENROLLED, String)),
        (and_(by_seats, place), literal(WAITLISTED, String)),
        else_=literal(UNENROLLED, String),
    )
    claims = (
        select(
            courses.c.id,
            offer.label("status"),
            (courses.c.last_queue_number + 1).label("queue_number"),
            no_earlier_than_the_ledger(courses).label("at"),
        )
        .outerjoin(held, and_(held.c.student_id == parameters.student_id, held.c.course_id == courses.c.id))
        .where(
            among(courses.c.id, parameters.course_ids),
            or_(
                is_held(held),  # not a condition of the join: SQLite would no longer use the primary key
                and_(by_seats, or_(seat, place)),
            ),
        )
        .order_by(courses.c.id)
        .with_for_update(key_share=True, of=courses)
        .subquery("claims")
    )
    counted = select(claims, func.count().over().label("claimed")).subquery("counted")
    rows = {
        "student_id": parameters.student_id,
        "course_id": counted.c.id,
        "status": counted.c.status,
        "status_since": counted.c.at,
        "previous_status": null(),
        "queue_number": case((counted.c.status == literal(WAITLISTED, String), counted.c.queue_number)),
        "revision": literal(1, Integer),
        "actor": parameters.actor,
        "request_id": parameters.request_id,
        "reason": parameters.ledger_reason,
    }
    # A foreign key that refuses an unknown student would be an error, which undoes the whole wave of the statement.
    known = select(students.c.id).where(students.c.id == parameters.student_id).exists()
    return insert_or_update(
        insert, rows, select(*rows.values()).where(counted.c.claimed == parameters.requested, known)
    )


def insert_or_update(insert: Any, rows: Mapping[str, Any], source: Select[Any]) -> Executable:
    """Insert the enrollments that `source` selects, by column; update rows of the pairs that exist and are not held.

    The status `unenrolled` of `source` becomes null in a row that exists, which NOT NULL refuses. Returns `course_id,
    status` of each change.
    """
    statement = insert(enrollments).from_select(list(rows), source, include_defaults=False)
    new = statement.excluded
    changed = {name: new[name] for name in rows if name not in {"student_id", "course_id"}} | {
        "status": func.nullif(new.status, literal(UNENROLLED, String)),
        "previous_status": enrollments.c.status,
        "revision": enrollments.c.revision + 1,
        **CLEAR_PASSED_OVER,
    }
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=["student_id", "course_id"], set_=changed, where=not_(is_held(enrollments))
    ).returning(enrollments.c.course_id, enrollments.c.status)


ENROLL_BY_SEATS = {
    "postgresql": travels(_enroll_by_seats(postgresql.insert), "course_ids"),
    "sqlite": travels(_enroll_by_seats(sqlite.insert), "course_ids"),
}


def lock_courses(*columns: ColumnElement[Any]) -> Select[Any]:
    """Lock the courses `course_ids`, ascending by id; on SQLite the transaction itself is the lock."""
    return (
        select(*columns)
        .where(among(courses.c.id, parameters.course_ids))
        .order_by(courses.c.id)
        .with_for_update(key_share=True, of=courses)
    )


def unenroll_statement(
    backend: str, of_courses: ColumnElement[bool], lock_student: Callable[[FromClause], FromClause] | None = None
) -> Executable:
    """Unenroll one student from those of `course_ids` in which the student is enrolled or waitlisted, if all exist.

    Returns `course_id, previous_status, waiting` of each change; `waiting` is the number of students on the waitlist.
    The course is locked, so `waiting` is exact: a student who joins the waitlist later sees the free seat. A course
    that does not have the condition `of_courses` counts as one that does not exist. `lock_student` selects the student,
    given the locked courses, if something else must be true of the student; those of `withdrawn` get that status.
    """
    at = no_earlier_than_the_ledger(courses).label("at")
    locked = lock_courses(courses.c.id, courses.c.waiting, at).where(of_courses).subquery("locked")
    # Evaluated once: a join that locked the courses again for each enrollment could wait for a request that waits for
    # this one, because PostgreSQL would lock the version of the row that was there when the statement began.
    counted = (
        select(locked, func.count().over().label("known"))
        .cte("counted")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    # On PostgreSQL the locked row is exact; a query in RETURNING would see the statement's old snapshot. SQLite's
    # RETURNING cannot name other tables, and a query there is exact, because SQLite has one writer.
    now_waiting = select(courses.c.waiting).where(courses.c.id == enrollments.c.course_id).scalar_subquery()
    waiting = counted.c.waiting if backend == "postgresql" else now_waiting
    return (
        update(enrollments)
        .where(
            enrollments.c.student_id == (parameters.student_id if lock_student is None else lock_student(counted).c.id),
            enrollments.c.course_id == counted.c.id,
            counted.c.known == parameters.requested,
            is_held(enrollments),
        )
        .values(
            status=case(
                (among(counted.c.id, parameters.withdrawn), literal(WITHDRAWN, String)),
                else_=literal(UNENROLLED, String),
            ),
            status_since=counted.c.at,
            previous_status=enrollments.c.status,
            queue_number=null(),
            revision=enrollments.c.revision + 1,
            actor=parameters.actor,
            request_id=parameters.request_id,
            reason=parameters.ledger_reason,
            **CLEAR_PASSED_OVER,
        )
        .returning(enrollments.c.course_id, enrollments.c.previous_status, waiting.label("waiting"))
    )


UNENROLL_BY_SEATS = {
    backend: travels(unenroll_statement(backend, courses.c.term_id.is_(None)), "course_ids")
    for backend in ENROLL_BY_SEATS
}
"""Courses of a term count as courses that do not exist: their rules must be asked (`decided_statements.py`)."""

LOCK_COURSES = lock_courses(courses.c.id, courses.c.term_id, courses.c.closed_at)
LOCK_STUDENT = select(students.c.id).where(students.c.id == parameters.student_id).with_for_update(key_share=True)

WAITLISTED_COURSES = (
    select(enrollments.c.course_id)
    .join(courses, courses.c.id == enrollments.c.course_id)
    .where(
        enrollments.c.student_id == parameters.student_id,
        enrollments.c.status == literal(WAITLISTED, String),
        courses.c.term_id.is_not(None),
    )
)
"""The courses of terms for which the student waits."""
CLEAR_MARKS = (
    update(enrollments)
    .where(
        enrollments.c.student_id == parameters.student_id,
        among(enrollments.c.course_id, parameters.course_ids),
        enrollments.c.status == literal(WAITLISTED, String),
        enrollments.c.passed_over_at.is_not(None),
    )
    .values(**CLEAR_PASSED_OVER)
    .returning(enrollments.c.course_id)
)
"""Let promotion look again at a student who was passed over. The courses and the student must be locked."""

HELD_ENROLLMENTS = (
    select(enrollments.c.course_id, enrollments.c.status, enrollments.c.revision, HUNDREDTHS.label("credits"))
    .where(enrollments.c.student_id == parameters.student_id, is_held(enrollments))
    .order_by(enrollments.c.course_id)
)
