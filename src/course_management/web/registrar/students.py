"""Find students; and the page of one student: what is stored, and the groups that decide about registration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response
from marshmallow.fields import Integer, List, String
from marshmallow.validate import Length, Range

from ...access.callers import PersonCaller
from ...access.policy import PageAccess
from ...access.visitors import Visitor
from ...context import RequestContext
from ...database.types import MAX_ID
from ...errors import PreconditionFailed, StudentNotFound
from ...http.responses import fingerprint
from ...repositories import resources
from ...schemas.fields import Email, ExternalId, Text
from ...services import resources as service
from ...services import student_groups
from ...services.student_groups import STUDENT_GROUPS
from ...services.students import STUDENTS
from ...services.terms import GROUPS
from ..forms import EntryForm
from ..lists import content_of
from ..pages import STUDENT, AppPages, done, render
from ..subjects import READ, path_about
from ..texts import N_, _

pages = AppPages("registrar_students", area=N_("Registrar"))
advised = AppPages("advised_students", area=N_("Advisor"))
LIST, WRITE = PageAccess(scope="students:read"), PageAccess(scope="students:write")
SHOWN = 25
FIELDS = ("id", "name", "email", "external_id")


class SearchForm(EntryForm):
    """Words of the name or the e-mail address, or one of the ids. Not in the address: it is personal."""

    q = String(load_default="", validate=Length(max=100))
    after = Integer(load_default=0, validate=Range(0, MAX_ID))


class StudentForm(EntryForm):
    """What is stored about a student."""

    name = Text(200, joiners=True, required=True)
    email = Email(load_default=None)
    external_id = ExternalId()
    tag = String(load_default="")


class GroupsForm(EntryForm):
    """The groups of a student; `tag` stands for those that the page showed."""

    group_ids = List(Integer(validate=Range(1, MAX_ID)), load_default=list, validate=Length(max=1000))
    tag = String(load_default="")


@pages.show("/registrar/students", LIST, link=N_("Students"))
def show_search() -> Response:
    """Show the form to find students."""
    return render("registrar/students.html", q="", rows=None, following=None)


@pages.act("/registrar/students", LIST, form=SearchForm)
def search(form: Mapping[str, Any]) -> Response:
    """Show the students that were found: those with the id first, then those with the words."""
    q, after = form["q"].strip(), form["after"]
    rows = [] if after else list(_with_id(q))
    if q:
        first = {row.id for row in rows}
        words = resources.page(STUDENTS.model, FIELDS, after, SHOWN + 1, {"q": q})
        following = words[SHOWN - 1].id if len(words) > SHOWN else None
        rows += [row for row in words[:SHOWN] if row.id not in first]
    else:
        following = None
    return render("registrar/students.html", q=q, rows=rows, following=following)


def _with_id(text: str) -> Sequence[Any]:
    found = [*resources.page(STUDENTS.model, FIELDS, 0, 1, {"external_id": text})] if text else []
    if text.isascii() and text.isdigit() and 0 < int(text) <= MAX_ID:
        by_id = resources.find(STUDENTS.model, FIELDS, int(text))
        found += [by_id] if by_id and by_id.id not in {row.id for row in found} else []
    return found


@advised.show("/registrar/my-students", PageAccess(scope="students:read", advising=True), link=N_("My students"))
def show_advised(visitor: Visitor) -> Response:
    """Show the students whom the visitor advises."""
    ids = sorted(visitor.caller.advisees) if isinstance(visitor.caller, PersonCaller) else []
    rows = [row for row in (resources.find(STUDENTS.model, FIELDS, each) for each in ids) if row]
    return render("registrar/advised.html", rows=sorted(rows, key=lambda row: (row.name, row.id)))


@pages.show(STUDENT, READ, tab=N_("Record"))
def show_student(student_id: int, visitor: Visitor) -> Response:
    """Show what is stored about a student, and the groups."""
    student = _find(student_id)
    mine = content_of(STUDENT_GROUPS, student_id)
    groups = resources.page(GROUPS.model, ["id", "kind", "code", "title"], 0, 1000, {})
    return render(
        "registrar/student.html",
        student=student,
        student_tag=_tag(student),
        groups=sorted(groups, key=lambda row: (row.kind, row.code)),
        mine=set(mine),
        groups_tag=fingerprint(mine),
        may_write=visitor.may(WRITE, student_id),
    )


@pages.act(STUDENT, WRITE, form=StudentForm)
def change_student(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Change what is stored about a student, unless somebody else has changed it since the page was shown."""

    def is_as_shown(row: Any) -> None:
        if _tag(row) != form["tag"]:
            raise PreconditionFailed(STALE)

    values = {name: form[name] for name in ("name", "email", "external_id")}
    service.change(STUDENTS, student_id, values, is_as_shown, context)
    return done(path_about(student_id), _("The record is changed."))


@pages.act(f"{STUDENT}/groups", WRITE, form=GroupsForm)
def change_groups(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Put the student into exactly the groups that are checked."""

    def is_as_shown(rows: Any) -> None:
        if fingerprint(STUDENT_GROUPS.content(rows)) != form["tag"]:
            raise PreconditionFailed(STALE)

    student_groups.replace(student_id, list(dict.fromkeys(form["group_ids"])), is_as_shown, context)
    return done(path_about(student_id), _("The groups are changed."))


STALE = N_("Somebody has changed this since the page was shown, so nothing was changed. Open the page again.")
"""What a form is told that was made from a page which is no longer true."""


def _tag(row: Any) -> str:
    return fingerprint([row.id, row.name, row.email, row.external_id])


def _find(student_id: int) -> Any:
    found = resources.find(STUDENTS.model, [*FIELDS, "created_at"], student_id)
    if found is None:
        raise StudentNotFound
    return found
