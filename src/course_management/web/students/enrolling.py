"""One course for a student: its page, and enrolling, joining the waitlist, dropping and swapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response
from marshmallow import Schema
from marshmallow.fields import Integer
from marshmallow.validate import Range

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database import AnyRow
from ...database.types import MAX_ID, as_number
from ...repositories import course_search, enrollments
from ...schemas.fields import Credits, StrictBoolean
from ...services import courses as course_service
from ...services import enrollment_actions as actions
from ...services import plans, timetables
from ...services.enrollment import CourseOutcome, EnrollmentRequest
from ...services.enrollment.explaining import decide_leaving
from ..field_forms import FieldForm, ShownForm
from ..lists import content_of, prerequisites_in_words
from ..pages import AppPages, Form, redirect, render
from ..reasons import DecisionInWords, decisions_in_words
from ..texts import N_, _
from .courses import OWN_ACCESS, courses_for_student, find

pages = AppPages("student_enrolling", area=N_("Student"))
WRITE_ACCESS = PageAccess(scope="enrollments:write", own=True)
DONE = {
    "enrolled": N_("You are enrolled in %(code)s."),
    "waitlisted": N_("You are on the waitlist of %(code)s, position %(position)s."),
    "already_enrolled": N_("You were enrolled in %(code)s already."),
    "already_waitlisted": N_("You were on the waitlist of %(code)s already, position %(position)s."),
    "unenrolled": N_("You have dropped %(code)s."),
    "withdrawn": N_("You have withdrawn from %(code)s."),
    "left_waitlist": N_("You have left the waitlist of %(code)s."),
    "not_enrolled": N_("You were not enrolled in %(code)s."),
}
"""What the next page reports of each outcome."""


class EnrollForm(Schema):
    """How to enroll: from the waitlist where the course is full, and for how many credits."""

    credits = Credits(allow_none=True, load_default=None)
    waitlist = StrictBoolean(load_default=False)


class SwapForm(Form):
    """The course to leave for the one of the page."""

    instead_of = Integer(required=True, validate=Range(1, MAX_ID))


ENROLL = FieldForm(EnrollForm, {"credits": N_("Credits"), "waitlist": N_("Join the waitlist if the course is full")})


@dataclass(frozen=True, slots=True)
class SwapOption:
    """A course that the student could leave for another one, and what the rules say about that."""

    course: AnyRow
    is_possible: bool
    is_withdrawal: bool
    decisions: Sequence[DecisionInWords]


def report(outcomes: Sequence[CourseOutcome]) -> str:
    """Return what was done, as sentences."""
    codes = {row.id: row.code for row in course_search.courses_by_id([each.course_id for each in outcomes])}
    return " ".join(
        _(DONE[each.outcome], code=codes.get(each.course_id, each.course_id), position=each.position)
        for each in outcomes
    )


@pages.show("/courses/<id:course_id>", OWN_ACCESS)
def show_course(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Show one course: when it meets, what it requires, and what the student can do about it."""
    return render_course("students/course.html", course_id, student_id, context)


def credits_label(course: AnyRow) -> dict[str, str]:
    """Return the label of the field in which a number of credits is chosen; nothing if there is no choice."""
    if course.credits_max in {None, course.credits}:
        return {}
    least, most = as_number(course.credits), as_number(course.credits_max)
    return {"credits": _("Credits, from %(least)s to %(most)s", least=least, most=most)}


def render_course(template: str, course_id: int, student_id: int, context: RequestContext, **values: Any) -> Response:
    """Return the page of a course for a student, or about a student; `values` are for the template."""
    course = find(course_id)
    (for_student,) = courses_for_student(student_id, [course], context)
    links = content_of(timetables.LINK_LIST, course_id)["groups"]
    return render(
        template,
        course=course,
        for_student=for_student,
        credits_form=_credits_form(course) if for_student.status == "enroll" else None,
        prerequisites=prerequisites_in_words(course.catalog_id) if course.catalog_id else None,
        links=[course_search.courses_by_id(group) for group in links],
        instructors=course_search.instructors_of(course_id),
        has_restrictions=bool(content_of(course_service.RESTRICTION_LIST, course_id)),
        is_planned=course_id in plans.planned(student_id),
        has_courses=for_student.status not in {"enrolled", "waitlisted"} and bool(enrollments.of_student(student_id)),
        **values,
    )


def _credits_form(course: AnyRow) -> ShownForm | None:
    labels = credits_label(course)
    return ENROLL.shown(values={"credits": course.credits}, labels=labels, without=["waitlist"]) if labels else None


@pages.act("/courses/<id:course_id>/enroll", WRITE_ACCESS, form=ENROLL, page=show_course)
def enroll(form: Mapping[str, Any], course_id: int, student_id: int, context: RequestContext) -> Response:
    """Enroll the student, or put the student on the waitlist."""
    chosen = {} if form["credits"] is None else {course_id: int(form["credits"] * 100)}
    request = EnrollmentRequest(
        student_id, [course_id], context=context, waitlist=form["waitlist"], chosen_credits=chosen
    )
    return redirect("/my-courses", report(actions.enroll(request)))


@pages.show("/courses/<id:course_id>/drop", WRITE_ACCESS)
def confirm_drop(course_id: int, student_id: int, context: RequestContext, form: ShownForm | None = None) -> Response:
    """Say what the student loses with the course, before it is dropped. `form` has what the staff enters."""
    course = find(course_id)
    (decision,) = decide_leaving(student_id, None, [course_id], context)[course_id]
    held = {row.id: row for row in enrollments.of_student(student_id)}
    return render(
        "students/drop.html",
        course=course,
        held=held.get(course_id),
        decision=decision,
        is_withdrawal=decision.new_status == "withdrawn",
        explained=decisions_in_words([decision.as_dict()])[0],
        form=form,
    )


@pages.act("/courses/<id:course_id>/drop", WRITE_ACCESS)
def drop(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Drop the course, withdraw from it, or leave its waitlist."""
    return redirect("/my-courses", report(actions.unenroll(student_id, [course_id], context=context)))


@pages.show("/courses/<id:course_id>/swap", WRITE_ACCESS)
def choose_swap(course_id: int, student_id: int, context: RequestContext) -> Response:
    """Show which of the student's courses could be swapped for this one."""
    course = find(course_id)
    present = [row.id for row in enrollments.of_student(student_id)]
    held = [held_id for held_id in present if held_id != course_id]
    decided = decide_leaving(student_id, course_id, held, context)
    explained = decisions_in_words([each.as_dict() for pair in decided.values() for each in pair])
    rows = {row.id: row for row in course_search.courses_by_id(held)}
    options = [
        SwapOption(
            rows[other],
            all(each.outcome == "eligible" for each in pair),
            any(each.new_status == "withdrawn" for each in pair),
            explained[2 * index : 2 * index + 2],
        )
        for index, (other, pair) in enumerate(decided.items())
    ]
    options.sort(key=lambda option: not option.is_possible)
    return render("students/swap.html", course=course, options=options, is_held=course_id in present)


@pages.act("/courses/<id:course_id>/swap", WRITE_ACCESS, form=SwapForm)
def swap(form: Mapping[str, Any], course_id: int, student_id: int, context: RequestContext) -> Response:
    """Enroll in the course and leave the other one; if one of them is refused, nothing changes."""
    other = form["instead_of"]
    request = EnrollmentRequest(student_id, [course_id], context=context, instead_of=[other])
    return redirect("/my-courses", report(actions.enroll(request)))
