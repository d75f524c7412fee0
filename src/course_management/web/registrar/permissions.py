"""The permissions of a student: waive a rule in a course, and revoke that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow.fields import String
from marshmallow.validate import Length

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database import AnyRow
from ...database.types import utcnow
from ...errors import PermissionNotFound, ValidationFailed
from ...repositories import student_records
from ...repositories.course_lookup import all_terms, courses_of
from ...schemas.fields import Text
from ...services import permissions as service
from ...services.enrollment.rules import waivable
from ..forms import EntryForm, FormId, LocalMoment
from ..moments import moment
from ..pages import STUDENT, AppPages, done, render
from ..reasons import title_of
from ..subjects import path_about
from ..texts import N_, _

pages = AppPages("registrar_permissions", area=N_("Registrar"))
READ = PageAccess(scope="permissions:read", advisor=True)
WRITE = PageAccess(scope="permissions:write", advisor=True)
SHOWN = 200
SEARCHED = 10_000
"""The newest permissions among which one is found."""


class PermissionForm(EntryForm):
    """A rule that is waived for a student in a course. The course is named by its code, as people know it."""

    course = Text(50, required=True)
    term_id = FormId()
    rule = String(required=True, validate=Length(max=50))
    reason = Text(500, joiners=True, required=True)
    expires_at = LocalMoment(load_default=None)


@pages.show(f"{STUDENT}/permissions", READ, tab=N_("Permissions"))
def show_permissions(student_id: int) -> Response:
    """Show the permissions of a student, with those that have ended, and the form to grant one."""
    rows, now = student_records.permissions_of(student_id, SHOWN), utcnow()
    live = [row for row in rows if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)]
    return render(
        "registrar/permissions.html",
        live=live,
        ended=[row for row in rows if row not in live],
        titles={code: title_of(code) for code in {*waivable(), *(row.rule for row in rows)}},
        rules=sorted(((code, title_of(code)) for code in waivable()), key=lambda pair: pair[1]),
        terms=sorted(all_terms(), key=lambda term: term.starts_on, reverse=True),
    )


@pages.act(f"{STUDENT}/permissions", WRITE, form=PermissionForm)
def grant_permission(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Grant a permission."""
    course_id = _course(form["course"], form["term_id"])
    values = {"course_id": course_id, **{name: form[name] for name in ("rule", "reason", "expires_at")}}
    service.grant(student_id, values, context)
    sentence = _("%(rule)s is waived in %(course)s.", rule=title_of(form["rule"]), course=form["course"])
    return done(path_about(student_id, "/permissions"), sentence)


@pages.show(f"{STUDENT}/permissions/<id:permission_id>/revoke", WRITE)
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
            (_("Granted by"), permission.granted_by),
        ],
        fields={"student_id": permission.student_id},
        button=_("Revoke the permission"),
        keep=keep,
    )


@pages.act(f"{STUDENT}/permissions/<id:permission_id>/revoke", WRITE)
def revoke_permission(student_id: int, permission_id: int, context: RequestContext) -> Response:
    """Revoke a permission; doing so again changes nothing."""
    service.revoke(student_id, permission_id, context)
    return done(path_about(student_id, "/permissions"), _("The permission is revoked."))


def _course(code: str, term_id: int | None) -> int:
    """Return the id of the course with a code. Raises `ValidationFailed` if there is none, or several."""
    found = [row for row in courses_of([code], []) if term_id is None or row.term_id == term_id]
    if len(found) == 1:
        return int(found[0].id)
    sentence = (
        N_("Several courses have this code. Choose the term.") if found else N_("There is no course with this code.")
    )
    raise ValidationFailed(errors=[{"pointer": "/course", "detail": sentence}])
