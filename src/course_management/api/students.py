"""Students, and their history."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..access.policy import Access
from ..database import AnyRow
from ..database.types import MAX_ID
from ..errors import StudentNotFound
from ..http.endpoints import Endpoints, query, responds
from ..http.pagination import Page
from ..repositories import enrollments
from ..schemas.pagination import PageQuery
from ..schemas.response_fields import ResponseId
from ..schemas.students import StudentHistory, StudentSchema
from ..schemas.terms import GROUP_IDS
from ..services import student_groups
from ..services.accounts import STUDENT
from ..services.student_groups import STUDENT_GROUP_LIST
from ..services.students import STUDENT_RESOURCE
from .accounts import AccountRoutes
from .owned_lists import OwnedListRoutes
from .resources import ResourceAccess, ResourceRoutes

endpoints = Endpoints("students", __name__, description="The people who take courses.")
routes = ResourceRoutes(
    endpoints,
    "student",
    STUDENT_RESOURCE,
    StudentSchema,
    ResourceAccess(
        list=Access(scope="students:read"),
        read=Access(scope="students:read", student=True, advisor=True),
        write=Access(scope="students:write"),
    ),
)
routes.register()
AccountRoutes(endpoints, "student", STUDENT)
OwnedListRoutes(
    owned_list=STUDENT_GROUP_LIST,
    name="groups",
    title="groups that a student is in, by their ids",
    body=GROUP_IDS,
    item=ResponseId(),
    example=[1, 2],
    read_access=Access(scope="students:read"),
    write_access=Access(scope="students:write"),
    service=student_groups.replace,
).register(endpoints)


@endpoints.declare(
    "GET",
    "/students/<id:student_id>/history",
    Access(scope="enrollments:read", student=True, advisor=True),
    StudentNotFound,
)
@query(PageQuery)
@responds(200, StudentHistory)
def get_student_history(page: Page, student_id: int) -> Response:
    """Read what happened to a student's enrollments, newest first."""
    rows = enrollments.history_of_student(student_id, page.after(MAX_ID), page.limit + 1)
    return page.reply(rows, lambda row: int(row.id), history_item)


def history_item(event: AnyRow) -> dict[str, Any]:
    """Return a line of a student's history as the contract has it."""
    return {"course_id": event.course_id, **event_item(event)}


def event_item(event: AnyRow) -> dict[str, Any]:
    """Return a line of the ledger, without the student or course that it belongs to."""
    return {
        "at": event.at,
        "from": event.from_status,
        "to": event.to_status,
        "credits": event.credits,
        "actor": event.actor,
        "request_id": event.request_id,
        "reason": event.reason,
    }
