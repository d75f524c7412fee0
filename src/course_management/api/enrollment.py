"""The enrollment calls: enroll, replace, unenroll, and the list of a student's courses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Response

from ..access.policy import Access
from ..context import RequestContext
from ..errors import (
    CourseNotFound,
    EnrollmentRefused,
    MalformedPrecondition,
    PreconditionFailed,
    Problem,
    StudentNotFound,
)
from ..http.endpoints import Endpoints, body, if_match, if_none_match, query, responds
from ..http.responses import IfMatch, fingerprint, reply
from ..http.validation_errors import validation_failed
from ..repositories import enrollments
from ..schemas import enrollment as schemas
from ..schemas.enrollment import MAX_COURSES
from ..schemas.response_fields import MOMENT
from ..services import enrollment as service
from ..services.enrollment import Outcome, Replacement, ReplaceOptions

endpoints = Endpoints("enrollment", __name__, description="Enroll students in courses, and read their enrollments.")
log = structlog.get_logger(__name__)

READ = Access(scope="enrollments:read", student=True, advisor=True)
WRITE = Access(scope="enrollments:write", student=True, advisor=True)


@endpoints.declare(
    "POST", "/students/<id:student_id>/enroll", WRITE, StudentNotFound, CourseNotFound, EnrollmentRefused
)
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
def enroll_student(body: dict[str, Any], student_id: int, context: RequestContext) -> Response:
    """Enroll a student in one or several courses, all or nothing; safe to repeat.

    201 if something changed, 200 if nothing did. A refusal gives all reasons for each course.
    """
    course_ids = body["course_ids"]
    with _logged(student_id, course_ids):
        results = service.enroll(student_id, course_ids, waitlist=body["waitlist"], context=context)
        _log_outcomes(student_id, results)
    changed = any(not each.outcome.startswith("already_") for each in results)
    return _results(student_id, results, 201 if changed else 200)


@endpoints.declare(
    "PUT",
    "/students/<id:student_id>/enroll",
    WRITE,
    StudentNotFound,
    CourseNotFound,
    EnrollmentRefused,
    PreconditionFailed,
    MalformedPrecondition,
)
@if_match
@query(schemas.ReplaceQuery)
@body(schemas.ReplaceBody, {"course_ids": [1, 3]})
@responds(
    200,
    schemas.ReplaceResponse,
    {"student_id": 7, "enrolled": [3], "waitlisted": [], "unenrolled": [2], "kept": [1]},
)
def replace_enrollments(
    query: dict[str, Any], body: dict[str, Any], if_match: IfMatch | None, student_id: int, context: RequestContext
) -> Response:
    """Replace the courses of a student by these, all or nothing; safe to repeat.

    `dry_run=true` responds the same and changes nothing. If-Match takes the ETag of the student's courses.
    """
    course_ids, dry_run = body["course_ids"], query["dry_run"]
    _check_number(student_id, course_ids)
    with _logged(student_id, course_ids):
        done = service.replace(
            student_id,
            course_ids,
            waitlist=body["waitlist"],
            context=context,
            options=ReplaceOptions(
                precondition=None if if_match is None else lambda rows: if_match.check(_tag(rows)),
                dry_run=dry_run,
            ),
        )
        if not dry_run:
            _log_replacement(student_id, course_ids, done)
    return reply(
        {
            "student_id": student_id,
            "enrolled": done.enrolled,
            "waitlisted": done.waitlisted,
            "unenrolled": done.unenrolled,
            "kept": done.kept,
        }
    )


@endpoints.declare("DELETE", "/students/<id:student_id>/unenroll", WRITE, StudentNotFound, CourseNotFound)
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
    course_ids = (body or query)["course_ids"]
    with _logged(student_id, course_ids):
        results = service.unenroll(student_id, course_ids, context=context)
        _log_outcomes(student_id, results)
    return _results(student_id, results, 200)


@endpoints.declare("GET", "/students/<id:student_id>/courses", READ, StudentNotFound)
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
            }
        ],
    },
    headers=("ETag",),
)
@responds(304, headers=("ETag",))
def list_student_courses(query: dict[str, Any], student_id: int) -> Response:
    """List the courses in which a student is enrolled or waitlisted, by course code."""
    held = enrollments.of_student(student_id)
    courses = [
        {
            "id": row.id,
            "code": row.code,
            "title": row.title,
            "status": row.status,
            "status_since": row.status_since,
            "position": row.position,
        }
        for row in held
        if query["status"] in ("any", row.status)
    ]
    return reply({"student_id": student_id, "courses": courses}, tag=_tag(held))


def _tag(held: Sequence[Any]) -> str:
    """Return the first part of the ETag: it changes with each change of an enrollment, even back to the same set."""
    return fingerprint(sorted([(row.course_id, row.status, row.revision) for row in held]))


def _check_number(student_id: int, course_ids: Sequence[int]) -> None:
    """Refuse more courses than an enroll may have, unless the student has as many: what is read may be sent."""
    if len(course_ids) > MAX_COURSES and len(course_ids) > enrollments.count_held(student_id):
        reason = f"Must be at most {MAX_COURSES} ids, or as many as the student is enrolled in or waitlisted for."
        raise validation_failed({"course_ids": [reason]})


def _results(student_id: int, outcomes: Sequence[Outcome], status: int) -> Response:
    results = [
        {"course_id": each.course_id, "outcome": each.outcome}
        if each.position is None
        else {"course_id": each.course_id, "outcome": each.outcome, "position": each.position}
        for each in outcomes
    ]
    return reply({"student_id": student_id, "results": results}, status)


# --- one log line per enrollment action --------------------------------------------------------------------

ACTIONS = {
    "enrolled": "enrolled",
    "waitlisted": "waitlisted",
    "unenrolled": "unenrolled",
    "left_waitlist": "unenrolled",
    "already_enrolled": "unchanged",
    "already_waitlisted": "unchanged",
    "not_enrolled": "unchanged",
}


@contextmanager
def _logged(student_id: int, course_ids: Sequence[int]) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        reasons = {reason["code"] for each in problem.members.get("decisions", ()) for reason in each["reasons"]}
        _log("refused", student_id, course_ids, sorted({problem.code, *reasons}))
        raise
    except Exception as error:
        _log("failed", student_id, course_ids, [type(error).__name__])
        raise


def _log_outcomes(student_id: int, outcomes: Sequence[Outcome]) -> None:
    by_action: dict[str, list[Outcome]] = {}
    for each in outcomes:
        by_action.setdefault(ACTIONS[each.outcome], []).append(each)
    for action, group in by_action.items():
        _log(action, student_id, [each.course_id for each in group], sorted({each.outcome for each in group}))


def _log_replacement(student_id: int, requested: Sequence[int], done: Replacement) -> None:
    for action in ("enrolled", "waitlisted", "unenrolled"):
        if course_ids := getattr(done, action):
            _log(action, student_id, course_ids, [action])
    if not (done.enrolled or done.waitlisted or done.unenrolled):
        _log("unchanged", student_id, requested, ["kept"])


def _log(action: str, student_id: int, course_ids: Sequence[int], codes: Sequence[str]) -> None:
    log.info(f"enrollment.{action}", student_id=student_id, course_ids=course_ids, codes=codes)
