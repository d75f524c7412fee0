"""The meetings of a course, and its links to others, such as of a lecture with its labs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import CourseHasNoTerm
from ..models import Course, Term, course_links, course_meetings, courses
from .courses import COURSE_RESOURCE
from .owned_lists import OwnedList
from .passed_over_marks import reconsider_courses


def _within_the_term(session: Session, course: Course, items: Sequence[tuple[str, Any]]) -> Iterator[dict[str, str]]:
    term = course.term_id and session.get_one(Term, course.term_id)
    if not term:
        return
    for pointer, item in items:
        for name in ("starts_on", "ends_on"):
            if not term.starts_on <= item[name] <= term.ends_on:
                detail = f"Must be within the term: {term.starts_on} to {term.ends_on}."
                yield {"pointer": f"{pointer}/{name}", "detail": detail}


MEETING_LIST = OwnedList(
    owner=COURSE_RESOURCE,
    table=course_meetings,
    column="course_id",
    names=("weekday", "starts_minute", "ends_minute", "starts_on", "ends_on", "place"),
    json_names={"starts_minute": "starts", "ends_minute": "ends"},
    find_errors=_within_the_term,
    after_change=lambda session, course_id: reconsider_courses(session, [course_id]),
)


def _same_term(session: Session, course: Course, items: Sequence[tuple[str, Any]]) -> Iterator[dict[str, str]]:
    if not items:
        return
    if course.term_id is None:
        raise CourseHasNoTerm
    linked_courses = session.execute(
        select(courses.c.id, courses.c.term_id).where(courses.c.id.in_({linked for _, linked in items}))
    )
    terms = {row.id: row.term_id for row in linked_courses}
    for pointer, linked in items:
        if linked == course.id:
            yield {"pointer": pointer, "detail": "A course cannot be linked to itself."}
        elif terms.get(linked, course.term_id) != course.term_id:
            yield {"pointer": pointer, "detail": "Must be a course of the same term."}


LINK_LIST = OwnedList(
    owner=COURSE_RESOURCE,
    table=course_links,
    column="course_id",
    alternatives_column="group_number",
    names=("linked_id",),
    find_errors=_same_term,
    after_change=lambda session, course_id: reconsider_courses(session, [course_id]),
)
