"""Find courses: what there is, how many seats are free, and whether the student can enroll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from marshmallow.fields import Boolean, Integer, String
from marshmallow.validate import Length, Range, Regexp

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database import AnyRow
from ...database.types import MAX_ID, utcnow
from ...errors import CourseNotFound
from ...http.responses import digest, unless_known
from ...repositories import course_search, enrollments
from ...repositories.course_lookup import all_terms
from ...repositories.course_search import CourseFilter
from ...repositories.timetables import meetings_of
from ...services.enrollment.explaining import WaysToEnroll, decide_each
from ..forms import EntryForm
from ..pages import AppPages, Form, render
from ..reasons import ReasonInWords, decisions_in_words
from ..texts import N_

pages = AppPages("student_courses", area=N_("Student"))
OWN_ACCESS = PageAccess(scope="enrollments:read", own=True)
EVERY_PERSON_ACCESS = PageAccess(scope="courses:read", every_person=True)
SHOWN = 25
"""Courses on one page."""
MAX_READ = 400
"""Courses that one request reads to find those that the student can enroll in."""


class SearchQuery(EntryForm):
    """What a student looks for."""

    q = String(load_default="", validate=Length(max=200))
    term_id = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))
    open = Boolean(load_default=False)
    fits = Boolean(load_default=False)
    possible = Boolean(load_default=False)
    swap = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))
    """The course of the student to swap for one of those that are found."""
    after = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))


class SeatsQuery(Form):
    """The courses whose seats a page shows."""

    ids = String(required=True, validate=[Regexp(r"[1-9][0-9]{0,15}(-[1-9][0-9]{0,15})*"), Length(max=1000)])


@dataclass(frozen=True, slots=True)
class CourseForStudent:
    """A course with its meetings, and what the student can do about it."""

    course: AnyRow
    meetings: Sequence[AnyRow]
    ways: WaysToEnroll
    reasons: Sequence[ReasonInWords]
    """Why the student cannot enroll, or not join the waitlist where that would be possible."""

    @property
    def status(self) -> str:
        """What the student is in the course, or can do: `enrolled`, `waitlisted`, `enroll`, `waitlist` or `refused`."""
        outcome = self.ways.enroll.outcome
        if outcome.startswith("already_"):
            return outcome.removeprefix("already_")
        if outcome == "eligible":
            return "enroll"
        return "waitlist" if self.ways.waitlist and self.ways.waitlist.outcome == "eligible" else "refused"


def courses_for_student(student_id: int, courses: Sequence[AnyRow], context: RequestContext) -> list[CourseForStudent]:
    """Return these courses as a page shows them to a student: one query for the meetings, one for all decisions."""
    ids = [row.id for row in courses]
    found = decide_each(student_id, ids, context) if ids else {}
    meetings = meetings_of(ids)
    decisions = [_decisive(ways).as_dict() for ways in found.values()]
    reasons = {each.course_id: each.reasons for each in decisions_in_words(decisions)}
    return [
        CourseForStudent(row, meetings.get(row.id, ()), found[row.id], reasons.get(row.id, ()))
        for row in courses
        if row.id in found
    ]


def _decisive(ways: WaysToEnroll) -> Any:
    """Return the decision whose reasons the student should see: the one about the waitlist, if that is what is left."""
    if ways.waitlist and ways.waitlist.outcome != "eligible" and len(ways.enroll.reasons) == 1:
        return ways.waitlist
    return ways.enroll


@pages.show("/courses", OWN_ACCESS, query=SearchQuery, link=N_("Find courses"))
def find_courses(query: Mapping[str, Any], context: RequestContext, student_id: int) -> Response:
    """Show the courses that a student looks for."""
    terms = sorted(all_terms(), key=lambda term: (term.ends_on < utcnow().date(), term.starts_on))
    term_id = query["term_id"]
    if term_id is None and "term_id" not in request.args and terms and terms[0].ends_on >= utcnow().date():
        term_id = terms[0].id
    wanted = CourseFilter(query["q"], term_id=term_id, only_open=query["open"])
    found, following = _search(student_id, wanted, query, context)
    mine = enrollments.of_student(student_id) if query["swap"] else ()
    swapped = next((row for row in mine if row.id == query["swap"]), None)
    return render(
        "students/courses.html",
        found=found,
        query=query,
        term_id=term_id,
        terms=terms,
        following=following,
        swapped=swapped,
    )


def _search(
    student_id: int, wanted: CourseFilter, query: Mapping[str, Any], context: RequestContext
) -> tuple[list[CourseForStudent], int | None]:
    """Return a page of courses, and the course after which the next page starts; None if there is no next page.

    What the rules say is no condition of a query, so courses are read until enough of them can be shown.
    """
    found: list[CourseForStudent] = []
    after, read = query["after"], 0
    while read < MAX_READ:
        rows = course_search.search(wanted, after, SHOWN + 1)
        batch = rows[:SHOWN]
        for each in courses_for_student(student_id, batch, context):
            if _is_wanted(each, query):
                found.append(each)
                if len(found) == SHOWN and (each.course.id != batch[-1].id or len(rows) > SHOWN):
                    return found, each.course.id
        if len(rows) <= SHOWN:
            return found, None
        after, read = batch[-1].id, read + len(batch)
    return found, after


def _is_wanted(each: CourseForStudent, query: Mapping[str, Any]) -> bool:
    clashes = any(reason.code == "time_conflict" for reason in each.ways.enroll.reasons)
    if query["possible"] and each.status not in {"enroll", "waitlist"}:
        return False
    return not (query["fits"] and clashes)


@pages.show("/seats", EVERY_PERSON_ACCESS, query=SeatsQuery)
def refresh_seats(query: Mapping[str, Any]) -> Response:
    """Return the seats of courses, to be put in the place of those on a page."""
    response = render("students/seats.html", courses=course_search.seats_of(_ids(query)))
    # Stored by the browser, and revalidated each time: an unchanged page costs no transfer.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["ETag"] = f'"{digest(response.get_data())}"'
    return unless_known(response, request.headers.get("If-None-Match", ""))


@pages.show("/standing", OWN_ACCESS, query=SeatsQuery)
def refresh_standing(query: Mapping[str, Any], context: RequestContext, student_id: int) -> Response:
    """Return what the student can do about courses now, to be put in the place of that on a page."""
    found = courses_for_student(student_id, course_search.courses_by_id(_ids(query)), context)
    return render("students/standing.html", found=found)


def _ids(query: Mapping[str, Any]) -> list[int]:
    return sorted({int(text) for text in query["ids"].split("-")})


def find(course_id: int) -> AnyRow:
    """Return a course as the search does. Raises `CourseNotFound`."""
    for row in course_search.courses_by_id([course_id]):
        return row
    raise CourseNotFound
