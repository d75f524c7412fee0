"""Let promotion look again at waiting students whom the rules of registration stopped.

A student who was passed over keeps the mark until something changes: about the student, or about the course. These
functions belong to the transaction of the change. Locks are taken in the order of every statement: courses ascending by
id, then the student, then enrollments.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, literal, select, update
from sqlalchemy.orm import Session

from ..database.types import UtcDateTime, utcnow
from ..errors import StudentNotFound
from ..models import WAITLISTED, courses, enrollments, students
from .enrollment.statements import CLEAR_MARKS, LOCK_COURSES, WAITLISTED_COURSES


def lock_and_raise_revision(session: Session, student_id: int) -> None:
    """Lock a student whose situation changes. Raises `StudentNotFound`.

    It raises the revision, so that a decision that was made before the change is made again after it. The columns that
    clients edit stay as they are, and so does `updated_at`.
    """
    raised = (
        update(students)
        .where(students.c.id == student_id)
        .values(schedule_revision=students.c.schedule_revision + 1, updated_at=students.c.updated_at)
        .returning(students.c.id)
    )
    if session.execute(raised).first() is None:
        raise StudentNotFound


def reconsider_student(session: Session, student_id: int) -> list[int]:
    """Lock a student whose situation changes, and take away the marks of having been passed over.

    Returns the courses with such a mark, in which to promote after the commit. Raises `StudentNotFound`. All courses of
    terms in which the student waits are locked, because a promotion may be about to set the mark. One that does so in
    a course whose waitlist the student joins at this moment is corrected by the next round of promotion.
    """
    course_ids = session.scalars(WAITLISTED_COURSES, {"student": student_id}).all()
    if course_ids:
        session.execute(LOCK_COURSES, {"course_ids": course_ids})
    lock_and_raise_revision(session, student_id)
    if not course_ids:
        return []
    return sorted(session.scalars(CLEAR_MARKS, {"student": student_id, "course_ids": course_ids}))


def reconsider_students(session: Session, student_ids: Sequence[int]) -> list[int]:
    """Do the same for several students in one transaction, with one statement per table. Raises `StudentNotFound`."""
    ids = sorted({*student_ids})
    waits_in = select(enrollments.c.student_id, enrollments.c.course_id).where(
        enrollments.c.student_id.in_(ids),
        enrollments.c.status == WAITLISTED,
        enrollments.c.course_id.in_(select(courses.c.id).where(courses.c.term_id.is_not(None))),
    )
    waiting = session.execute(waits_in).all()
    if waiting:
        session.execute(LOCK_COURSES, {"course_ids": sorted({row.course_id for row in waiting})})
    in_order = select(students.c.id).where(students.c.id.in_(ids)).order_by(students.c.id)
    if len(session.scalars(in_order.with_for_update(key_share=True)).all()) < len(ids):
        raise StudentNotFound
    session.execute(
        update(students)
        .where(students.c.id.in_(ids))
        .values(schedule_revision=students.c.schedule_revision + 1, updated_at=students.c.updated_at)
        .execution_options(synchronize_session=False)
    )
    marked: set[int] = set()
    for student_id in sorted({row.student_id for row in waiting}):
        of_student = [row.course_id for row in waiting if row.student_id == student_id]
        marked |= {*session.scalars(CLEAR_MARKS, {"student": student_id, "course_ids": of_student})}
    return sorted(marked)


def reconsider_courses(session: Session, course_ids: Sequence[int]) -> None:
    """Begin a new round of promotion in courses of a term, which looks again at every student it has passed over.

    It begins no earlier than the last mark, which another server may have made by a clock that is ahead.
    """
    if not course_ids:
        return
    session.execute(LOCK_COURSES, {"course_ids": course_ids})
    last_mark = (
        select(func.max(enrollments.c.passed_over_at))
        .where(enrollments.c.course_id == courses.c.id, enrollments.c.status == WAITLISTED)
        .scalar_subquery()
    )
    now = literal(utcnow(), UtcDateTime)
    session.execute(
        update(courses)
        .where(courses.c.id.in_(course_ids), courses.c.term_id.is_not(None), courses.c.waiting > 0)
        .values(promotion_round_at=case((last_mark > now, last_mark), else_=now), updated_at=courses.c.updated_at)
        .execution_options(synchronize_session=False)
    )
