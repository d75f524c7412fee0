"""Groups of students, by which windows, restrictions and prerequisites go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database import AnyRow
from ...errors import GroupNotFound
from ...repositories import resources
from ...schemas.terms import GroupSchema
from ...services import resources as service
from ...services.terms import GROUP_RESOURCE
from ..field_forms import FieldForm, Options
from ..pages import AppPages, redirect, render
from ..texts import N_, _

pages = AppPages("registrar_groups", area=N_("Registrar"))
READ_ACCESS, WRITE_ACCESS = PageAccess(scope="students:read"), PageAccess(scope="students:write")
PATH = "/registrar/groups"
AT_ONCE = 1_000
FORM = FieldForm(
    GroupSchema,
    {"kind": N_("Kind"), "code": N_("Code"), "title": N_("Title")},
    {
        "kind": N_("Such as program, level, standing, campus or placement."),
        "code": N_("Unique among the groups of the same kind."),
    },
)
_STORED = ["id", "kind", "code", "title"]


def all_groups() -> list[AnyRow]:
    """Return the groups by kind and code: `id, kind, code, title`."""
    rows: list[AnyRow] = []
    while page := resources.page(GROUP_RESOURCE.model, _STORED, rows[-1].id if rows else 0, AT_ONCE, {}):
        rows += page
    return sorted(rows, key=lambda row: (row.kind, row.code))


def groups_to_choose() -> Options:
    """Return the groups for a list to choose from."""
    return [(str(row.id), f"{row.kind}: {row.code} · {row.title}") for row in all_groups()]


def _find(group_id: int) -> AnyRow:
    row = resources.find(GROUP_RESOURCE.model, _STORED, group_id)
    if row is None:
        raise GroupNotFound
    return row


@pages.show(PATH, READ_ACCESS, link=N_("Groups"))
def list_groups() -> Response:
    """List the groups."""
    return render("registrar/groups/list.html", groups=all_groups())


@pages.show(f"{PATH}/new", WRITE_ACCESS)
def new_group() -> Response:
    """Show the form of a new group."""
    return render("registrar/groups/form.html", form=FORM.shown(), group=None)


@pages.act(f"{PATH}/new", WRITE_ACCESS, form=FORM, page=new_group)
def create_group(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a group."""
    group = service.create(GROUP_RESOURCE, form, context)
    return redirect(PATH, _("%(title)s is created. Put students into it on their pages.", title=group.title))


@pages.show(f"{PATH}/<id:group_id>", WRITE_ACCESS)
def edit_group(group_id: int) -> Response:
    """Show the form of a group."""
    group = _find(group_id)
    return render("registrar/groups/form.html", form=FORM.shown(group), group=group)


@pages.act(f"{PATH}/<id:group_id>", WRITE_ACCESS, form=FORM.of_changes, page=edit_group)
def change_group(form: Mapping[str, Any], group_id: int, context: RequestContext) -> Response:
    """Change a group."""
    group = service.change(GROUP_RESOURCE, group_id, form, FORM.unchanged(request.form, form), context)
    return redirect(PATH, _("%(title)s is changed.", title=group.title))
