"""Promote in a course of a term: one student after the other, as the rules of registration allow.

A waiting student whom a rule stops keeps the place, and the row gets a mark: when the student was passed over, and for
which codes. The next student on the waitlist is tried. Marks are not permanent:

- What changes about a student clears the student's marks (`services/passed_over_marks.py`).
- A **round** looks again at every student who was passed over before it began. `courses.promotion_round_at` is its
  start: a change of the course or of its term begins one, and so do ten minutes, because a hold may have expired.

Marks and rounds have the times of different servers, whose clocks differ. So a round starts no earlier than the marks
that it looks at, and a mark is later than the round in which it was made; the course is locked for both.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    String,
    and_,
    bindparam,
    exists,
    literal,
    or_,
    select,
    update,
)

from ...context import RequestContext
from ...database import AnyRow, run
from ...database.types import Id, UtcDateTime, utcnow
from ...errors import Reason
from ...models import WAITLISTED, courses, enrollments
from ...models.terms import terms
from .loading import load_by_rules
from .rules import reasons
from .situation import Situation
from .statements import LOCK_STUDENT

ROUND = timedelta(minutes=10)
"""After this time, students who were passed over are looked at again."""
LONGEST_CODES = 500
"""Characters of `student_courses.passed_over_for`."""

_course_id = bindparam("course", type_=Id)
_student_id = bindparam("student", type_=Id)
_at = bindparam("at", type_=UtcDateTime)

_NEXT = (
    select(enrollments.c.student_id)
    .where(
        enrollments.c.course_id == _course_id,
        enrollments.c.queue_number.is_not(None),
        or_(
            enrollments.c.passed_over_at.is_(None),
            enrollments.c.passed_over_at <= bindparam("round_at", type_=UtcDateTime),
        ),
    )
    .order_by(enrollments.c.queue_number)
    .limit(1)
)
_PASS_OVER = (
    update(enrollments)
    .where(enrollments.c.course_id == _course_id, enrollments.c.student_id == _student_id)
    .values(passed_over_at=_at, passed_over_for=bindparam("codes", type_=String))
)
_BEGIN_ROUND = (
    update(courses)
    .where(courses.c.id == _course_id)
    # The columns that clients edit stay as they are, and so does `updated_at`.
    .values(promotion_round_at=_at, updated_at=courses.c.updated_at)
)


def is_due_by_rules() -> ColumnElement[bool]:
    """Return the condition that the waitlist of a course of a term has students to look at.

    Its parameters are those of `round_parameters`.
    """
    waits_for_the_round = exists().where(
        enrollments.c.course_id == courses.c.id,
        enrollments.c.status == literal(WAITLISTED, String),
        enrollments.c.passed_over_at <= courses.c.promotion_round_at,
    )
    round_is_due = or_(
        courses.c.promotion_round_at.is_(None),
        courses.c.promotion_round_at <= bindparam("last_round_at", type_=UtcDateTime),
    )
    waitlist_is_open = exists().where(
        terms.c.id == courses.c.term_id,
        or_(
            terms.c.promote_until > _at,
            and_(terms.c.promote_until.is_(None), terms.c.ends_on >= bindparam("yesterday", type_=Date)),
        ),
    )
    return and_(
        courses.c.term_id.is_not(None),
        or_(
            courses.c.waiting > courses.c.passed_over_count,
            waits_for_the_round,
            # By time only where time can change something.
            and_(round_is_due, courses.c.closed_at.is_(None), waitlist_is_open),
        ),
    )


def round_parameters() -> dict[str, Any]:
    """Return the parameters of `is_due_by_rules`."""
    now = utcnow()
    # A day more, because the school's days are not those of UTC.
    return {"at": now, "last_round_at": now - ROUND, "yesterday": now.date() - timedelta(days=1)}


class NextStudent(NamedTuple):
    """The next student of a waitlist.

    `codes` are those of the rules that stop the promotion, if any; `credits` what the enrollment counts, in hundredths;
    `round_at` the start of the round. `is_marked`: the student was passed over in another course.
    """

    student_id: int
    codes: Sequence[str]
    credits: int | None
    round_at: datetime
    is_marked: bool


def next_student(connection: Connection, course: AnyRow, context: RequestContext) -> NextStudent | None:
    """Find the next student of the waitlist, and ask the rules of registration about the promotion.

    The transaction has locked the course, which has a free seat. Locks the student. Returns None if the round has
    looked at every student.
    """
    now = utcnow()
    round_at = course.promotion_round_at
    if round_at is None or round_at <= now - ROUND:
        round_at = now
    execute = functools.partial(run, connection)
    next_rows = execute(_NEXT, {"course": course.id, "round_at": round_at})
    if not next_rows:
        return None
    ((student_id,),) = next_rows
    execute(LOCK_STUDENT, {"student": student_id})
    situation = load_by_rules(execute, student_id, [course.id], context)
    check = check_promotion(situation, course.id)
    is_marked = any(enrollment.is_passed_over for enrollment in situation.enrollments if enrollment.id != course.id)
    return NextStudent(student_id, check.codes, check.credits or None, round_at, is_marked)


class PromotionCheck(NamedTuple):
    """What stands against a promotion, if anything, and the credits that it would count, in hundredths."""

    reasons: Sequence[Reason]
    credits: int

    @property
    def codes(self) -> Sequence[str]:
        """The codes of the rules that stop it, each once."""
        return list(dict.fromkeys(reason.code for reason in self.reasons))


def check_promotion(situation: Situation, course_id: int) -> PromotionCheck:
    """Ask the rules of registration about the promotion of a student in a course."""
    wanted = situation.courses[course_id]
    if not wanted.least_credits <= wanted.student_credits <= wanted.most_credits:  # offered for others by now
        wanted = replace(wanted, student_credits=wanted.least_credits)
    promoted = situation.with_actions({course_id: "promote"}, {course_id: wanted.student_credits})
    return PromotionCheck(reasons(promoted.courses[course_id], promoted), wanted.student_credits)


def pass_over(connection: Connection, course: AnyRow, student: NextStudent) -> None:
    """Mark a student whom the rules stop, and store the start of the round."""
    codes = " ".join(student.codes)
    if len(codes) > LONGEST_CODES:  # those of a school's own rules
        codes = codes[: LONGEST_CODES + 1].rpartition(" ")[0]
    at = max(utcnow(), student.round_at + timedelta(microseconds=1))
    if student.round_at != course.promotion_round_at:
        run(connection, _BEGIN_ROUND, {"course": course.id, "at": student.round_at})
    run(connection, _PASS_OVER, {"course": course.id, "student": student.student_id, "at": at, "codes": codes})
