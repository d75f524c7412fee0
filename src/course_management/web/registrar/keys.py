"""The API keys of services: create one, which is shown once, and revoke them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from ...access import key_management as service
from ...access import keys
from ...access.policy import ADMIN, SCOPES, PageAccess
from ...access.visitors import Visitor
from ...context import RequestContext
from ...database.types import utcnow
from ...errors import KeyNotFound
from ...schemas.keys import KeySchema
from ..field_forms import FieldForm, Options
from ..pages import AppPages, redirect, render
from ..pages import visitor as present_visitor
from ..texts import N_, _

pages = AppPages("registrar_keys", area=N_("Registrar"))
MANAGE_ACCESS = PageAccess(scope="admin")
PATH = "/registrar/keys"
ONE = f"{PATH}/<id:key_id>/revoke"


SCOPES_IN_WORDS: Mapping[str, str] = {
    "enrollments:write": N_("enroll students, drop them, and swap their courses"),
    "enrollments:read": N_("read what students are enrolled in, rosters, waitlists and histories"),
    "students:read": N_("find students, and read their records and groups"),
    "students:write": N_("create, change and delete students, and set groups and credit limits"),
    "courses:read": N_("read courses, terms and the catalog"),
    "courses:write": N_("create, change and delete courses, terms and the catalog"),
    "holds:read": N_("read the holds of students, with the notes for the staff"),
    "holds:write": N_("place and release holds"),
    "permissions:read": N_("read permissions"),
    "permissions:write": N_("grant and revoke permissions, which waive rules"),
    "completions:read": N_("read what students have completed, with grades"),
    "completions:write": N_("record, change and delete completions"),
    "exports:read": N_("download all students, courses and enrollments as files"),
    "metrics:read": N_("read the figures for monitoring; no personal data"),
    "admin": N_("do everything, also create keys and change the staff"),
}


def _scopes() -> Options:
    """Return the scopes that the visitor can give, in words."""
    scopes = [scope for scope in SCOPES if present_visitor().is_protected or scope != ADMIN]
    return [(scope, _("%(scope)s: %(words)s", scope=scope, words=_(SCOPES_IN_WORDS[scope]))) for scope in scopes]


FORM = FieldForm(
    KeySchema,
    {"name": N_("Name of the service"), "scopes": N_("Scopes"), "expires_at": N_("Expires")},
    {
        "name": N_(
            "Letters, digits, dots, dashes and underscores; the ledger names it. At most two active keys have the same "
            "name, so that a key can be replaced without a pause."
        ),
        "scopes": N_("What the service may do. Choose only what it needs."),
        "expires_at": N_("By the clock of the school. Empty: never."),
    },
    {"scopes": _scopes},
)


@pages.show(PATH, MANAGE_ACCESS, link=N_("Keys"))
def show_keys(visitor: Visitor) -> Response:
    """Show the keys, and the form to create one."""
    rows, now = keys.list_all(), utcnow()
    active = [row for row in rows if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)]
    return render(
        "registrar/keys.html",
        active=active,
        ended=[row for row in rows if row not in active],
        form=FORM.shown(),
        is_first=visitor.is_protected,
    )


@pages.act(PATH, MANAGE_ACCESS, form=FORM, page=show_keys)
def create_key(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a key, and show it. No redirect: the key is stored nowhere, so no other page could show it."""
    created = service.create(**form, context=context)
    return render("registrar/key_created.html", 201, key=created.key, secret=created.secret)


@pages.show(ONE, MANAGE_ACCESS)
def confirm_revocation(key_id: int) -> Response:
    """Say what is lost with a key, before it is revoked."""
    return render("registrar/key_revoke.html", key=_find(key_id))


@pages.act(ONE, MANAGE_ACCESS)
def revoke_key(key_id: int) -> Response:
    """Revoke a key; doing so again changes nothing."""
    key = _find(key_id)
    service.revoke(key_id)
    return redirect(PATH, _("The key of %(name)s is revoked.", name=key.name))


def _find(key_id: int) -> Any:
    for row in keys.list_all():
        if row.id == key_id:
            return row
    raise KeyNotFound
