"""Courses: create, list, read, change, delete, their roster, queue and history."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..database import AnyRow
from ..database.types import MAX_ID
from ..errors import (
    CapacityBelowEnrollment,
    CodeTaken,
    CourseHasEnrollments,
    CourseNotFound,
    MalformedPrecondition,
    PreconditionFailed,
    WaitlistCapacityBelowWaiting,
)
from ..repositories import courses as questions
from ..repositories import enrollments
from ..repositories.past_rosters import past_roster
from ..schemas import incoming, outgoing
from ..services import courses as service
from .blueprint import Blueprint
from .replies import (
    EVENT,
    after,
    after_end,
    course_tag,
    empty,
    event_item,
    if_match,
    naming_existing,
    page_ending,
    page_reply,
    reply,
)
from .requests import context

blp = Blueprint("courses", __name__, description="What students enroll in.")

LIST = "courses.list_courses"
NEW = {"code": "CS101", "title": "Programming", "capacity": 30, "waitlist_capacity": 0}
EXAMPLE = {
    "id": 1,
    **NEW,
    "seats_taken": 12,
    "seats_available": 18,
    "waiting": 0,
    "created_at": outgoing.MOMENT,
}
CHANGED = EXAMPLE | {
    "capacity": 40,
    "seats_taken": 15,
    "seats_available": 25,
    "promotion": {"promoted": 3, "pending": False},
}
ON_ROSTER = {
    "student_id": 7,
    "name": "Ada Lovelace",
    "status": "enrolled",
    "status_since": outgoing.MOMENT,
    "position": None,
}


def course_item(course: AnyRow) -> dict[str, Any]:
    """A course as the contract writes it."""
    return {
        "id": course.id,
        "code": course.code,
        "title": course.title,
        "capacity": course.capacity,
        "waitlist_capacity": course.waitlist_capacity,
        "seats_taken": course.seats_taken,
        "seats_available": None if course.capacity is None else course.capacity - course.seats_taken,
        "waiting": course.waiting,
        "created_at": course.created_at,
    }


def roster_item(entry: AnyRow) -> dict[str, Any]:
    """One student of a roster as the contract writes it."""
    return {
        "student_id": entry.student_id,
        "name": entry.name,
        "status": entry.status,
        "status_since": entry.status_since,
        "position": entry.position,
    }


def history_item(event: AnyRow) -> dict[str, Any]:
    """A line of a course's history."""
    return {"student_id": event.student_id, **event_item(event)}


@blp.endpoint("POST", "/courses", CodeTaken)
@blp.body(incoming.CourseIn, NEW)
@blp.answer(201, outgoing.Course, EXAMPLE | {"seats_taken": 0, "seats_available": 30}, tagged=True)
def create_course(values: dict[str, Any]) -> Response:
    """Create a course. A capacity of null means no limit."""
    with naming_existing(LIST, lambda: questions.id_of(values["code"])):
        course = service.create(values)
    return reply(course_item(course), 201, thing=course_tag(course), location=f"/courses/{course.id}")


@blp.endpoint("GET", "/courses")
@blp.query(incoming.CoursesQuery)
@blp.answer(200, outgoing.Courses, {"items": [EXAMPLE], "next": None})
def list_courses(query: dict[str, Any]) -> Response:
    """List the courses, by id.

    `code` selects the one with this code.
    """
    limit = query["limit"]
    rows = questions.page(after(query), limit + 1, query.get("code"))
    return page_reply(rows, limit, lambda row: row.id, course_item)


@blp.endpoint("GET", "/courses/<id:course_id>", CourseNotFound)
@blp.conditional("If-None-Match")
@blp.answer(200, outgoing.Course, EXAMPLE, tagged=True)
@blp.answer(304)
def get_course(course_id: int) -> Response:
    """Read a course."""
    course = questions.one(course_id)
    return reply(course_item(course), thing=course_tag(course))


@blp.endpoint(
    "PATCH",
    "/courses/<id:course_id>",
    CourseNotFound,
    CodeTaken,
    CapacityBelowEnrollment,
    WaitlistCapacityBelowWaiting,
    PreconditionFailed,
    MalformedPrecondition,
)
@blp.conditional("If-Match")
@blp.body(incoming.CourseChange, {"capacity": 40})
@blp.answer(200, outgoing.ChangedCourse, CHANGED, tagged=True)
def change_course(values: dict[str, Any], course_id: int) -> Response:
    """Change a course; what is left out stays. Seats that become free go to the students on the waitlist, in order.

    The request promotes for a fraction of a second. If students still wait beside free seats then, `promotion.pending`
    is true, and the rest is promoted in the background: read the course again to follow `waiting`.
    """
    with naming_existing(LIST, lambda: questions.id_of(values["code"])):
        course, promotion = service.change(course_id, values, if_match(course_tag), context())
    item = course_item(course)
    extra = {"promotion": promotion._asdict()} if promotion else {}
    return reply(item | extra, thing=course_tag(course), tag_body=item)


@blp.endpoint(
    "DELETE",
    "/courses/<id:course_id>",
    CourseNotFound,
    CourseHasEnrollments,
    PreconditionFailed,
    MalformedPrecondition,
)
@blp.conditional("If-Match")
@blp.answer(204)
def delete_course(course_id: int) -> Response:
    """Delete a course that nobody is in or waits for; the history stays."""
    service.remove(course_id, if_match(course_tag))
    return empty()


@blp.endpoint("GET", "/courses/<id:course_id>/students", CourseNotFound)
@blp.query(incoming.RosterQuery)
@blp.answer(200, outgoing.Roster, {"items": [ON_ROSTER], "next": None})
def get_roster(query: dict[str, Any], course_id: int) -> Response:
    """List who is in a course, by student id.

    `status=waitlisted` lists its queue instead, by position; `as_of` lists who was in it at that time, from the
    history, where the name of a student who was deleted since is null.
    """
    limit, status = query["limit"], query["status"]
    if "as_of" in query:
        page = past_roster(course_id, status, query["as_of"], after_end(query), limit)
        return page_ending(page.rows, page.following, roster_item)
    rows = questions.roster(course_id, status, after(query, -1), limit + 1)  # numbers of a waitlist begin at 0
    return page_reply(rows, limit, lambda row: row.key, roster_item)


@blp.endpoint("GET", "/courses/<id:course_id>/history", CourseNotFound)
@blp.query(incoming.PageQuery)
@blp.answer(200, outgoing.CourseHistory, {"items": [EVENT | {"student_id": 7}], "next": None})
def get_course_history(query: dict[str, Any], course_id: int) -> Response:
    """Read what happened to a course's enrollments, newest first."""
    limit = query["limit"]
    rows = enrollments.history_of_course(course_id, after(query, MAX_ID), limit + 1)
    return page_reply(rows, limit, lambda row: row.id, history_item)
