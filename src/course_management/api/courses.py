"""Courses, their rosters, waitlists and histories."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from ..access.policy import Access
from ..context import RequestContext
from ..database import AnyRow
from ..database.types import MAX_ID
from ..errors import CourseHasNoTerm, CourseNotFound
from ..http.declarations import JSON, Success
from ..http.endpoints import Endpoints, query, responds
from ..http.pagination import Page
from ..http.responses import IfMatch, download, reply
from ..repositories import enrollments, rosters
from ..repositories.past_rosters import past_roster, past_roster_by_name, whole_past_roster
from ..repositories.student_names import contacts_of, student_name
from ..repositories.timetables import clashing_students
from ..schemas.courses import ChangedCourse, CourseHistory, CourseSchema, Roster, RosterQuery
from ..schemas.enrollment import PassedOver
from ..schemas.fields import credits_of
from ..schemas.pagination import PageQuery
from ..schemas.response_fields import ResponseId
from ..schemas.terms import PERSON_IDS, RESTRICTIONS_BODY, RESTRICTIONS_EXAMPLE, Restriction
from ..schemas.timetables import (
    LINKS_EXAMPLE,
    MEETINGS_BODY,
    MEETINGS_EXAMPLE,
    ChangedMeetings,
    Links,
    LinksBody,
    Meeting,
)
from ..services import courses as service
from ..services import timetables
from ..transfer.exporting import MEDIA_TYPE as CSV
from ..transfer.rosters import roster_file
from .owned_lists import OwnedListRoutes, Report
from .resources import CustomView, ResourceAccess, ResourceRoutes
from .students import event_item

endpoints = Endpoints("courses", __name__, description="What students enroll in.")
routes = ResourceRoutes(
    endpoints,
    "course",
    service.COURSE_RESOURCE,
    CourseSchema,
    ResourceAccess(
        list=Access(scope="courses:read", every_person=True),
        read=Access(scope="courses:read", every_person=True),
        write=Access(scope="courses:write"),
    ),
)
READ_ROSTER_ACCESS = Access(scope="enrollments:read", instructor=True)


def change_course(body: dict[str, Any], if_match: IfMatch | None, course_id: int, context: RequestContext) -> Response:
    """Change a course; fields that are not sent stay as they are.

    Seats that become free go to the students on the waitlist, in order. The request promotes for a fraction of a
    second. If students still wait beside free seats then, `promotion.pending` is true, and the rest is promoted in the
    background: read the course again to follow `waiting`.
    """
    with routes.adding_existing_id(body, context, course_id):
        course, promotion = service.change(course_id, body, routes.precondition(if_match), context)
    item = routes.write_item(course)
    extra = {"promotion": promotion._asdict()} if promotion else {}
    return reply(item | extra, tag=routes.tag(course), tag_body=item)


routes.register(
    create=CustomView(routes.create, Success(201, CourseSchema.response()), (CourseHasNoTerm,)),
    change=CustomView(change_course, Success(200, ChangedCourse)),
)
OwnedListRoutes(
    owned_list=service.RESTRICTION_LIST,
    name="restrictions",
    title="groups that a course admits or excludes",
    body=RESTRICTIONS_BODY,
    item=Restriction,
    example=RESTRICTIONS_EXAMPLE,
    read_access=Access(scope="courses:read"),
    write_access=Access(scope="courses:write"),
    problems=[CourseHasNoTerm],
    more="Students who are enrolled already stay. A course without a term can have no restrictions.",
).register(endpoints)
OwnedListRoutes(
    owned_list=timetables.MEETING_LIST,
    name="meetings",
    title="weekly meetings of a course",
    body=MEETINGS_BODY,
    item=Meeting,
    example=MEETINGS_EXAMPLE,
    read_access=Access(scope="courses:read", every_person=True),
    write_access=Access(scope="courses:write"),
    report=Report(ChangedMeetings, lambda course_id: {"now_clashing": clashing_students(course_id)}),
    more=(
        "Times are those of the clock of the school, without a time zone. Meetings lie within the term of the course, "
        "if it has one, and may overlap one another. Enrollments stay: `now_clashing` lists the students of the course "
        "who now have another course of a term at the same time."
    ),
).register(endpoints)
OwnedListRoutes(
    owned_list=timetables.LINK_LIST,
    name="links",
    title="courses that a student takes together with a course",
    body=LinksBody(),
    item=Links,
    example=LINKS_EXAMPLE,
    read_access=Access(scope="courses:read", every_person=True),
    write_access=Access(scope="courses:write"),
    problems=[CourseHasNoTerm],
    more=(
        "With a lecture, for example, a student takes one of its labs: of each group, one course of the same term. "
        "Students who are enrolled already stay."
    ),
).register(endpoints)
OwnedListRoutes(
    owned_list=service.INSTRUCTOR_LIST,
    name="instructors",
    title="instructors of a course, by the ids of the people",
    body=PERSON_IDS,
    item=ResponseId(),
    example=[4],
    read_access=Access(scope="courses:read"),
    write_access=Access(scope="courses:write"),
    more="Instructors see the roster, the waitlist and the history of the course, and grant permissions for it.",
).register(endpoints)


@endpoints.declare("GET", "/courses/<id:course_id>/students", READ_ROSTER_ACCESS, CourseNotFound)
@query(RosterQuery)
@responds(200, Roster, files=(CSV,))
def get_roster(query: dict[str, Any], page: Page, course_id: int) -> Response:
    """List the students of a course, by student id or by name.

    `status=waitlisted` lists its waitlist instead, by position or by name; `as_of` lists the roster of that time, from
    the ledger. With `Accept: text/csv`, the whole list is a file, with the e-mail addresses; `limit` and `after` have
    no effect then.
    """
    status, as_of, by_name = query["status"], query.get("as_of"), query["sort"] == "name"
    if request.accept_mimetypes.best_match([JSON, CSV]) == CSV:
        whole = (
            rosters.whole_roster(course_id, status, by_name=by_name)
            if as_of is None
            else whole_past_roster(course_id, status, as_of, by_name=by_name)
        )
        contacts = contacts_of([row.student_id for row in whole])
        return download(roster_file(whole, contacts), CSV, f"{status}-{course_id}.csv")
    if by_name:
        name = "" if page.key is None else student_name(page.key) or ""
        after = name, page.after(text=name)
        rows = (
            rosters.roster_by_name(course_id, status, after, page.limit + 1)
            if as_of is None
            else past_roster_by_name(course_id, status, as_of, after, page.limit + 1)
        )
        return page.reply(rows, lambda row: int(row.student_id), roster_item, lambda row: row.name or "")
    if as_of:
        past = past_roster(course_id, status, as_of, (page.after(), page.shown), page.limit)
        return page.reply_ending(past.rows, past.following, roster_item)
    rows = rosters.roster(course_id, status, page.after(-1), page.limit + 1)  # queue numbers begin at 0
    return page.reply(rows, lambda row: int(row.key), roster_item)


@endpoints.declare("GET", "/courses/<id:course_id>/history", READ_ROSTER_ACCESS, CourseNotFound)
@query(PageQuery)
@responds(200, CourseHistory)
def get_course_history(page: Page, course_id: int) -> Response:
    """Read what happened to a course's enrollments, newest first."""
    rows = enrollments.history_of_course(course_id, page.after(MAX_ID), page.limit + 1)
    return page.reply(rows, lambda row: int(row.id), history_item)


def roster_item(entry: AnyRow) -> dict[str, Any]:
    """Return one student of a roster as the contract has it."""
    return {
        "student_id": entry.student_id,
        "name": entry.name,
        "status": entry.status,
        "status_since": entry.status_since,
        "position": entry.position,
        "credits": credits_of(entry.credits),
        "passed_over": entry.passed_over_at and PassedOver.written(entry),
    }


def history_item(event: AnyRow) -> dict[str, Any]:
    """Return a line of a course's history as the contract has it."""
    return {"student_id": event.student_id, **event_item(event)}
