"""Permissions of students."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..access import policy
from ..access.policy import Access
from ..context import RequestContext
from ..errors import Forbidden, PermissionExists, PermissionNotFound, StudentNotFound
from ..http.endpoints import Endpoints, body, query, responds
from ..http.pagination import Page
from ..http.responses import empty, reply
from ..models import permissions, students
from ..repositories import owned_rows
from ..repositories.owned_rows import OwnedRows
from ..schemas.holds import PERMISSION_BODY, Permission, PermissionBody, Permissions
from ..schemas.pagination import PageQuery
from ..services import permissions as service

endpoints = Endpoints("permissions", __name__, description="Rules that are waived for a student in a course.")
PERMISSION_ROWS = OwnedRows(students, permissions, "student_id")
READ_ACCESS = Access(scope="permissions:read", student=True, advisor=True, instructor=True)
GRANT_ACCESS = Access(scope="permissions:write", advisor=True, instructor=True)


@endpoints.declare("GET", "/students/<id:student_id>/permissions", READ_ACCESS, StudentNotFound)
@query(PageQuery)
@responds(200, Permissions)
def list_permissions(page: Page, student_id: int, context: RequestContext) -> Response:
    """List the permissions of a student, by id, with those that were revoked or have expired.

    An instructor lists those of the courses that the instructor teaches.
    """
    courses = policy.limited_to(READ_ACCESS, context.caller, student_id)
    rows = owned_rows.page(PERMISSION_ROWS, student_id, after=page.after(), limit=page.limit + 1, course_ids=courses)
    if rows is None and courses is None:
        raise StudentNotFound  # an instructor gets the same for each student without a permission
    return page.reply(rows or [], lambda row: int(row.id), item)


@endpoints.declare("POST", "/students/<id:student_id>/permissions", GRANT_ACCESS, StudentNotFound, PermissionExists)
@body(PermissionBody, PERMISSION_BODY)
@responds(201, Permission, headers=("Location",))
def grant_permission(body: dict[str, Any], student_id: int, context: RequestContext) -> Response:
    """Waive a rule for a student in a course.

    The registrar and the student's advisor grant permissions for every course, an instructor for the courses that the
    instructor teaches. A permission takes no seat: the student still enrolls.
    """
    courses = policy.limited_to(GRANT_ACCESS, context.caller, student_id)
    if courses is not None and body["course_id"] not in courses:
        raise Forbidden("You can grant permissions for the courses that you teach only.")
    permission = service.grant(student_id, body, context)
    return reply(item(permission), 201, location=f"/students/{student_id}/permissions/{permission.id}")


@endpoints.declare(
    "DELETE",
    "/students/<id:student_id>/permissions/<id:permission_id>",
    GRANT_ACCESS,
    StudentNotFound,
    PermissionNotFound,
)
@responds(204)
def revoke_permission(student_id: int, permission_id: int, context: RequestContext) -> Response:
    """Revoke a permission. It stays in the list, and revoking it again changes nothing.

    A student who is enrolled or waitlisted already stays so.
    """
    courses = policy.limited_to(GRANT_ACCESS, context.caller, student_id)
    service.revoke(student_id, permission_id, context, course_ids=courses)
    return empty()


def item(permission: Any) -> dict[str, Any]:
    """Return a permission as the contract has it."""
    return {name: getattr(permission, name) for name in Permission.example}
