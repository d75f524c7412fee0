"""Files for other systems: tables as CSV, a school as OneRoster, timetables as iCalendar."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response, current_app

from ..access.policy import Access
from ..errors import CourseNotFound, StudentNotFound, TermNotFound
from ..http.endpoints import Endpoints, if_none_match, query, responds
from ..http.responses import download
from ..repositories import resources, timetables
from ..schemas.exports import ExportQuery, ScheduleQuery
from ..services.courses import COURSE_RESOURCE
from ..services.students import STUDENT_RESOURCE
from ..services.terms import TERM_RESOURCE
from ..spooled_body import body_of_snapshot
from ..transfer import calendars, kinds, oneroster
from ..transfer.exporting import MEDIA_TYPE, write_csv
from ..transfer.kinds import Kind
from ..transfer.oneroster import write_oneroster

endpoints = Endpoints("exports", __name__, description="Files for other systems.")
READ_ACCESS = Access(scope="exports:read")
SCHEDULE_ACCESS = Access(scope="enrollments:read", student=True, advisor=True)
MEETINGS_ACCESS = Access(scope="courses:read", every_person=True)
_CALENDAR = responds(200, files=(calendars.MEDIA_TYPE,), headers=("ETag",))


@endpoints.declare("GET", "/exports/students.csv", READ_ACCESS, TermNotFound)
@query(ExportQuery)
@responds(200, files=(MEDIA_TYPE,))
def export_students(query: dict[str, Any]) -> Response:
    """Download all students as CSV, or those who are enrolled in a term.

    The columns are those of imports. A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    return _csv(kinds.STUDENT_KIND, query)


@endpoints.declare("GET", "/exports/courses.csv", READ_ACCESS, TermNotFound)
@query(ExportQuery)
@responds(200, files=(MEDIA_TYPE,))
def export_courses(query: dict[str, Any]) -> Response:
    """Download all courses as CSV, or those of a term."""
    return _csv(kinds.COURSE_KIND, query)


@endpoints.declare("GET", "/exports/enrollments.csv", READ_ACCESS, TermNotFound)
@query(ExportQuery)
@responds(200, files=(MEDIA_TYPE,))
def export_enrollments(query: dict[str, Any]) -> Response:
    """Download who is enrolled in what, as CSV: in all courses, or in those of a term."""
    return _csv(kinds.ENROLLMENT_KIND, query)


@endpoints.declare("GET", "/exports/oneroster.zip", READ_ACCESS)
@responds(200, files=(oneroster.MEDIA_TYPE,))
def export_oneroster() -> Response:
    """Download terms, catalog, courses, students, instructors and enrollments as OneRoster 1.2."""
    return _spooled(write_oneroster, oneroster.MEDIA_TYPE, "oneroster.zip")


@endpoints.declare("GET", "/students/<id:student_id>/schedule.ics", SCHEDULE_ACCESS, StudentNotFound)
@if_none_match
@query(ScheduleQuery)
@_CALENDAR
@responds(304, headers=("ETag",))
def get_student_schedule(query: dict[str, Any], student_id: int) -> Response:
    """Read the weekly meetings of a student's courses as iCalendar, without those for which the student waits."""
    meetings = timetables.meetings_of_student(student_id, query["term_id"])
    student = resources.find(STUDENT_RESOURCE.model, ["name"], student_id)
    return _calendar(student.name if student else "", meetings)


@endpoints.declare("GET", "/courses/<id:course_id>/schedule.ics", MEETINGS_ACCESS, CourseNotFound)
@if_none_match
@_CALENDAR
@responds(304, headers=("ETag",))
def get_course_schedule(course_id: int) -> Response:
    """Read the weekly meetings of a course as iCalendar."""
    meetings = timetables.meetings_of_course(course_id)
    course = resources.find(COURSE_RESOURCE.model, ["code", "title"], course_id)
    return _calendar(f"{course.code} {course.title}" if course else "", meetings)


def _calendar(name: str, meetings: Any) -> Response:
    text = calendars.calendar(name, meetings, current_app.extensions["time_zone"])
    return download(text, calendars.MEDIA_TYPE, "schedule.ics", tagged=True)


def _csv(kind: Kind, query: dict[str, Any]) -> Response:
    term_id = query["term_id"]
    if term_id is not None and resources.find(TERM_RESOURCE.model, ["id"], term_id) is None:
        raise TermNotFound
    return _spooled(partial(write_csv, kind), MEDIA_TYPE, f"{kind.name}.csv", term_id)


def _spooled(write: Callable[..., object], media_type: str, name: str, term_id: int | None = None) -> Response:
    return download(body_of_snapshot(current_app.extensions["settings"], write, term_id), media_type, name)
