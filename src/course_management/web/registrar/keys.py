"""The API keys of services: create one, which is shown once, and revoke them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow.fields import List
from marshmallow.validate import Length, Regexp

from ...access import key_management as service
from ...access import keys
from ...access.policy import ADMIN, SCOPES, PageAccess
from ...access.visitors import Visitor
from ...context import RequestContext
from ...database.types import utcnow
from ...errors import KeyNotFound
from ...schemas.fields import Text
from ...schemas.lists import Choice
from ..forms import EntryForm, LocalMoment
from ..pages import AppPages, done, render
from ..texts import N_, _

pages = AppPages("registrar_keys", area=N_("Registrar"))
MANAGE = PageAccess(scope="admin")
PATH = "/registrar/keys"
ONE = f"{PATH}/<id:key_id>/revoke"


class KeyForm(EntryForm):
    """A new key."""

    name = Text(
        50,
        required=True,
        validate=Regexp(
            rf"(?:{keys.NAME.pattern})\Z",
            error="Use letters, digits, dots, dashes and underscores, since it is in the ledger.",
        ),
    )
    scopes = List(Choice(SCOPES), required=True, validate=Length(min=1, error="Choose at least one scope."))
    expires_at = LocalMoment(load_default=None)


@pages.show(PATH, MANAGE, link=N_("Keys"))
def show_keys(visitor: Visitor) -> Response:
    """Show the keys, and the form to create one."""
    rows, now = keys.list_all(), utcnow()
    active = [row for row in rows if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)]
    return render(
        "registrar/keys.html",
        active=active,
        ended=[row for row in rows if row not in active],
        scopes=[scope for scope in SCOPES if visitor.is_protected or scope != ADMIN],
        is_first=visitor.is_protected,
    )


@pages.act(PATH, MANAGE, form=KeyForm)
def create_key(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a key, and show it. No redirect: the key is stored nowhere, so no other page could show it."""
    created = service.create(form["name"], set(form["scopes"]), form["expires_at"], context)
    return render("registrar/key_created.html", 201, key=created.key, secret=created.secret)


@pages.show(ONE, MANAGE)
def confirm_revocation(key_id: int) -> Response:
    """Say what is lost with a key, before it is revoked."""
    return render("registrar/key_revoke.html", key=_find(key_id))


@pages.act(ONE, MANAGE)
def revoke_key(key_id: int) -> Response:
    """Revoke a key; doing so again changes nothing."""
    key = _find(key_id)
    service.revoke(key_id)
    return done(PATH, _("The key of %(name)s is revoked.", name=key.name))


def _find(key_id: int) -> Any:
    for row in keys.list_all():
        if row.id == key_id:
            return row
    raise KeyNotFound
