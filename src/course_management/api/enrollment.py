"""The enrollment calls: enroll, replace, unenroll, and the list of a student's courses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import Response

from ..access import policy
from ..access.callers import PersonCaller
from ..access.policy import Access
from ..context import RequestContext
from ..errors import (
    CourseNotFound,
    EnrollmentRefused,
    Forbidden,
    StudentNotFound,
    TermNotFound,
    UnenrollmentRefused,
)
from ..http.endpoints import Endpoints, body, if_match, if_none_match, query, responds
from ..http.responses import IfMatch, fingerprint, reply
from ..http.validation_errors import validation_failed
from ..repositories import enrollments
from ..schemas import enrollment as schemas
from ..schemas.enrollment import MAX_COURSES, PassedOver
from ..schemas.fields import credits_of
from ..schemas.response_fields import MOMENT
from ..services import enrollment_actions as actions
from ..services.enrollment import CourseOutcome, EnrollmentRequest, ReplaceOptions
from ..services.enrollment_actions import UNCHANGED
from .permissions import GRANT_ACCESS

endpoints = Endpoints("enrollment", __name__, description="Enroll students in courses, and read their enrollments.")

READ_ACCESS = Access(scope="enrollments:read", student=True, advisor=True)
WRITE_ACCESS = Access(scope="enrollments:write", student=True, advisor=True)
ENROLL_ACCESS = replace(WRITE_ACCESS, instructor=True)
"""Of enrolling: an instructor enrolls students with a permit, in the courses that the instructor teaches."""
STAFF_ACCESS = replace(ENROLL_ACCESS, student=False)
"""Who may give a reason for the ledger."""


@endpoints.declare(
    "POST", "/students/<id:student_id>/enroll", ENROLL_ACCESS, StudentNotFound, CourseNotFound, EnrollmentRefused
)
@query(schemas.EnrollQuery)
@body(schemas.EnrollBody, {"course_ids": [1, 2], "waitlist": True})
@responds(
    201,
    schemas.EnrollResponse,
    {
        "student_id": 7,
        "results": [
            {"course_id": 1, "outcome": "enrolled"},
            {"course_id": 2, "outcome": "waitlisted", "position": 4},
        ],
    },
)
@responds(
    200,
    schemas.EnrollResponse,
    {"student_id": 7, "results": [{"course_id": 1, "outcome": "already_enrolled"}]},
)
def enroll_student(query: dict[str, Any], body: dict[str, Any], student_id: int, context: RequestContext) -> Response:
    """Enroll a student in one or several courses, all or nothing; safe to repeat.

    With `instead_of` it is a swap: these courses are left only if all of the others can be enrolled in. 201 if
    something changed, 200 if nothing did. A refusal gives all reasons for each course. `dry_run=true` responds 200 with
    the decision about each course; it locks and changes nothing.
    """
    permit = body.get("permit")
    request = _request(student_id, body, context, instead_of=body["instead_of"])
    _authorize(body, student_id, [*request.course_ids, *request.instead_of], context.caller)
    if query["dry_run"]:
        decisions = actions.dry_run(request, permit=permit is not None)
        return reply({"student_id": student_id, "decisions": [decision.as_dict() for decision in decisions]})
    outcomes = actions.enroll(request, permit_reason=permit and permit["reason"])
    changed = any(outcome.outcome not in UNCHANGED for outcome in outcomes)
    return _results(student_id, outcomes, 201 if changed else 200)


def _request(student_id: int, body: Mapping[str, Any], context: RequestContext, **more: Any) -> EnrollmentRequest:
    return EnrollmentRequest(
        student_id,
        body["course_ids"],
        context=context,
        waitlist=body["waitlist"],
        ledger_reason=body.get("reason"),
        chosen_credits=body.get("credits", {}),
        **more,
    )


def _authorize(body: Mapping[str, Any], student_id: int, course_ids: Sequence[int], caller: object) -> None:
    """Raise `Forbidden` unless the caller may send the members `permit` and `reason`, where they are in the body.

    An instructor must send a `permit`, for courses that the instructor teaches: the access row does not know these.
    """
    if "permit" in body:
        if not policy.has_access(GRANT_ACCESS, caller, student_id):
            raise Forbidden(
                'Only callers who may grant permissions for the student can send "permit"; a service needs the scope '
                f"{GRANT_ACCESS.scope}."
            )
        taught = policy.limited_to(GRANT_ACCESS, caller, student_id)
        if taught is not None and not taught.issuperset(course_ids):
            raise Forbidden("You can grant permissions for the courses that you teach only.")
    elif isinstance(caller, PersonCaller) and not policy.has_access(WRITE_ACCESS, caller, student_id):
        raise Forbidden('As an instructor, send "permit" to enroll a student in a course that you teach.')
    if "reason" in body:
        _authorize_reason(student_id, caller)


def _authorize_reason(student_id: int, caller: object) -> None:
    if not policy.has_access(STAFF_ACCESS, caller, student_id):
        raise Forbidden('Only staff can give a "reason" for the ledger.')


@endpoints.declare(
    "PUT",
    "/students/<id:student_id>/enroll",
    WRITE_ACCESS,
    StudentNotFound,
    CourseNotFound,
    TermNotFound,
    EnrollmentRefused,
)
@if_match
@query(schemas.ReplaceQuery)
@body(schemas.ReplaceBody, {"course_ids": [1, 3]})
@responds(
    200,
    schemas.ReplaceResponse,
    {"student_id": 7, "enrolled": [3], "waitlisted": [], "unenrolled": [2], "withdrawn": [], "kept": [1]},
)
def replace_enrollments(
    query: dict[str, Any], body: dict[str, Any], if_match: IfMatch | None, student_id: int, context: RequestContext
) -> Response:
    """Replace the courses of a student by these, all or nothing; safe to repeat.

    With `term_id`, courses of other terms, and without a term, stay. `dry_run=true` responds the same and changes
    nothing. If-Match takes the ETag of the student's courses, all of them.
    """
    course_ids = body["course_ids"]
    if "reason" in body:
        _authorize_reason(student_id, context.caller)
    _check_number(student_id, course_ids)
    done = actions.replace(
        _request(student_id, body, context),
        ReplaceOptions(
            term_id=query.get("term_id"),
            precondition=None if if_match is None else lambda rows: if_match.check(_tag(rows)),
            dry_run=query["dry_run"],
        ),
    )
    return reply(
        {
            "student_id": student_id,
            "enrolled": done.enrolled,
            "waitlisted": done.waitlisted,
            "unenrolled": done.unenrolled,
            "withdrawn": done.withdrawn,
            "kept": done.kept,
        }
    )


@endpoints.declare(
    "DELETE", "/students/<id:student_id>/unenroll", WRITE_ACCESS, StudentNotFound, CourseNotFound, UnenrollmentRefused
)
@body(schemas.UnenrollBody, {"course_ids": [1, 2]}, required=False)
@query(schemas.UnenrollQuery)
@responds(
    200,
    schemas.UnenrollResponse,
    {
        "student_id": 7,
        "results": [
            {"course_id": 1, "outcome": "unenrolled"},
            {"course_id": 2, "outcome": "not_enrolled"},
        ],
    },
)
def unenroll_student(
    query: dict[str, Any], body: dict[str, Any] | None, student_id: int, context: RequestContext
) -> Response:
    """Unenroll a student from courses, or from their waitlists; safe to repeat.

    The courses are in the body or, where a proxy drops the body of a DELETE, in the query.
    """
    if (body is None) == (not query):
        raise validation_failed("Give the courses either in the body or in the query.")
    course_ids, ledger_reason = (body or query)["course_ids"], (body or {}).get("reason")
    if ledger_reason is not None:
        _authorize_reason(student_id, context.caller)
    return _results(
        student_id, actions.unenroll(student_id, course_ids, context=context, ledger_reason=ledger_reason), 200
    )


@endpoints.declare("GET", "/students/<id:student_id>/courses", READ_ACCESS, StudentNotFound)
@if_none_match
@query(schemas.StudentCoursesQuery)
@responds(
    200,
    schemas.StudentCoursesResponse,
    {
        "student_id": 7,
        "courses": [
            {
                "id": 1,
                "code": "CS101",
                "title": "Programming",
                "status": "enrolled",
                "status_since": MOMENT,
                "position": None,
                "term_id": 1,
                "credits": 4,
                "passed_over": None,
            }
        ],
    },
    headers=("ETag",),
)
@responds(304, headers=("ETag",))
def list_student_courses(query: dict[str, Any], student_id: int) -> Response:
    """List the courses in which a student is enrolled or waitlisted, by course code.

    The first part of the ETag stands for all of them, whatever `status` and `term_id` select.
    """
    status, term_id = query["status"], query["term_id"]
    held = enrollments.of_student(student_id)
    courses = [
        {
            "id": row.id,
            "code": row.code,
            "title": row.title,
            "status": row.status,
            "status_since": row.status_since,
            "position": row.position,
            "term_id": row.term_id,
            "credits": row.credits and credits_of(row.credits),
            "passed_over": row.passed_over_at and PassedOver.written(row),
        }
        for row in held
        if status in ("any", row.status) and (term_id is None or term_id == row.term_id)
    ]
    return reply({"student_id": student_id, "courses": courses}, tag=_tag(held))


def _tag(held: Sequence[Any]) -> str:
    """Return the first part of the ETag: it changes with each change of an enrollment, even back to the same set."""
    return fingerprint(sorted([(row.course_id, row.status, row.revision, row.credits) for row in held]))


def _check_number(student_id: int, course_ids: Sequence[int]) -> None:
    """Refuse more courses than a request may have, unless the student has as many: what is read may be sent."""
    if len(course_ids) > MAX_COURSES and len(course_ids) > enrollments.count_held(student_id):
        reason = f"Must be at most {MAX_COURSES} ids, or as many as the student is enrolled in or waitlisted for."
        raise validation_failed({"course_ids": [reason]})


def _results(student_id: int, outcomes: Sequence[CourseOutcome], status: int) -> Response:
    results = [
        {"course_id": outcome.course_id, "outcome": outcome.outcome}
        if outcome.position is None
        else {"course_id": outcome.course_id, "outcome": outcome.outcome, "position": outcome.position}
        for outcome in outcomes
    ]
    return reply({"student_id": student_id, "results": results}, status)
