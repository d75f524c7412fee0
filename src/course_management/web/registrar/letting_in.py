"""Let one student in from a waitlist, before those who wait longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import Schema

from ...access.policy import PageAccess
from ...context import RequestContext
from ...repositories.student_names import student_name
from ...schemas.fields import StrictBoolean, Text
from ...services import enrollment_actions as actions
from ...services.enrollment import EnrollmentRequest
from ...services.enrollment.letting_in import decide_letting_in
from ...services.enrollment.rules import waivable
from ..field_forms import FieldForm
from ..pages import STUDENT, AppPages, redirect, render
from ..reason_texts import staff_page
from ..reasons import decisions_in_words
from ..students.enrolling import report
from ..texts import N_, _
from .course_pages import find, path_of

pages = AppPages("registrar_letting_in", area=N_("Registrar"))
LET_IN_ACCESS = PageAccess(scope="courses:write")
"""It changes the order of the waitlist and may add a seat, so that advisors and instructors may not."""


class LetInForm(Schema):
    """What the registrar agrees to, and why; the ledger keeps the reason."""

    adds_seat = StrictBoolean(load_default=False)
    permit = StrictBoolean(load_default=False)
    reason = Text(500, joiners=True, required=True)


FORM = FieldForm(
    LetInForm,
    {
        "adds_seat": N_("Add a seat if all are taken"),
        "permit": N_("Grant permissions for rules that refuse it"),
        "reason": N_("Reason"),
    },
    {"reason": N_("For the ledger.")},
)


@pages.show(f"{STUDENT}/courses/<id:course_id>/let-in", LET_IN_ACCESS)
def show_letting_in(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Say what letting the student in takes: a seat, permissions, and the places of others."""
    course = find(course_id)
    decision = decide_letting_in(student_id, course_id, context, adds_seat=True)
    (explained,) = decisions_in_words([decision.as_dict()])
    has_seat = course.capacity is None or course.seats_taken < course.capacity
    return render(
        "registrar/let_in.html",
        course=course,
        decision=decision,
        reasons=explained.reasons,
        is_possible=all(reason.code in waivable() for reason in explained.reasons),
        has_seat=has_seat,
        staff_page=staff_page,
        form=FORM.shown(values={"adds_seat": not has_seat}),
    )


@pages.act(f"{STUDENT}/courses/<id:course_id>/let-in", LET_IN_ACCESS, form=FORM, page=show_letting_in)
def let_in(form: Mapping[str, Any], course_id: int, student_id: int, context: RequestContext) -> Response:
    """Give the student a seat, with a permission for each rule that is in the way if that is asked for."""
    request = EnrollmentRequest(student_id, [course_id], context=context, ledger_reason=form["reason"])
    permit = form["reason"] if form["permit"] else None
    outcomes = actions.let_in(request, adds_seat=form["adds_seat"], permit_reason=permit)
    sentence = report(outcomes)
    if [outcome.outcome for outcome in outcomes] == ["enrolled"]:
        code = find(course_id).code
        sentence = _("%(name)s is enrolled in %(code)s.", name=student_name(student_id), code=code)
    return redirect(path_of(course_id, "/waitlist"), sentence)
