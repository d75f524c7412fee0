"""Courses as a resource. A raised capacity promotes students from the waitlist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database import reading
from ..errors import (
    CapacityBelowEnrollment,
    CodeTaken,
    CourseHasEnrollments,
    CourseHasNoTerm,
    CourseIsLinked,
    CourseNotFound,
    ExternalIdTaken,
    TermIsFixed,
    WaitlistCapacityBelowWaiting,
)
from ..models import Course, course_instructors, course_restrictions
from . import Precondition, resources
from .enrollment import Promotion, promote
from .owned_lists import OwnedList
from .passed_over_marks import reconsider_courses
from .resources import Resource


def _check(course: Course) -> Iterator[tuple[str, str]]:
    before = inspect(course).attrs.term_id.history.deleted
    if before and before[0] is not None:
        # The trigger refuses it, too. On PostgreSQL, a course that needs its term would be refused for that first.
        raise TermIsFixed
    if course.credits_max is not None and (course.credits is None or course.credits_max < course.credits):
        yield "credits_max", "Must not be less than credits, which it needs."


def _reconsider_waiting(session: Session, course: Course) -> None:
    if course.waiting:
        reconsider_courses(session, [course.id])


COURSE_RESOURCE = Resource(
    model=Course,
    not_found=CourseNotFound,
    refusal_if_taken={"code": CodeTaken, "external_id": ExternalIdTaken},
    unique_within={"code": "term_id"},
    refusals={
        "ck_courses_permission_required_in_term": CourseHasNoTerm,
        "ck_courses_credits_in_term": CourseHasNoTerm,
        "ck_courses_seats_within_capacity": CapacityBelowEnrollment,
        "ck_courses_waiting_within_waitlist": WaitlistCapacityBelowWaiting,
    },
    triggers={"courses_term_is_fixed": TermIsFixed},
    in_use={
        "student_courses_held_rows_stay": CourseHasEnrollments,
        "fk_course_links_linked_id": CourseIsLinked,
    },
    find_errors=_check,
    after_change=_reconsider_waiting,
)


def _needs_term(_: Session, course: Course, items: Sequence[tuple[str, Any]]) -> Sequence[dict[str, str]]:
    if items and course.term_id is None:
        raise CourseHasNoTerm
    return []


RESTRICTION_LIST = OwnedList(
    owner=COURSE_RESOURCE,
    table=course_restrictions,
    column="course_id",
    names=("group_id", "admits"),
    find_errors=_needs_term,
    after_change=lambda session, course_id: reconsider_courses(session, [course_id]),
)
INSTRUCTOR_LIST = OwnedList(owner=COURSE_RESOURCE, table=course_instructors, column="course_id", names=("person_id",))


class CourseChange(NamedTuple):
    """A course as it is after a change; `promotion` is None where no student was waiting."""

    course: Course
    promotion: Promotion | None = None


def change(
    course_id: int, values: Mapping[str, Any], precondition: Precondition | None, context: RequestContext
) -> CourseChange:
    """Set some values, then promote from the waitlist for a bounded time; background work promotes the rest.

    Raises `CourseNotFound`, the refusals of `COURSE_RESOURCE`, and `ValidationFailed` for a term that does not exist.
    """
    course = resources.change(COURSE_RESOURCE, course_id, values, precondition, context)
    if not course.waiting:
        return CourseChange(course)
    promotion = promote([course_id], context)
    if promotion.promoted:
        # The change is committed. If reading fails, the counters are those of that moment.
        with suppress(SQLAlchemyError), reading() as session:
            course = session.get(Course, course_id) or course
    return CourseChange(course, promotion)
