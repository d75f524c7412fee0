"""The plan of a student: several courses, checked together and enrolled in together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow.fields import Boolean, String
from marshmallow.validate import Length

from ...context import RequestContext
from ...repositories import course_search
from ...repositories.timetables import meetings_of
from ...services import enrollment_actions as actions
from ...services import plans
from ...services.enrollment import EnrollmentRequest, dry_run
from ..pages import AppPages, Form, redirect, render
from ..reasons import decisions_in_words
from ..texts import N_, _
from .courses import OWN_ACCESS, find
from .enrolling import WRITE_ACCESS, report

pages = AppPages("student_plan", area=N_("Student"))


class PlanQuery(Form):
    """Whether to check the plan, and whether the student joins waitlists where courses are full."""

    check = Boolean(load_default=False)
    waitlist = Boolean(load_default=False)


class SubmitForm(Form):
    """The courses that the page showed, and whether the student joins waitlists."""

    shown = String(load_default="", validate=Length(max=2000))
    waitlist = Boolean(load_default=False)


@pages.show("/plan", OWN_ACCESS, query=PlanQuery, link=N_("Plan"))
def show_plan(query: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Show the plan and, if asked, what stands against each course when all are taken together."""
    ids = plans.planned(student_id)
    decisions = {}
    if query["check"] and ids:
        checked = dry_run(EnrollmentRequest(student_id, ids, context=context, waitlist=query["waitlist"]))
        decisions = {each.course_id: each for each in decisions_in_words([decision.as_dict() for decision in checked])}
    return render(
        "students/plan.html",
        courses=course_search.courses_by_id(ids),
        meetings=meetings_of(ids),
        decisions=decisions,
        can_submit=bool(decisions) and not any(each.reasons for each in decisions.values()),
        waitlist=query["waitlist"],
    )


@pages.act("/plan", WRITE_ACCESS, form=SubmitForm)
def submit_plan(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Enroll in all courses of the plan or, if one of them is refused, in none."""
    ids = plans.planned(student_id)
    if not ids:
        return redirect("/plan", _("The plan is empty, so nothing was changed."))
    if form["shown"] != "-".join(str(course.id) for course in course_search.courses_by_id(ids)):
        sentence = _("The plan has changed since the page was shown, so nothing was submitted. It is now as below.")
        return redirect("/plan", sentence)
    outcomes = actions.enroll(EnrollmentRequest(student_id, ids, context=context, waitlist=form["waitlist"]))
    plans.remove(student_id, ids)
    return redirect("/my-courses", report(outcomes))


@pages.act("/courses/<id:course_id>/plan", WRITE_ACCESS)
def add_to_plan(course_id: int, student_id: int) -> Response:
    """Add a course to the plan."""
    course = find(course_id)
    plans.add(student_id, course_id)
    return redirect("/plan", _("%(code)s is in your plan. A plan reserves no seat.", code=course.code))


@pages.act("/courses/<id:course_id>/unplan", WRITE_ACCESS)
def remove_from_plan(course_id: int, student_id: int) -> Response:
    """Remove a course from the plan."""
    course = find(course_id)
    plans.remove(student_id, [course_id])
    return redirect("/plan", _("%(code)s is no longer in your plan.", code=course.code))
