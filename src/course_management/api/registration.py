"""What decides in advance about the registration of a student for a term."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..access.policy import Access
from ..context import RequestContext
from ..errors import StudentNotFound, TermNotFound
from ..http.endpoints import Endpoints, if_none_match, query, responds
from ..http.responses import fingerprint, reply
from ..repositories import registration as repository
from ..schemas.fields import Credits
from ..schemas.registration import Registration, RegistrationQuery
from . import holds

endpoints = Endpoints("registration", __name__, description="When and how much a student can register.")
READ_ACCESS = Access(scope="students:read", student=True, advisor=True)


@endpoints.declare("GET", "/students/<id:student_id>/registration", READ_ACCESS, StudentNotFound, TermNotFound)
@if_none_match
@query(RegistrationQuery)
@responds(200, Registration, headers=("ETag",))
@responds(304, headers=("ETag",))
def get_registration(query: dict[str, Any], student_id: int, context: RequestContext) -> Response:
    """Read the holds of a student that are in force, the windows and credits of a term, and the student's groups.

    Holds have a note only for callers who may read holds.
    """
    registration = repository.registration_of(student_id, query["term_id"])
    left_out = holds.left_out_for(context.caller)
    body = {
        "holds": [holds.item(hold, left_out) for hold in registration.holds],
        "windows": [
            {"opens_at": window.opens_at, "closes_at": window.closes_at, "mine": registration.is_mine(window)}
            for window in registration.windows
        ],
        "credits": {"limit": Credits.written(registration.credit_limit), "held": Credits.written(registration.credits)},
        "groups": [
            {"id": group.id, "kind": group.kind, "code": group.code, "title": group.title}
            for group in registration.groups
        ],
    }
    return reply(body, tag=fingerprint([body]))
