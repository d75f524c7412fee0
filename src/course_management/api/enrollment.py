"""Enrollment: the four calls this service exists for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Response, request

from ..errors import (
    CourseNotFound,
    EnrollmentRefused,
    MalformedPrecondition,
    PreconditionFailed,
    Problem,
    StudentNotFound,
)
from ..logs import elapsed_ms
from ..repositories import enrollments
from ..schemas import incoming, outgoing
from ..schemas.fields import MAX_COURSES
from ..services import enrollment as service
from ..services.enrollment import Outcome, Replacement
from .blueprint import Blueprint
from .replies import holdings_tag, if_match, reply
from .requests import StrictParser, context, has_body, validation_failed

blp = Blueprint("enrollment", __name__, description="Which student is in which course.")
log = structlog.get_logger(__name__)
parser = StrictParser()
LEAVING, LEAVING_QUERY = incoming.OneOrMoreCourses(), incoming.UnenrollQuery()

HELD = {
    "id": 1,
    "code": "CS101",
    "title": "Programming",
    "status": "enrolled",
    "status_since": outgoing.MOMENT,
    "position": None,
}


@blp.endpoint("POST", "/students/<id:student_id>/enroll", StudentNotFound, CourseNotFound, EnrollmentRefused)
@blp.body(incoming.EnrollIn, {"course_ids": [1, 2], "waitlist": True})
@blp.answer(
    201,
    outgoing.EnrollAnswer,
    {
        "student_id": 7,
        "results": [
            {"course_id": 1, "outcome": "enrolled"},
            {"course_id": 2, "outcome": "waitlisted", "position": 4},
        ],
    },
)
@blp.answer(
    200,
    outgoing.EnrollAnswer,
    {"student_id": 7, "results": [{"course_id": 1, "outcome": "already_enrolled"}]},
)
def enroll_student(body: dict[str, Any], student_id: int) -> Response:
    """Enroll a student in one or several courses, all or nothing; safe to repeat.

    201 when something changed, 200 when everything was so already. A refusal says for each course what stands
    in the way.
    """
    with _logged(student_id, body["course_ids"]):
        results = service.enroll(student_id, body["course_ids"], waitlist=body["waitlist"], context=context())
        _log_outcomes(student_id, results)
    changed = any(not each.outcome.startswith("already_") for each in results)
    return _results(student_id, results, 201 if changed else 200)


@blp.endpoint(
    "PUT",
    "/students/<id:student_id>/enroll",
    StudentNotFound,
    CourseNotFound,
    EnrollmentRefused,
    PreconditionFailed,
    MalformedPrecondition,
)
@blp.conditional("If-Match")
@blp.query(incoming.ReplaceQuery)
@blp.body(incoming.ReplaceIn, {"course_ids": [1, 3]})
@blp.answer(
    200,
    outgoing.ReplaceAnswer,
    {"student_id": 7, "enrolled": [3], "waitlisted": [], "unenrolled": [2], "kept": [1]},
)
def replace_enrollments(query: dict[str, Any], body: dict[str, Any], student_id: int) -> Response:
    """Make a student hold exactly these courses, all or nothing; safe to repeat.

    `dry_run=true` answers the same and changes nothing. If-Match takes the ETag of the student's courses.
    """
    dry_run = query["dry_run"]
    _check_size(student_id, body["course_ids"])
    with _logged(student_id, body["course_ids"]):
        done = service.replace(
            student_id,
            body["course_ids"],
            waitlist=body["waitlist"],
            context=context(),
            precondition=if_match(holdings_tag),
            dry_run=dry_run,
        )
        if not dry_run:
            _log_replacement(student_id, body["course_ids"], done)
    return reply(
        {
            "student_id": student_id,
            "enrolled": done.enrolled,
            "waitlisted": done.waitlisted,
            "unenrolled": done.unenrolled,
            "kept": done.kept,
        }
    )


@blp.endpoint("DELETE", "/students/<id:student_id>/unenroll", StudentNotFound, CourseNotFound)
@blp.unparsed_body(incoming.OneOrMoreCourses, {"course_ids": [1, 2]})
@blp.unparsed_query(incoming.UnenrollQuery)
@blp.answer(
    200,
    outgoing.UnenrollAnswer,
    {
        "student_id": 7,
        "results": [
            {"course_id": 1, "outcome": "unenrolled"},
            {"course_id": 2, "outcome": "not_enrolled"},
        ],
    },
)
def unenroll_student(student_id: int) -> Response:
    """Take a student out of courses or their queues; safe to repeat.

    The courses stand in the body or, where a proxy drops the body of a DELETE, in the query.
    """
    course_ids = _courses_to_leave()
    with _logged(student_id, course_ids):
        results = service.unenroll(student_id, course_ids, context=context())
        _log_outcomes(student_id, results)
    return _results(student_id, results, 200)


@blp.endpoint("GET", "/students/<id:student_id>/courses", StudentNotFound)
@blp.conditional("If-None-Match")
@blp.query(incoming.HeldQuery)
@blp.answer(200, outgoing.HeldCourses, {"student_id": 7, "courses": [HELD]}, tagged=True)
@blp.answer(304)
def list_student_courses(query: dict[str, Any], student_id: int) -> Response:
    """List what a student holds, by course code."""
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
    return reply({"student_id": student_id, "courses": courses}, thing=holdings_tag(held))


def _check_size(student_id: int, course_ids: Sequence[int]) -> None:
    """Refuse a set that is larger than an enroll may be, unless the student has as many: what is read may be sent."""
    if len(course_ids) > MAX_COURSES and len(course_ids) > enrollments.count_held(student_id):
        reason = f"Must be at most {MAX_COURSES} ids, or as many as the student is enrolled in or waitlisted for."
        raise validation_failed({"course_ids": [reason]})


def _courses_to_leave() -> list[int]:
    """The ids from the body or from the query, not from both."""
    if has_body() == bool(request.query_string):
        raise validation_failed({"_schema": ["Give the courses either in the body or in the query."]})
    found = parser.parse(LEAVING) if has_body() else parser.parse(LEAVING_QUERY, location="query")
    course_ids: list[int] = found["course_ids"]
    return course_ids


def _results(student_id: int, outcomes: Sequence[Outcome], status: int) -> Response:
    results = [
        {"course_id": each.course_id, "outcome": each.outcome}
        if each.position is None
        else {"course_id": each.course_id, "outcome": each.outcome, "position": each.position}
        for each in outcomes
    ]
    return reply({"student_id": student_id, "results": results}, status)


# --- one log line an enrollment action --------------------------------------------------------------------

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
        reasons = {reason["code"] for each in problem.facts.get("decisions", ()) for reason in each["reasons"]}
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


def _log_replacement(student_id: int, asked: Sequence[int], done: Replacement) -> None:
    for action in ("enrolled", "waitlisted", "unenrolled"):
        if course_ids := getattr(done, action):
            _log(action, student_id, course_ids, [action])
    if not (done.enrolled or done.waitlisted or done.unenrolled):
        _log("unchanged", student_id, asked, ["kept"])


def _log(action: str, student_id: int, course_ids: Sequence[int], codes: Sequence[str]) -> None:
    log.info(
        f"enrollment.{action}",
        student_id=student_id,
        course_ids=course_ids,
        codes=codes,
        duration_ms=elapsed_ms(),
    )
