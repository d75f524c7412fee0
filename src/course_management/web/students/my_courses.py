"""What a student has: courses, timetable, history, and what decides about the next registration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow.fields import Integer
from marshmallow.validate import Range

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database.types import MAX_ID, utcnow
from ...http.responses import download
from ...repositories import enrollments, registration
from ...repositories.course_lookup import all_terms, course_codes
from ...repositories.timetables import meetings_of, meetings_of_student
from ...schemas.enrollment import PassedOver
from ...schemas.fields import credits_of
from ...transfer import calendars
from ..actors import actors_in_words
from ..moments import zone
from ..pages import AppPages, Form, render
from ..reasons import title_of
from ..texts import N_, _
from ..week import drawn
from .courses import OWN_ACCESS

pages = AppPages("student_my_courses", area=N_("Student"))
LINES = 50
REGISTRATION_ACCESS = PageAccess(scope="students:read", own=True)


class TermQuery(Form):
    """The term that is shown."""

    term_id = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))


class HistoryQuery(Form):
    """The line of the ledger before which the page starts."""

    before = Integer(load_default=MAX_ID, validate=Range(1, MAX_ID))


@pages.show("/my-courses", OWN_ACCESS, link=N_("My courses"))
def show_my_courses(student_id: int) -> Response:
    """Show the courses in which the student is enrolled or waitlisted."""
    rows = enrollments.of_student(student_id)
    terms = {term.id: term for term in all_terms()}
    courses = [
        {
            "row": row,
            "term": terms.get(row.term_id),
            "credits": credits_of(row.credits),
            "passed_over": PassedOver.written(row) if row.passed_over_at else None,
            "passed_over_for": [title_of(code) for code in (row.passed_over_for or "").split()],
        }
        for row in rows
    ]
    return render("students/my_courses.html", courses=courses, meetings=meetings_of([row.id for row in rows]))


@pages.show("/timetable", OWN_ACCESS, query=TermQuery, link=N_("Timetable"))
def show_timetable(query: Mapping[str, Any], student_id: int) -> Response:
    """Show the week of the student as a picture and as a list."""
    terms = {term.id: term for term in all_terms()}
    rows = enrollments.of_student(student_id)
    present = sorted({row.term_id for row in rows if row.term_id}, key=lambda each: terms[each].starts_on)
    today = utcnow().date()
    term_id = query["term_id"] or next((each for each in present if terms[each].ends_on >= today), None)
    of_term = [row for row in rows if term_id is None or row.term_id in {term_id, None}]
    meetings = meetings_of([row.id for row in of_term])
    return render(
        "students/timetable.html",
        week=drawn([(row, each) for row in of_term for each in meetings.get(row.id, ())]),
        terms=[terms[each] for each in present],
        term_id=term_id,
        without=[row for row in of_term if row.id not in meetings],
    )


@pages.show("/schedule.ics", OWN_ACCESS, query=TermQuery)
def download_schedule(query: Mapping[str, Any], student_id: int) -> Response:
    """Return the weekly meetings of the student as iCalendar, without those of courses for which the student waits."""
    meetings = meetings_of_student(student_id, query["term_id"])
    text = calendars.calendar(_("My courses"), meetings, zone())
    return download(text, calendars.MEDIA_TYPE, "schedule.ics")


@pages.show("/history", OWN_ACCESS, query=HistoryQuery, link=N_("History"))
def show_history(query: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Show what happened to the student's enrollments, newest first."""
    rows = enrollments.history_of_student(student_id, query["before"], LINES + 1)
    lines = rows[:LINES]
    return render(
        "students/history.html",
        lines=lines,
        codes=course_codes(row.course_id for row in lines),
        following=lines[-1].id if len(rows) > LINES else None,
        own_actor=context.caller.actor,
        actors=actors_in_words(row.actor for row in lines),
    )


@pages.show("/registration", REGISTRATION_ACCESS, query=TermQuery, link=N_("Registration"))
def show_registration(query: Mapping[str, Any], student_id: int) -> Response:
    """Show when the student can register, holds with whom to contact, and credits."""
    now = utcnow()
    terms = sorted(all_terms(), key=lambda term: (term.ends_on < now.date(), term.starts_on))
    term = next((each for each in terms if each.id == query["term_id"]), terms[0] if terms else None)
    found = registration.registration_of(student_id, term.id) if term else None
    mine = [each for each in found.windows if found.is_mine(each)] if found else []
    return render(
        "students/registration.html",
        terms=terms,
        term=term,
        found=found,
        open=next((each for each in mine if each.opens_at <= now < each.closes_at), None),
        coming=min((each for each in mine if each.opens_at > now), key=lambda each: each.opens_at, default=None),
        windows=mine,
        now=now,
    )
