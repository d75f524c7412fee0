"""The statement that takes the seats and the places on waitlists that were decided by the rules.

It gets the decision and not the question: which courses as seats, which as places, and what the decision was based on.
It applies all of it or nothing. Nothing, if by then a course has not exactly what was judged (a seat instead of a
place is another judgment), if a course got a term, or if the student's enrollments in courses with a term have changed
since (`schedule_revision`): two courses of one student are two rows without anything in common but the student.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Executable,
    Integer,
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
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

from ...context import RequestContext
from ...database.types import IdList, among
from ...models import ENROLLED, UNENROLLED, WAITLISTED, courses, enrollments, is_held, students
from .decisions import Decision
from .situation import Situation
from .statements import (
    CLEAR_PASSED_OVER,
    actor,
    course_ids,
    no_earlier_than_the_ledger,
    parameters,
    place_free,
    reason,
    request_id,
    requested,
    seat_free,
    student_id,
)

seats = bindparam("seats", type_=IdList)
places = bindparam("places", type_=IdList)
without_term = bindparam("without_term", type_=IdList)
seen = bindparam("seen", type_=Integer)


def decided_parameters(
    situation: Situation, decisions: Sequence[Decision], context: RequestContext, *, reason: str | None = None
) -> dict[str, Any]:
    """Return the parameters of the statement for decisions that refuse no course."""
    return {
        **parameters(situation.student_id, [each.course_id for each in decisions], context, reason=reason),
        "seats": [each.course_id for each in decisions if each.planned == ENROLLED],
        "places": [each.course_id for each in decisions if each.planned == WAITLISTED],
        "without_term": [each.course_id for each in decisions if not each.has_term],
        "seen": situation.schedule_revision,
    }


def _take(insert: Any) -> Executable:
    """Enroll one student as decided, or in none of the courses. Returns `course_id, status` of each change.

    `claims` locks the courses, ascending by id; `student`, which needs the number of claims, locks the student after
    them. PostgreSQL evaluates both rows again once it has their locks.
    """
    held = enrollments.alias("held")
    is_seat, is_place = among(courses.c.id, seats), among(courses.c.id, places)
    is_open = and_(courses.c.waiting == courses.c.passed_over_count, seat_free(courses))
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
        .outerjoin(held, and_(held.c.student_id == student_id, held.c.course_id == courses.c.id))
        .where(
            among(courses.c.id, course_ids),
            or_(
                is_held(held),
                and_(is_seat, is_open),
                and_(is_place, not_(is_open), place_free(courses)),
            ),
            or_(
                and_(courses.c.term_id.is_(None), among(courses.c.id, without_term)),
                and_(courses.c.term_id.is_not(None), not_(among(courses.c.id, without_term))),
            ),
        )
        .order_by(courses.c.id)
        .with_for_update(key_share=True, of=courses)
        .cte("claims")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    student = (
        select(students.c.id)
        .where(
            students.c.id == student_id,
            students.c.schedule_revision == seen,
            select(func.count()).select_from(claims).scalar_subquery() == requested,
        )
        .with_for_update(key_share=True, of=students)
        .cte("student")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    rows = {
        "student_id": student.c.id,
        "course_id": claims.c.id,
        "status": claims.c.status,
        "status_since": claims.c.at,
        "previous_status": null(),
        "queue_number": case((claims.c.status == literal(WAITLISTED, String), claims.c.queue_number)),
        "revision": literal(1, Integer),
        "actor": actor,
        "request_id": request_id,
        "reason": reason,
    }
    # WHERE true: without it, SQLite takes ON CONFLICT for a condition of the join.
    source = select(*rows.values()).select_from(student.join(claims, true())).where(true())
    statement = insert(enrollments).from_select(list(rows), source, include_defaults=False)
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
            "reason": new.reason,
            **CLEAR_PASSED_OVER,
        },
        where=not_(is_held(enrollments)),
    ).returning(enrollments.c.course_id, enrollments.c.status)


TAKE_DECIDED = {"postgresql": _take(postgresql.insert), "sqlite": _take(sqlite.insert)}
