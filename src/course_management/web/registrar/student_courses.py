"""The courses of a student, for the staff: the pages that the student has, and enrolling and dropping on behalf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import ValidationError, validates_schema
from marshmallow.fields import Boolean

from ...access.policy import PageAccess
from ...context import RequestContext
from ...repositories import enrollments
from ...schemas.fields import Text
from ...services import enrollment_actions as actions
from ...services.enrollment import EnrollmentRequest
from ...services.enrollment.rules import waivable
from ..forms import EntryForm, FormCredits, FormId
from ..pages import STUDENT, AppPages, done
from ..students import courses, enrolling, mine
from ..subjects import path_about
from ..texts import N_

pages = AppPages("registrar_student_courses", area=N_("Registrar"))
READ = PageAccess(scope="enrollments:read", advisor=True)
WRITE = PageAccess(scope="enrollments:write", advisor=True)
REGISTRATION = PageAccess(scope="students:read", advisor=True)


class EnrollForm(EntryForm):
    """How to enroll the student. The ledger keeps the reason, and the name of who enrolls."""

    waitlist = Boolean(load_default=False)
    credits = FormCredits(load_default=None)
    instead_of = FormId()
    reason = Text(500, joiners=True, load_default=None)
    permit = Boolean(load_default=False)

    @validates_schema
    def _has_reason(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["permit"] and not data["reason"]:
            raise ValidationError("Give the reason for which the rules are waived.", "reason")


class DropForm(EntryForm):
    """Why the student is dropped, for the ledger."""

    reason = Text(500, joiners=True, load_default=None)


pages.show(f"{STUDENT}/my-courses", READ, tab=N_("Courses"))(mine.show_mine)
pages.show(f"{STUDENT}/courses", READ, query=courses.SearchQuery, tab=N_("Enroll"))(courses.find_courses)
pages.show(f"{STUDENT}/timetable", READ, query=mine.TermQuery, tab=N_("Timetable"))(mine.show_timetable)
pages.show(f"{STUDENT}/schedule.ics", READ, query=mine.TermQuery)(mine.download_schedule)
pages.show(f"{STUDENT}/registration", REGISTRATION, query=mine.TermQuery, tab=N_("Registration"))(
    mine.show_registration
)


@pages.show(f"{STUDENT}/courses/<id:course_id>", READ)
def show_course(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Show one course as the student sees it, with the form to enroll."""
    return enrolling.render_course(
        "registrar/student_course.html",
        course_id,
        student_id,
        context,
        held=[row for row in enrollments.of_student(student_id) if row.id != course_id],
        waivable=waivable(),
    )


@pages.act(f"{STUDENT}/courses/<id:course_id>/enroll", WRITE, form=EnrollForm)
def enroll(form: Mapping[str, Any], course_id: int, student_id: int, context: RequestContext) -> Response:
    """Enroll the student on behalf, with a permission for each rule that is in the way if that is asked for."""
    instead_of = [form["instead_of"]] if form["instead_of"] else []
    request = EnrollmentRequest(
        student_id,
        [course_id],
        context=context,
        waitlist=form["waitlist"],
        reason=form["reason"],
        chosen_credits={} if form["credits"] is None else {course_id: int(form["credits"] * 100)},
        instead_of=instead_of,
    )
    outcomes = actions.enroll(request, permit=form["reason"] if form["permit"] else None)
    return done(path_about(student_id, "/my-courses"), enrolling.report(outcomes))


@pages.show(f"{STUDENT}/courses/<id:course_id>/drop", WRITE)
def confirm_drop(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Say what the student loses with the course, before it is dropped."""
    page: Response = enrolling.confirm_drop(course_id, student_id, context)
    return page


@pages.act(f"{STUDENT}/courses/<id:course_id>/drop", WRITE, form=DropForm)
def drop(form: Mapping[str, Any], course_id: int, student_id: int, context: RequestContext) -> Response:
    """Drop the course, withdraw from it, or leave its waitlist, on behalf of the student."""
    outcomes = actions.unenroll(student_id, [course_id], context=context, reason=form["reason"])
    return done(path_about(student_id, "/my-courses"), enrolling.report(outcomes))
