"""The permissions of a student: waive a rule in a course, and revoke that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import ValidationError

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database import AnyRow
from ...database.types import utcnow
from ...errors import PermissionNotFound
from ...http.validation_errors import validation_failed
from ...repositories import student_records
from ...schemas.fields import Id, Text
from ...schemas.holds import PermissionBody
from ...services import permissions as service
from ...services.enrollment.rules import waivable
from ..actors import actors_in_words
from ..field_forms import FieldForm, Options
from ..moments import moment
from ..pages import STUDENT, AppPages, redirect, render
from ..reasons import title_of
from ..references import course_named
from ..subjects import path_about
from ..texts import N_, _
from .course_list import terms_to_choose

pages = AppPages("registrar_permissions", area=N_("Registrar"))
READ_ACCESS = PageAccess(scope="permissions:read", advisor=True)
WRITE_ACCESS = PageAccess(scope="permissions:write", advisor=True)
SHOWN = 200
SEARCHED = 10_000
"""The newest permissions among which one is found."""


class PermissionForm(PermissionBody):
    """A rule that is waived for a student in a course. The course is named by its code, as people know it."""

    class Meta:
        """Marshmallow's options."""

        exclude = ("course_id",)

    course = Text(50, required=True)
    term_id = Id(allow_none=True, load_default=None)


def rules_to_waive() -> Options:
    """Return the rules that a permission waives. None of them is right for most, so one has to be chosen."""
    rules = sorted(((code, title_of(code)) for code in waivable()), key=lambda pair: pair[1])
    return [("", _("Choose what is waived")), *rules]


FORM = FieldForm(
    PermissionForm,
    {
        "course": N_("Code of the course"),
        "term_id": N_("Term"),
        "rule": N_("What is waived"),
        "reason": N_("Reason"),
        "expires_at": N_("Until"),
    },
    {
        "term_id": N_("Needed if several terms have a course with this code."),
        "reason": N_("Kept in the ledger."),
        "expires_at": N_("By the clock of the school. Empty: until it is revoked."),
    },
    {"term_id": lambda: [("", _("Any term")), *terms_to_choose()], "rule": rules_to_waive},
    aliases={"course_id": "course"},
)


@pages.show(f"{STUDENT}/permissions", READ_ACCESS, tab=N_("Permissions"))
def show_permissions(student_id: int) -> Response:
    """Show the permissions of a student, with those that have ended, and the form to grant one."""
    rows, now = student_records.permissions_of(student_id, SHOWN), utcnow()
    live = [row for row in rows if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)]
    return render(
        "registrar/permissions.html",
        live=live,
        ended=[row for row in rows if row not in live],
        titles={code: title_of(code) for code in {*waivable(), *(row.rule for row in rows)}},
        actors=actors_in_words(actor for row in rows for actor in (row.granted_by, row.revoked_by)),
        form=FORM.shown(),
    )


@pages.act(f"{STUDENT}/permissions", WRITE_ACCESS, form=FORM, page=show_permissions)
def grant_permission(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Grant a permission."""
    try:
        course = course_named(form["course"], form["term_id"])
    except ValidationError as error:
        raise validation_failed({"course": error.messages}) from None
    values = {"course_id": course.id, **{name: form[name] for name in ("rule", "reason", "expires_at")}}
    service.grant(student_id, values, context)
    sentence = _("%(rule)s is waived in %(course)s.", rule=title_of(form["rule"]), course=course.code)
    return redirect(path_about(student_id, "/permissions"), sentence)


@pages.show(f"{STUDENT}/permissions/<id:permission_id>/revoke", WRITE_ACCESS)
def confirm_revocation(student_id: int, permission_id: int) -> Response:
    """Say what a permission is for, before it is revoked."""
    row = next((row for row in student_records.permissions_of(student_id, SEARCHED) if row.id == permission_id), None)
    if row is None:
        raise PermissionNotFound
    return confirmation(row, row.course, path_about(student_id, "/permissions"))


def confirmation(permission: AnyRow, course: str, keep: str) -> Response:
    """Return the page that asks whether to revoke a permission; `keep` is the page to return to."""
    return render(
        "registrar/confirm.html",
        question=_("Revoke the permission for %(course)s?", course=course),
        loss=_("The rule counts again for the student in this course. A student who is enrolled already stays."),
        facts=[
            (_("What is waived"), title_of(permission.rule)),
            (_("Reason"), permission.reason),
            (_("Granted"), moment(permission.granted_at)),
            (_("Granted by"), actors_in_words([permission.granted_by])[permission.granted_by]),
        ],
        fields={"student_id": permission.student_id},
        button=_("Revoke the permission"),
        keep=keep,
    )


@pages.act(f"{STUDENT}/permissions/<id:permission_id>/revoke", WRITE_ACCESS)
def revoke_permission(student_id: int, permission_id: int, context: RequestContext) -> Response:
    """Revoke a permission; doing so again changes nothing."""
    service.revoke(student_id, permission_id, context)
    return redirect(path_about(student_id, "/permissions"), _("The permission is revoked."))
