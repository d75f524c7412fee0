"""The permissions for one course, for its instructors and for registrars: grant one, and revoke it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow.fields import Integer, String
from marshmallow.validate import Length, Range

from ...access.policy import Access
from ...access.visitors import Visitor
from ...context import RequestContext
from ...database.types import MAX_ID, utcnow
from ...errors import PermissionNotFound
from ...repositories import course_permissions
from ...schemas.fields import Id
from ...schemas.holds import PermissionBody
from ...services import permissions as service
from ..actors import actors_in_words
from ..field_forms import FieldForm
from ..forms import EntryForm
from ..pages import AppPages, redirect
from ..reasons import title_of
from ..texts import N_, _
from .course_pages import GRANT_ACCESS, READ_PERMISSIONS_ACCESS, find, path_of, show
from .permissions import confirmation, rules_to_waive

pages = AppPages("registrar_course_permissions", area=N_("Registrar"))
GRANT_TO_STUDENT_ACCESS = Access(scope="permissions:write", advisor=True, instructor=True)
"""The row of the API's route, by which nobody grants a permission to themselves."""
SHOWN = 50


class PermissionsQuery(EntryForm):
    """The permission before which the page starts, and what the form to grant one begins with."""

    before = Integer(load_default=MAX_ID, validate=Range(1, MAX_ID))
    student_id = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))
    rule = String(load_default="", validate=Length(max=50))


class PermissionForm(PermissionBody):
    """A rule that is waived for a student in the course of the page."""

    class Meta:
        """Marshmallow's options."""

        exclude = ("course_id",)

    student_id = Id(required=True)


FORM = FieldForm(
    PermissionForm,
    {
        "student_id": N_("Student, by id"),
        "rule": N_("What is waived"),
        "reason": N_("Reason"),
        "expires_at": N_("Until"),
    },
    {
        "student_id": N_("The number beside the name in the roster and waitlist."),
        "reason": N_("Kept in the ledger."),
        "expires_at": N_("By the clock of the school. Empty: until it is revoked."),
    },
    {"rule": rules_to_waive},
)


@pages.show("/registrar/courses/<id:course_id>/permissions", READ_PERMISSIONS_ACCESS, query=PermissionsQuery)
def show_permissions(query: Mapping[str, Any], course_id: int, visitor: Visitor) -> Response:
    """Show the permissions for a course, newest first, and a form to grant one."""
    course, now = find(course_id), utcnow()
    rows = course_permissions.of_course(course_id, query["before"], SHOWN + 1)
    return show(
        "permissions.html",
        course,
        rows=rows[:SHOWN],
        live={row.id for row in rows if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)},
        following=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        title_of=title_of,
        actors=actors_in_words(actor for row in rows for actor in (row.granted_by, row.revoked_by)),
        form=FORM.shown(values={"student_id": query["student_id"], "rule": query["rule"]}),
        may_grant=visitor.may(GRANT_ACCESS, course_id=course_id),
    )


@pages.act("/registrar/courses/<id:course_id>/permissions", GRANT_ACCESS, form=FORM, page=show_permissions)
def grant(form: Mapping[str, Any], course_id: int, visitor: Visitor, context: RequestContext) -> Response:
    """Waive a rule for a student in the course."""
    student_id = form["student_id"]
    visitor.check(GRANT_TO_STUDENT_ACCESS, student_id)
    values = {name: form[name] for name in ("rule", "reason", "expires_at")}
    service.grant(student_id, {"course_id": course_id, **values}, context)
    rule = title_of(form["rule"])
    return redirect(
        path_of(course_id, "/permissions"),
        _("Student %(student)s has a permission: %(rule)s. It takes no seat.", student=student_id, rule=rule),
    )


@pages.show("/registrar/courses/<id:course_id>/permissions/<id:permission_id>/revoke", GRANT_ACCESS)
def confirm_revocation(course_id: int, permission_id: int) -> Response:
    """Say what a permission is for, before it is revoked."""
    course = find(course_id)
    rows = course_permissions.of_course(course_id, permission_id + 1, 1)
    if not rows or rows[0].id != permission_id:
        raise PermissionNotFound
    return confirmation(rows[0], course.code, path_of(course_id, "/permissions"))


@pages.act(
    "/registrar/courses/<id:course_id>/permissions/<id:permission_id>/revoke", GRANT_ACCESS, form=PermissionsQuery
)
def revoke(
    form: Mapping[str, Any], course_id: int, permission_id: int, visitor: Visitor, context: RequestContext
) -> Response:
    """Revoke a permission for the course. Doing so again changes nothing."""
    student_id = form["student_id"] or 0
    visitor.check(GRANT_TO_STUDENT_ACCESS, student_id)
    service.revoke(student_id, permission_id, context, course_ids=[course_id])
    return redirect(path_of(course_id, "/permissions"), _("The permission is revoked."))
