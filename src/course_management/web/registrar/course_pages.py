"""One course: its seats over time, its limits, what is stored about it; close and open it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, request
from marshmallow.fields import String
from marshmallow.validate import Length, OneOf

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database import AnyRow
from ...database.types import utcnow
from ...errors import CourseNotFound
from ...repositories import course_search, resources, seat_history
from ...repositories.student_names import names_by_student
from ...repositories.timetables import meetings_of
from ...schemas.courses import CourseSchema
from ...services import courses as service
from ...services.courses import COURSE_RESOURCE, CourseChange
from ...services.enrollment.forecasting import forecast
from ..field_forms import FieldForm
from ..pages import AppPages, Form, Link, redirect, render, root, visitor
from ..plots import PERIODS, plotted, since
from ..reasons import title_of
from ..refusals import REFUSED, Refusal, set_refusal
from ..texts import N_, _, ngettext
from .course_list import NEW_COURSE, WRITE_ACCESS, terms_to_choose

pages = AppPages("registrar_course_pages", area=N_("Registrar"))
READ_ACCESS = PageAccess(scope="courses:read", instructor=True)
READ_ROSTER_ACCESS = PageAccess(scope="enrollments:read", instructor=True)
READ_PERMISSIONS_ACCESS = PageAccess(scope="permissions:read", instructor=True)
READ_STUDENTS_ACCESS = PageAccess(scope="students:read")
GRANT_ACCESS = PageAccess(scope="permissions:write", instructor=True)
TABS = (
    Link("", N_("Seats"), READ_ACCESS),
    Link("/roster", N_("Roster"), READ_ROSTER_ACCESS),
    Link("/waitlist", N_("Waitlist"), READ_ROSTER_ACCESS),
    Link("/history", N_("History"), READ_ROSTER_ACCESS),
    Link("/permissions", N_("Permissions"), READ_PERMISSIONS_ACCESS),
    Link("/meetings", N_("Meetings"), READ_ACCESS),
    Link("/rules", N_("Rules"), READ_ACCESS),
    Link("/details", N_("Details"), WRITE_ACCESS),
    Link("/instructors", N_("Instructors"), WRITE_ACCESS),
)
"""The pages about a course, with their paths below that of the course."""
LIMITS = FieldForm(
    CourseSchema,
    {"capacity": N_("Seats"), "waitlist_capacity": N_("Places on the waitlist")},
    {"capacity": N_("Empty: no limit."), "waitlist_capacity": N_("Empty: no limit. 0: no waitlist.")},
).of_changes
DETAILS = replace(
    NEW_COURSE, labels={name: label for name, label in NEW_COURSE.labels.items() if name not in LIMITS.labels}
).of_changes
_STORED = [name for name in CourseSchema.stored() if hasattr(COURSE_RESOURCE.model, name)]


class PlotQuery(Form):
    """The period of the plot."""

    period = String(load_default="all", validate=OneOf(PERIODS))


class LimitsQuery(Form):
    """Limits that somebody considers; both are there once the effect is asked for."""

    capacity = String(load_default=None, validate=Length(max=20))
    waitlist_capacity = String(load_default=None, validate=Length(max=20))


@dataclass(frozen=True, slots=True)
class Tab:
    """An entry of the navigation of a course."""

    address: str
    label: str
    is_present: bool


def find(course_id: int) -> AnyRow:
    """Return what pages show of a course. Raises `CourseNotFound`."""
    for row in course_search.courses_by_id([course_id]):
        return row
    raise CourseNotFound


def stored(course_id: int) -> AnyRow:
    """Return everything that clients set of a course. Raises `CourseNotFound`."""
    row = resources.find(COURSE_RESOURCE.model, _STORED, course_id)
    if row is None:
        raise CourseNotFound
    return row


def path_of(course_id: int, page: str = "") -> str:
    """Return the path of a page about a course, below `/app`."""
    return f"/registrar/courses/{course_id}{page}"


def show(template: str, course: AnyRow, status: int = 200, **values: Any) -> Response:
    """Return a page about a course, with the navigation of the course."""
    seen = visitor()
    page = request.path.removeprefix(f"/app{path_of(course.id)}")
    tabs = [
        Tab(f"{root()}{path_of(course.id, tab.path)}", _(tab.label), page == tab.path)
        for tab in TABS
        if seen.may(tab.access, course_id=course.id)
    ]
    values |= {"may_write": seen.may(WRITE_ACCESS), "student_pages": seen.may(READ_STUDENTS_ACCESS)}
    return render(f"registrar/courses/{template}", status, course=course, tabs=tabs, **values)


@pages.show("/registrar/courses/<id:course_id>", READ_ACCESS, query=PlotQuery)
def show_course(query: Mapping[str, Any], course_id: int) -> Response:
    """Show the seats of a course, now and over time."""
    course, now = find(course_id), utcnow()
    counts = seat_history.of_course(course_id, since(query["period"], now), now)
    return show(
        "course.html",
        course,
        plot=plotted(counts, course.capacity),
        period=query["period"],
        periods=[(key, _(text)) for key, (text, _length) in PERIODS.items()],
        instructors=course_search.instructors_of(course_id),
        meetings=meetings_of([course_id]).get(course_id, ()),
    )


@pages.show("/registrar/courses/<id:course_id>/close", WRITE_ACCESS)
def confirm_closing(course_id: int) -> Response:
    """Say what follows for students, before a course is closed."""
    course = find(course_id)
    enrolled = ngettext(
        "%(num)s student is enrolled and stays.", "%(num)s students are enrolled and stay.", course.seats_taken
    )
    waiting = ngettext(
        "%(num)s student on the waitlist keeps the place, and gets no seat while the course is closed.",
        "%(num)s students on the waitlist keep their places, and get no seat while the course is closed.",
        course.waiting,
    )
    return render(
        "registrar/confirm.html",
        question=_("Close %(code)s?", code=course.code),
        loss=_("A closed course takes no more students, also not from its waitlist. It can be opened again."),
        facts=[(_("Enrolled"), enrolled), (_("Waitlist"), waiting)],
        button=_("Close the course"),
        keep=path_of(course_id),
        keep_label=_("Keep it open"),
    )


@pages.act("/registrar/courses/<id:course_id>/close", WRITE_ACCESS)
def close(course_id: int, context: RequestContext) -> Response:
    """Close a course. Closing it again changes nothing."""
    course = service.change(course_id, {"closed": True}, None, context).course
    return redirect(path_of(course_id), _("%(code)s is closed. Students who are enrolled stay.", code=course.code))


@pages.show("/registrar/courses/<id:course_id>/open", WRITE_ACCESS)
def confirm_opening(course_id: int) -> Response:
    """Say what follows for students, before a closed course is opened."""
    course = find(course_id)
    free = None if course.capacity is None else max(course.capacity - course.seats_taken, 0)
    seats = _("no limit") if free is None else ngettext("%(num)s seat is free.", "%(num)s seats are free.", free)
    waiting = ngettext("%(num)s student waits.", "%(num)s students wait.", course.waiting)
    return render(
        "registrar/confirm.html",
        question=_("Open %(code)s?", code=course.code),
        loss=_("Students on the waitlist get the free seats at once, as far as the rules let them. Then others can."),
        facts=[(_("Seats"), seats), (_("Waitlist"), waiting)],
        button=_("Open the course"),
        keep=path_of(course_id),
        keep_label=_("Keep it closed"),
    )


@pages.act("/registrar/courses/<id:course_id>/open", WRITE_ACCESS)
def reopen(course_id: int, context: RequestContext) -> Response:
    """Open a closed course, and promote students on its waitlist."""
    changed = service.change(course_id, {"closed": False}, None, context)
    sentence = _("%(code)s is open.", code=changed.course.code)
    return redirect(path_of(course_id), f"{sentence} {_promoted(changed)}".strip())


@pages.show("/registrar/courses/<id:course_id>/limits", WRITE_ACCESS, query=LimitsQuery)
def show_limits(query: Mapping[str, Any], course_id: int, context: RequestContext) -> Response:
    """Show the limits of a course and, before they are saved, what others would do."""
    course, row = find(course_id), stored(course_id)
    if query["capacity"] is None:
        return show("limits.html", course, form=LIMITS.shown(row), effect=None)
    try:
        wanted = LIMITS.read(request.args)
    except REFUSED as problem:
        set_refusal(Refusal(LIMITS, request.args, problem, f"{root()}{path_of(course_id, '/limits')}"))
        return show("limits.html", course, form=LIMITS.shown(row), effect=None)
    effect = forecast(course_id, wanted["capacity"], context)
    return show(
        "limits.html",
        course,
        form=LIMITS.shown(row, values=wanted),
        effect=effect,
        wanted=wanted,
        stopped={student_id: [title_of(code) for code in codes] for student_id, codes in effect.stopped.items()},
        names=names_by_student([*effect.students, *effect.stopped]),
        is_below=wanted["capacity"] is not None and wanted["capacity"] < course.seats_taken,
        is_below_waiting=wanted["waitlist_capacity"] is not None
        and wanted["waitlist_capacity"] < course.waiting - effect.promoted,
    )


@pages.act("/registrar/courses/<id:course_id>/limits", WRITE_ACCESS, form=LIMITS, page=show_limits)
def change_limits(form: Mapping[str, Any], course_id: int, context: RequestContext) -> Response:
    """Change the limits of a course, and promote students on its waitlist."""
    changed = service.change(course_id, form, LIMITS.unchanged(request.form, form), context)
    return redirect(path_of(course_id), f"{_('The limits are saved.')} {_promoted(changed)}".strip())


def _promoted(changed: CourseChange) -> str:
    """Say how many students were promoted; nothing if nobody was waiting."""
    promotion = changed.promotion
    if promotion is None:
        return ""
    sentence = ngettext(
        "%(num)s student was promoted from the waitlist.",
        "%(num)s students were promoted from the waitlist.",
        promotion.promoted,
    )
    return f"{sentence} {_('More are promoted in the background.')}" if promotion.pending else sentence


@pages.show("/registrar/courses/<id:course_id>/details", WRITE_ACCESS)
def show_details(course_id: int) -> Response:
    """Show what is stored about a course, to be changed."""
    row = stored(course_id)
    present = [(key, text) for key, text in terms_to_choose() if key == str(row.term_id)]
    form = DETAILS.shown(row, options={} if row.term_id is None else {"term_id": present})
    return show("details.html", find(course_id), form=form)


@pages.act("/registrar/courses/<id:course_id>/details", WRITE_ACCESS, form=DETAILS, page=show_details)
def change_details(form: Mapping[str, Any], course_id: int, context: RequestContext) -> Response:
    """Change what is stored about a course."""
    changed = service.change(course_id, form, DETAILS.unchanged(request.form, form), context)
    return redirect(path_of(course_id), _("%(code)s is changed.", code=changed.course.code))
