"""Decide without a change: dry runs, decisions about many courses at once, and explanations of decisions.

Nothing is locked, so another request may change the situation before the student acts on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ...context import RequestContext
from ...database import autocommit
from ...errors import CourseFull
from .decisions import Decision, decide, with_rules_waived
from .loading import load_by_rules, load_many_by_rules, situation_of
from .passing_over import PromotionCheck, check_promotion
from .request import EnrollmentRequest
from .situation import Situation


class Explanation(NamedTuple):
    """The decision about each course, and the situation of the student that the rules looked at."""

    decisions: Sequence[Decision]
    situation: Situation


class WaysToEnroll(NamedTuple):
    """What a student can do about one course: enroll or, where it is full, join its waitlist."""

    enroll: Decision
    waitlist: Decision | None
    """None unless all seats are taken, and that is a reason against enrolling."""


def dry_run(request: EnrollmentRequest, *, permit: bool = False) -> list[Decision]:
    """Decide about each course of a request, and change nothing. Raises `StudentNotFound`.

    With `permit`, decide as if a permission waived each rule that can be waived.
    """
    course_ids = [*request.course_ids, *request.instead_of]
    situation = situation_of(autocommit, request.student_id, course_ids, request.context)
    return request.decide(with_rules_waived(situation) if permit else situation)


def decide_each(student_id: int, course_ids: Sequence[int], context: RequestContext) -> dict[int, WaysToEnroll]:
    """Decide about each course alone, by course, from one snapshot; change nothing. Raises `StudentNotFound`.

    Unlike a request for all of them, which would have them clash with one another. Courses that do not exist are left
    out.
    """
    situation = situation_of(autocommit, student_id, course_ids, context)
    return {
        course_id: _ways_to_enroll(replace(situation, courses={course_id: situation.courses[course_id]}), course_id)
        for course_id in course_ids
        if course_id in situation.courses
    }


def _ways_to_enroll(situation: Situation, course_id: int) -> WaysToEnroll:
    (enroll,) = decide(situation, [course_id])
    if not any(reason.code == CourseFull.code for reason in enroll.reasons):
        return WaysToEnroll(enroll, None)
    (waitlist,) = decide(situation, [course_id], waitlist=True)
    return WaysToEnroll(enroll, waitlist)


def decide_leaving(
    student_id: int, course_id: int | None, leaving: Sequence[int], context: RequestContext
) -> dict[int, tuple[Decision, ...]]:
    """Decide about leaving each course of `leaving` alone or, with `course_id`, in exchange for that course.

    Returns by the course to leave the decision about it or, with `course_id`, the decisions about both, that one first.
    Changes nothing. Raises `StudentNotFound`.
    """
    wanted = [] if course_id is None else [course_id]
    situation = situation_of(autocommit, student_id, [*wanted, *leaving], context)
    return {left_id: tuple(decide(situation, wanted, unenrolling=[left_id])) for left_id in leaving}


def explain(student_id: int, course_ids: Sequence[int], *, waitlist: bool, context: RequestContext) -> Explanation:
    """Decide about enrolling in each course, and change nothing. Raises `StudentNotFound`.

    Unlike a request, it also reads the holds and groups of a student who asks only for courses without a term.
    """
    situation = load_by_rules(autocommit, student_id, course_ids, context)
    return Explanation(decide(situation, course_ids, waitlist=waitlist), situation)


def check_promotions(
    course_id: int, student_ids: Sequence[int], context: RequestContext
) -> Mapping[int, PromotionCheck]:
    """Return what stands against the promotion of each student on a waitlist, if a seat were free.

    One statement reads all of it. Changes nothing; leaves out students who do not exist.
    """
    if not student_ids:
        return {}
    course_ids_by_student = {student_id: [course_id] for student_id in student_ids}
    situations = load_many_by_rules(autocommit, course_ids_by_student, context)
    return {
        student_id: check_promotion(situation, course_id)
        for student_id, situation in situations.items()
        if course_id in situation.courses
    }
