"""The statements that change enrollments, written once and built once for each database.

Every value is a parameter: no `now()`, no volatile function, no column default is left to be evaluated in
them, so that they also run through a Citus coordinator. `parameters` names them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    bindparam,
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

from ...context import RequestContext
from ...database.types import Id, IdList, UtcDateTime, among, utcnow
from ...models import ENROLLED, UNENROLLED, WAITLISTED, courses, enrollments, is_held, students

student_id = bindparam("student", type_=Id)
course_ids = bindparam("course_ids", type_=IdList)
asked = bindparam("asked", type_=Integer)
waitlist = bindparam("waitlist", type_=Boolean)
now = bindparam("now", type_=UtcDateTime)
actor = bindparam("by_actor", type_=String)
request_id = bindparam("by_request", type_=String)


def parameters(
    student: int, course_list: Sequence[int], context: RequestContext, *, waitlist: bool = False
) -> dict[str, Any]:
    """What the statements take; `course_list` is distinct."""
    return {
        "student": student,
        "course_ids": course_list,
        "asked": len(course_list),
        "waitlist": waitlist,
        "now": utcnow(),
        "by_actor": context.actor,
        "by_request": context.request_id,
    }


def no_earlier_than_the_ledger(course: FromClause) -> ColumnElement[Any]:
    """The time of a change: now, or the time of the course's last ledger line if the clock that wrote it was ahead.

    For a course that the statement has locked. `now` is of before it waited for that lock, and of one server's clock
    among others; so dated, the lines of one course are in the order in which its changes were made.
    """
    return case((course.c.last_event_at > now, course.c.last_event_at), else_=now)


def seat_free(course: FromClause) -> ColumnElement[bool]:
    """A seat exists that nobody holds, whoever may be waiting for it."""
    return or_(course.c.capacity.is_(None), course.c.seats_taken < course.c.capacity)


def place_free(course: FromClause) -> ColumnElement[bool]:
    """The queue would take one more."""
    return or_(course.c.waitlist_capacity.is_(None), course.c.waiting < course.c.waitlist_capacity)


def _enroll(insert: Any) -> Executable:
    """Enroll one student in all of `course_ids`, or in none. Returns `course_id, status` of what changed.

    `claims` takes those courses that can take this student, or have it already, and locks them in ascending
    order; a full one is filtered before it is locked, so that "full" never waits. PostgreSQL looks at the row
    again once it has the lock, so `status` and `queue_number` are decided from what is true then. The next
    query counts the claims, the insert goes ahead only if all that was asked is there.

    `held` is as old as the statement: a seat held in it may have been left since. Such a claim has nothing to
    offer and says `unenrolled`; if the row is indeed free by now, the status becomes null, and NOT NULL undoes
    the whole statement, which is then tried again.
    """
    held = enrollments.alias("held")
    offer = case(
        (and_(courses.c.waiting == 0, seat_free(courses)), literal(ENROLLED, String)),
        (and_(waitlist, place_free(courses)), literal(WAITLISTED, String)),
        else_=literal(UNENROLLED, String),
    )
    claims = (
        select(
            courses.c.id,
            offer.label("status"),
            (courses.c.last_queue_number + 1).label("queue_number"),
            no_earlier_than_the_ledger(courses).label("at"),
        )
        .outerjoin(held, and_(held.c.student_id == student_id, held.c.course_id == courses.c.id))
        .where(
            among(courses.c.id, course_ids),
            or_(
                is_held(held),  # not a condition of the join: SQLite would leave the primary key for it
                and_(courses.c.waiting == 0, seat_free(courses)),
                and_(waitlist, place_free(courses)),
            ),
        )
        .order_by(courses.c.id)
        .with_for_update(key_share=True, of=courses)
        .subquery("claims")
    )
    counted = select(claims, func.count().over().label("claimed")).subquery("counted")
    rows = {
        "student_id": student_id,
        "course_id": counted.c.id,
        "status": counted.c.status,
        "status_since": counted.c.at,
        "previous_status": null(),
        "queue_number": case((counted.c.status == literal(WAITLISTED, String), counted.c.queue_number)),
        "revision": literal(1, Integer),
        "actor": actor,
        "request_id": request_id,
    }
    statement = insert(enrollments).from_select(
        list(rows), select(*rows.values()).where(counted.c.claimed == asked), include_defaults=False
    )
    new = statement.excluded
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=["student_id", "course_id"],
        set_={
            "status": func.nullif(new.status, literal(UNENROLLED, String)),
            "status_since": new.status_since,
            "previous_status": enrollments.c.status,
            "queue_number": new.queue_number,
            "revision": enrollments.c.revision + 1,
            "actor": new.actor,
            "request_id": new.request_id,
        },
        where=not_(is_held(enrollments)),
    ).returning(enrollments.c.course_id, enrollments.c.status)


ENROLL = {"postgresql": _enroll(postgresql.insert), "sqlite": _enroll(sqlite.insert)}


def lock_courses(*columns: ColumnElement[Any]) -> Select[Any]:
    """Lock the courses `course_ids` in the one order; on SQLite the transaction itself is the lock."""
    return (
        select(*columns)
        .where(among(courses.c.id, course_ids))
        .order_by(courses.c.id)
        .with_for_update(key_share=True, of=courses)
    )


def _unenroll(backend: str) -> Executable:
    """Take one student out of those of `course_ids` it holds, if all of them exist.

    Returns `course_id, previous_status, waiting` of what changed: a seat (`enrolled`) or a place in a queue, and how
    many wait for the course. That is as true as the lock: who joins the queue later sees the seat that is free now.
    """
    at = no_earlier_than_the_ledger(courses).label("at")
    locked = lock_courses(courses.c.id, courses.c.waiting, at).subquery("locked")
    counted = select(locked, func.count().over().label("known")).subquery("counted")
    # PostgreSQL's row is the one it has locked; a query in RETURNING would be as old as the statement. SQLite knows
    # no other tables there, and its one writer sees nothing old.
    now_waiting = select(courses.c.waiting).where(courses.c.id == enrollments.c.course_id).scalar_subquery()
    waiting = counted.c.waiting if backend == "postgresql" else now_waiting
    return (
        update(enrollments)
        .where(
            enrollments.c.student_id == student_id,
            enrollments.c.course_id == counted.c.id,
            counted.c.known == asked,
            is_held(enrollments),
        )
        .values(
            status=literal(UNENROLLED, String),
            status_since=counted.c.at,
            previous_status=enrollments.c.status,
            queue_number=null(),
            revision=enrollments.c.revision + 1,
            actor=actor,
            request_id=request_id,
        )
        .returning(enrollments.c.course_id, enrollments.c.previous_status, waiting.label("waiting"))
    )


UNENROLL = {backend: _unenroll(backend) for backend in ENROLL}

LOCK_COURSES = lock_courses(courses.c.id)
LOCK_STUDENT = select(students.c.id).where(students.c.id == student_id).with_for_update(key_share=True)

HOLDINGS = (
    select(enrollments.c.course_id, enrollments.c.status, enrollments.c.revision)
    .where(enrollments.c.student_id == student_id, is_held(enrollments))
    .order_by(enrollments.c.course_id)
)
