"""The courses as registrars and instructors look for them: full ones, those with a waitlist, those of a term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow.fields import Integer, String
from marshmallow.validate import Length, OneOf, Range

from ...access.policy import PageAccess
from ...access.visitors import Visitor
from ...context import RequestContext
from ...database.types import MAX_ID
from ...repositories import course_search
from ...repositories.course_lookup import all_terms
from ...repositories.course_search import CourseFilter
from ...schemas.courses import CourseSchema
from ...services import resources as service
from ...services.courses import COURSE_RESOURCE
from ..field_forms import FieldForm, Options
from ..forms import EntryForm
from ..pages import AppPages, redirect, render
from ..references import CATALOG_ENTRY
from ..seats import seats_of
from ..texts import N_, _

pages = AppPages("registrar_course_list", area=N_("Registrar"))
teaching = AppPages("teaching", area=N_("Teaching"))
LIST_ACCESS = PageAccess(scope="courses:read")
WRITE_ACCESS = PageAccess(scope="courses:write")
TEACHING_ACCESS = PageAccess(scope="courses:read", teaching=True)
SHOWN = 50
"""Courses on one page."""
SHOW = {
    "": N_("All courses"),
    "full": N_("Full"),
    "nearly_full": N_("More than 90 % full"),
    "waiting": N_("With a waitlist"),
    "open": N_("With open seats"),
}
SORT = {"code": N_("Code"), "taken": N_("Share of seats taken"), "waiting": N_("Students waiting")}


class CoursesQuery(EntryForm):
    """Which courses, and in which order."""

    q = String(load_default="", validate=Length(max=200))
    term_id = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))
    show = String(load_default="", validate=OneOf(SHOW))
    sort = String(load_default="code", validate=OneOf(SORT))
    after = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))


def terms_to_choose() -> Options:
    """Return the terms for a select, the newest first."""
    return [(str(term.id), f"{term.code} · {term.title}") for term in reversed(all_terms())]


NEW_COURSE = FieldForm(
    CourseSchema,
    {
        "code": N_("Code"),
        "title": N_("Title"),
        "term_id": N_("Term"),
        "catalog_id": N_("Catalog entry"),
        "component": N_("Section component"),
        "capacity": N_("Seats"),
        "waitlist_capacity": N_("Places on the waitlist"),
        "credits": N_("Credits"),
        "credits_max": N_("Most credits"),
        "permission_required": N_("Students need a permission"),
        "external_id": N_("Id in another system"),
    },
    {
        "term_id": N_("Fixed once it is set. Without a term, the rules of registration do not apply."),
        "catalog_id": N_("The code of the entry that the course offers, such as CS 225. It has the prerequisites."),
        "component": N_("Such as LEC, LAB or DIS; may be empty."),
        "capacity": N_("Empty: no limit."),
        "waitlist_capacity": N_("Empty: no limit. 0: no waitlist."),
        "credits": N_("Only in a course of a term."),
        "credits_max": N_("Where students choose; empty: always the number above."),
        "permission_required": N_("Only in a course of a term."),
    },
    {"term_id": lambda: [("", _("No term")), *terms_to_choose()]},
    {"catalog_id": CATALOG_ENTRY},
)


@pages.show("/registrar/courses", LIST_ACCESS, query=CoursesQuery, link=N_("Courses"))
def list_courses(query: Mapping[str, Any]) -> Response:
    """List courses with their seats and waitlists."""
    show = query["show"]
    wanted = CourseFilter(
        query["q"],
        term_id=query["term_id"],
        only_open=show == "open",
        only_full=show == "full",
        only_nearly_full=show == "nearly_full",
        only_waiting=show == "waiting",
    )
    rows = course_search.search(wanted, query["after"], SHOWN + 1, query["sort"])
    shown = rows[:SHOWN]
    return render(
        "registrar/courses/list.html",
        courses=list(zip(shown, seats_of(shown), strict=True)),
        following=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        query=query,
        is_filtered=bool(query["q"] or query["term_id"] or show or query["after"]),
        terms=terms_to_choose(),
        show=[(key, _(text)) for key, text in SHOW.items()],
        sort=[(key, _(text)) for key, text in SORT.items()],
    )


@teaching.show("/teaching", TEACHING_ACCESS, link=N_("My courses"))
def list_taught(visitor: Visitor) -> Response:
    """List the courses that the person teaches."""
    taught = visitor.caller.teaches if visitor.caller else ()
    return render("registrar/courses/taught.html", courses=course_search.courses_by_id(sorted(taught)))


@pages.show("/registrar/courses/new", WRITE_ACCESS)
def new_course() -> Response:
    """Show the form of a new course."""
    return render("registrar/courses/new.html", form=NEW_COURSE.shown())


@pages.act("/registrar/courses/new", WRITE_ACCESS, form=NEW_COURSE, page=new_course)
def create_course(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a course."""
    course = service.create(COURSE_RESOURCE, form, context)
    return redirect(f"/registrar/courses/{course.id}", _("%(code)s is created.", code=course.code))
