"""The courses of a student, for the staff: the pages that the student has, and enrolling and dropping on behalf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import Schema, ValidationError, validates_schema

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database import AnyRow
from ...repositories import enrollments
from ...schemas.fields import Credits, Id, StrictBoolean, Text
from ...services import enrollment_actions as actions
from ...services.enrollment import EnrollmentRequest
from ...services.enrollment.rules import waivable
from ..field_forms import FieldForm, ShownForm
from ..pages import STUDENT, AppPages, redirect
from ..students import courses, enrolling, my_courses
from ..subjects import path_about
from ..texts import N_, _

pages = AppPages("registrar_enrolling", area=N_("Registrar"))
READ_ACCESS = PageAccess(scope="enrollments:read", advisor=True)
WRITE_ACCESS = PageAccess(scope="enrollments:write", advisor=True)
REGISTRATION_ACCESS = PageAccess(scope="students:read", advisor=True)


class EnrollForm(Schema):
    """How to enroll the student. The ledger keeps the reason, and the name of the person who enrolls the student."""

    credits = Credits(allow_none=True, load_default=None)
    instead_of = Id(allow_none=True, load_default=None)
    waitlist = StrictBoolean(load_default=False)
    permit = StrictBoolean(load_default=False)
    reason = Text(500, joiners=True, allow_none=True, load_default=None)

    @validates_schema
    def _has_reason(self, data: Mapping[str, Any], **__: Any) -> None:
        if data["permit"] and not data["reason"]:
            raise ValidationError(_("Give the reason for which the rules are waived."), "reason")


class DropForm(Schema):
    """Why the student is dropped, for the ledger."""

    reason = Text(500, joiners=True, allow_none=True, load_default=None)


ENROLL = FieldForm(
    EnrollForm,
    {
        "credits": N_("Credits"),
        "instead_of": N_("In exchange for"),
        "waitlist": N_("Join the waitlist if the course is full"),
        "permit": N_("Grant permissions for rules that refuse it"),
        "reason": N_("Reason"),
    },
    {"reason": N_("For the ledger. Required with permissions.")},
    {"instead_of": lambda: [("", _("No course"))]},
)
DROP = FieldForm(DropForm, {"reason": N_("Reason")}, {"reason": N_("For the ledger.")})


pages.show(f"{STUDENT}/my-courses", READ_ACCESS, tab=N_("Courses"))(my_courses.show_my_courses)
pages.show(f"{STUDENT}/courses", READ_ACCESS, query=courses.SearchQuery, tab=N_("Enroll"))(courses.find_courses)
pages.show(f"{STUDENT}/standing", READ_ACCESS, query=courses.SeatsQuery)(courses.refresh_standing)
pages.show(f"{STUDENT}/timetable", READ_ACCESS, query=my_courses.TermQuery, tab=N_("Timetable"))(
    my_courses.show_timetable
)
pages.show(f"{STUDENT}/schedule.ics", READ_ACCESS, query=my_courses.TermQuery)(my_courses.download_schedule)
pages.show(f"{STUDENT}/registration", REGISTRATION_ACCESS, query=my_courses.TermQuery, tab=N_("Registration"))(
    my_courses.show_registration
)


@pages.show(f"{STUDENT}/courses/<id:course_id>", READ_ACCESS)
def show_course(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Show one course as the student sees it, with the form to enroll."""
    held = [row for row in enrollments.of_student(student_id) if row.id != course_id]
    exchanges = [("", _("No course")), *((str(row.id), f"{row.code} {row.title}") for row in held)]

    def form(course: AnyRow, for_student: courses.CourseForStudent) -> ShownForm:
        waived = ", ".join(reason.title for reason in for_student.reasons if reason.code in waivable())
        credits_label = enrolling.credits_label(course)
        return ENROLL.shown(
            values={"credits": course.credits, "waitlist": for_student.status == "waitlist"},
            labels=credits_label | ({"permit": _("Grant permissions for: %(rules)s", rules=waived)} if waived else {}),
            options={"instead_of": exchanges},
            without=[*([] if credits_label else ["credits"]), *([] if held else ["instead_of"])],
        )

    return enrolling.render_course(
        "registrar/student_course.html", course_id, student_id, context, waivable=waivable(), form=form
    )


@pages.act(f"{STUDENT}/courses/<id:course_id>/enroll", WRITE_ACCESS, form=ENROLL, page=show_course)
def enroll(form: Mapping[str, Any], course_id: int, student_id: int, context: RequestContext) -> Response:
    """Enroll the student on behalf, with a permission for each rule that is in the way if that is asked for."""
    instead_of = [form["instead_of"]] if form["instead_of"] else []
    request = EnrollmentRequest(
        student_id,
        [course_id],
        context=context,
        waitlist=form["waitlist"],
        ledger_reason=form["reason"],
        chosen_credits={} if form["credits"] is None else {course_id: int(form["credits"] * 100)},
        instead_of=instead_of,
    )
    outcomes = actions.enroll(request, permit_reason=form["reason"] if form["permit"] else None)
    return redirect(path_about(student_id, "/my-courses"), enrolling.report(outcomes))


@pages.show(f"{STUDENT}/courses/<id:course_id>/drop", WRITE_ACCESS)
def confirm_drop(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Say what the student loses with the course, before it is dropped."""
    page: Response = enrolling.confirm_drop(course_id, student_id, context, DROP.shown())
    return page


@pages.act(f"{STUDENT}/courses/<id:course_id>/drop", WRITE_ACCESS, form=DROP, page=confirm_drop)
def drop(form: Mapping[str, Any], course_id: int, student_id: int, context: RequestContext) -> Response:
    """Drop the course, withdraw from it, or leave its waitlist, on behalf of the student."""
    outcomes = actions.unenroll(student_id, [course_id], context=context, ledger_reason=form["reason"])
    return redirect(path_about(student_id, "/my-courses"), enrolling.report(outcomes))
