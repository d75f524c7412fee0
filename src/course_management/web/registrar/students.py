"""Find students; create one; and the page of one: what is stored, and the groups that decide about registration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, request
from marshmallow import Schema
from marshmallow.fields import Boolean, Integer, String
from marshmallow.validate import Length, Range

from ...access.callers import PersonCaller
from ...access.policy import PageAccess
from ...access.visitors import Visitor
from ...context import RequestContext
from ...database.types import MAX_ID
from ...errors import StudentNotFound
from ...http.responses import fingerprint
from ...repositories import resources
from ...schemas.fields import Id
from ...schemas.lists import SetField
from ...schemas.students import StudentSchema
from ...schemas.terms import MAX_GROUPS
from ...services import resources as service
from ...services import student_groups
from ...services.student_groups import STUDENT_GROUP_LIST
from ...services.students import STUDENT_RESOURCE
from ..field_forms import FieldForm, unchanged_list
from ..forms import EntryForm
from ..last_search import keep_search, last_search
from ..lists import rows_of
from ..pages import STUDENT, AppPages, redirect, render
from ..subjects import READ_ACCESS, path_about
from ..texts import N_, _
from .groups import all_groups, groups_to_choose

pages = AppPages("registrar_students", area=N_("Registrar"))
advised = AppPages("advised_students", area=N_("Advisor"))
LIST_ACCESS, WRITE_ACCESS = PageAccess(scope="students:read"), PageAccess(scope="students:write")
SHOWN = 25
FIELDS = ("id", "name", "email", "external_id")


class SearchForm(EntryForm):
    """Words of the name or the e-mail address, or one of the ids. Not in the address: it is personal."""

    q = String(load_default="", validate=Length(max=100))


class FoundQuery(EntryForm):
    """Whether to show what was found, and the student after whom the page starts."""

    found = Boolean(load_default=False)
    after = Integer(load_default=0, validate=Range(0, MAX_ID))


class GroupsBody(Schema):
    """The groups of a student."""

    group_ids = SetField(Id(), MAX_GROUPS)


FORM = FieldForm(
    StudentSchema,
    {"name": N_("Name"), "email": N_("E-mail"), "external_id": N_("Id in another system")},
    {"external_id": N_("Such as the id in the student information system.")},
)
GROUPS_FORM = FieldForm(GroupsBody, {"group_ids": N_("Groups")}, options={"group_ids": groups_to_choose})


@pages.show("/registrar/students", LIST_ACCESS, query=FoundQuery, link=N_("Students"))
def show_search(query: Mapping[str, Any], visitor: Visitor) -> Response:
    """Show the form to find students and, after a search, those who were found."""
    q, after, rows, following = last_search() if query["found"] else "", query["after"], None, None
    if q:
        rows = [] if after else [*_with_id(q)]
        first = {row.id for row in rows}
        words = resources.page(STUDENT_RESOURCE.model, FIELDS, after, SHOWN + 1, {"q": q})
        following = words[SHOWN - 1].id if len(words) > SHOWN else None
        rows += [row for row in words[:SHOWN] if row.id not in first]
    return render("registrar/students.html", q=q, rows=rows, following=following, may_write=visitor.may(WRITE_ACCESS))


@pages.act("/registrar/students", LIST_ACCESS, form=SearchForm)
def search(form: Mapping[str, Any]) -> Response:
    """Keep what is looked for, and show who was found: those with the id first, then those with the words.

    A page of its own, so that the button Back of the browser leads there again.
    """
    response = redirect("/registrar/students?found=true")
    keep_search(response, form["q"].strip())
    return response


def _with_id(text: str) -> Sequence[Any]:
    found = [*resources.page(STUDENT_RESOURCE.model, FIELDS, 0, 1, {"external_id": text})] if text else []
    if text.isascii() and text.isdigit() and 0 < int(text) <= MAX_ID:
        by_id = resources.find(STUDENT_RESOURCE.model, FIELDS, int(text))
        found += [by_id] if by_id and by_id.id not in {row.id for row in found} else []
    return found


@advised.show("/registrar/my-students", PageAccess(scope="students:read", advising=True), link=N_("My students"))
def show_advised(visitor: Visitor) -> Response:
    """Show the students whom the visitor advises."""
    ids = sorted(visitor.caller.advisees) if isinstance(visitor.caller, PersonCaller) else []
    rows = [row for row in (resources.find(STUDENT_RESOURCE.model, FIELDS, each) for each in ids) if row]
    return render("registrar/advised.html", rows=sorted(rows, key=lambda row: (row.name, row.id)))


@pages.show("/registrar/students/new", WRITE_ACCESS)
def new_student() -> Response:
    """Show the form of a new student."""
    return render("registrar/student_new.html", form=FORM.shown())


@pages.act("/registrar/students/new", WRITE_ACCESS, form=FORM, page=new_student)
def create_student(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a student."""
    student = service.create(STUDENT_RESOURCE, form, context)
    return redirect(path_about(student.id), _("%(name)s is created.", name=student.name))


@pages.show(STUDENT, READ_ACCESS, tab=N_("Record"))
def show_student(student_id: int, visitor: Visitor) -> Response:
    """Show what is stored about a student, and the groups."""
    student = resources.find(STUDENT_RESOURCE.model, [*FIELDS, "created_at"], student_id)
    if student is None:
        raise StudentNotFound
    rows = rows_of(STUDENT_GROUP_LIST, student_id)
    mine = STUDENT_GROUP_LIST.content(rows)
    return render(
        "registrar/student.html",
        student=student,
        form=FORM.shown(student),
        groups=[group for group in all_groups() if group.id in mine],
        groups_form=GROUPS_FORM.shown(values={"group_ids": mine}, version=fingerprint(rows)),
        may_write=visitor.may(WRITE_ACCESS, student_id),
    )


@pages.act(STUDENT, WRITE_ACCESS, form=FORM.of_changes, page=show_student)
def change_student(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Change what is stored about a student, unless somebody else has changed it since the page was shown."""
    service.change(STUDENT_RESOURCE, student_id, form, FORM.unchanged(request.form, form), context)
    return redirect(path_about(student_id), _("The record is changed."))


@pages.act(f"{STUDENT}/groups", WRITE_ACCESS, form=GROUPS_FORM, page=show_student)
def change_groups(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Put the student into exactly the groups that are checked."""
    check = unchanged_list(request.form.get("version"), STUDENT_GROUP_LIST.rows_of(form["group_ids"]))
    student_groups.replace(student_id, form["group_ids"], check, context)
    return redirect(path_about(student_id), _("The groups are changed."))
