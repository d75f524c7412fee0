"""Give one student on a waitlist a seat, before the students who wait longer. Only a registrar decides that.

The rules are asked as in every promotion, under the same locks: so the seat that was free, or that is added, goes to
this student, and the others keep their order.
"""

from __future__ import annotations

import functools

from sqlalchemy import Integer, bindparam, select, update

from ...context import RequestContext
from ...database import autocommit, retried, run, transaction
from ...database.types import Id, UtcDateTime, utcnow
from ...errors import CourseFull, UnknownCourse
from ...models import ENROLLED, WAITLISTED, courses, enrollments
from . import parameters
from .decisions import ALREADY, ELIGIBLE, NOT_ENROLLED, REFUSED, Decision, raise_if_refused, with_rules_waived
from .enrolling import Grant
from .exchanging import lock
from .loading import load_by_rules
from .passing_over import check_promotion
from .promotion import promote, promotion_statement
from .request import EnrollmentRequest
from .results import CourseOutcome, EnrollmentResult
from .situation import Situation
from .statements import CLEAR_MARKS, WAITLISTED_COURSES

_COURSE = bindparam("course", type_=Id)
_ADD_SEAT = (
    update(courses)
    .where(courses.c.id == _COURSE)
    .values(capacity=courses.c.capacity + 1, updated_at=bindparam("at", type_=UtcDateTime))
)
_LAST_EVENT = select(courses.c.last_event_at).where(courses.c.id == _COURSE)
_LET_IN = promotion_statement(
    enrollments.c.student_id == parameters.student_id,
    bindparam("new_credits", type_=Integer),
    actor=parameters.actor,
    ledger_reason=parameters.ledger_reason,
)


def decide_letting_in(student_id: int, course_id: int, context: RequestContext, *, adds_seat: bool) -> Decision:
    """Decide about letting a student in from the waitlist. Changes nothing. Raises `StudentNotFound`."""
    situation = load_by_rules(autocommit, student_id, [course_id], context)
    return _decide(situation, course_id, adds_seat=adds_seat)


def _decide(situation: Situation, course_id: int, *, adds_seat: bool) -> Decision:
    course = situation.courses.get(course_id)
    if course is None:
        return Decision(course_id, REFUSED, (UnknownCourse(),))
    if course.student_status != WAITLISTED:
        return Decision(course_id, ALREADY.get(course.student_status, NOT_ENROLLED))
    check = check_promotion(situation, course_id)
    against = [*check.reasons]
    if not (course.has_free_seat or adds_seat):
        against.append(CourseFull(capacity=course.capacity, waitlist_open=course.waitlist_has_room))
    return Decision(
        course_id,
        REFUSED if against else ELIGIBLE,
        tuple(against),
        position=course.student_position,
        action="promote",
        new_status=ENROLLED,
        credits=check.credits or None,
        has_term=course.term is not None,
    )


def let_in(request: EnrollmentRequest, *, adds_seat: bool = False, grant: Grant | None = None) -> list[CourseOutcome]:
    """Enroll the student of the request in its one course, for which the student waits.

    With `adds_seat`, the course gets one more seat if all are taken. With `grant`, it is called for each rule that
    refuses and can be waived, instead of the refusal. Returns the outcome for the course: nothing changes for a student
    who does not wait for it. Raises `StudentNotFound`, `CourseNotFound` or `EnrollmentRefused`; then nothing has
    changed.
    """
    result = _let_in(request, adds_seat, grant)
    raise_if_refused(result.decisions)
    promote(result.courses_to_promote, request.context)
    (decision,) = result.decisions
    return [CourseOutcome(course_id, ENROLLED) for course_id in result.outcome_by_course] or [
        CourseOutcome(decision.course_id, decision.outcome)
    ]


@retried(repeatable=True)
def _let_in(request: EnrollmentRequest, adds_seat: bool, grant: Grant | None) -> EnrollmentResult:
    student_id, (course_id,) = request.student_id, request.course_ids
    with transaction() as connection:
        execute = functools.partial(run, connection)
        waitlisted_ids = [row.course_id for row in execute(WAITLISTED_COURSES, {"student": student_id})]
        lock(execute, student_id, {course_id, *waitlisted_ids})
        situation = load_by_rules(execute, student_id, [course_id], request.context)
        decision = _decide(with_rules_waived(situation) if grant else situation, course_id, adds_seat=adds_seat)
        if decision.outcome != ELIGIBLE:
            return EnrollmentResult(decisions=[decision])
        if grant:
            for code in _decide(situation, course_id, adds_seat=adds_seat).waivable_codes:
                grant(connection, course_id, code)
        now = utcnow()
        if not situation.courses[course_id].has_free_seat:
            execute(_ADD_SEAT, {"course": course_id, "at": now})
        ((last_event_at,),) = execute(_LAST_EVENT, {"course": course_id})
        at = max(now, last_event_at or now)  # as `no_earlier_than_the_ledger`
        values = {"course": course_id, "at": at, "new_credits": decision.credits}
        execute(_LET_IN, {**request.parameters([course_id]), **values})
        # The seat may end what stopped a promotion elsewhere.
        cleared = execute(CLEAR_MARKS, {"student": student_id, "course_ids": waitlisted_ids})
    return EnrollmentResult(
        outcome_by_course={course_id: ENROLLED},
        decisions=[decision],
        courses_to_promote=[row.course_id for row in cleared],
    )
