"""Holds of students."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask import Response

from ..access import policy
from ..access.policy import Access
from ..context import RequestContext
from ..errors import HoldNotFound, StudentNotFound
from ..http.endpoints import Endpoints, body, query, responds
from ..http.pagination import Page
from ..http.responses import empty, reply
from ..models import holds, students
from ..repositories import owned_rows
from ..repositories.owned_rows import OwnedRows
from ..schemas.holds import HOLD_BODY, Hold, HoldBody, Holds
from ..schemas.pagination import PageQuery
from ..services import holds as service

endpoints = Endpoints("holds", __name__, description="Blocks that stop a student from registering or unenrolling.")
HOLD_ROWS = OwnedRows(students, holds, "student_id")
READ_ALL_ACCESS, WRITE_ACCESS = Access(scope="holds:read"), Access(scope="holds:write")


@endpoints.declare("GET", "/students/<id:student_id>/holds", Access(scope="holds:read", student=True), StudentNotFound)
@query(PageQuery)
@responds(200, Holds)
def list_holds(page: Page, student_id: int, context: RequestContext) -> Response:
    """List the holds of a student, by id, with those that were released or have expired.

    The student reads them without the note.
    """
    rows = owned_rows.page(HOLD_ROWS, student_id, after=page.after(), limit=page.limit + 1)
    if rows is None:
        raise StudentNotFound
    left_out = left_out_for(context.caller)
    return page.reply(rows, lambda row: int(row.id), lambda row: item(row, left_out))


@endpoints.declare("POST", "/students/<id:student_id>/holds", WRITE_ACCESS, StudentNotFound)
@body(HoldBody, HOLD_BODY)
@responds(201, Hold, headers=("Location",))
def place_hold(body: dict[str, Any], student_id: int, context: RequestContext) -> Response:
    """Place a hold on a student.

    It stops the student in courses of terms until it is released, or until `until`.
    """
    hold = service.place(student_id, body, context)
    return reply(item(hold), 201, location=f"/students/{student_id}/holds/{hold.id}")


@endpoints.declare(
    "DELETE", "/students/<id:student_id>/holds/<id:hold_id>", WRITE_ACCESS, StudentNotFound, HoldNotFound
)
@responds(204)
def release_hold(student_id: int, hold_id: int, context: RequestContext) -> Response:
    """Release a hold. It stays in the list, and releasing it again changes nothing."""
    service.release(student_id, hold_id, context)
    return empty()


def left_out_for(caller: object) -> Collection[str]:
    """Return the members of a hold that a caller may not read."""
    return () if policy.has_access(READ_ALL_ACCESS, caller) else ("note",)


def item(hold: Any, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Return a hold as the contract has it."""
    return {name: getattr(hold, name) for name in Hold.example if name not in left_out}
