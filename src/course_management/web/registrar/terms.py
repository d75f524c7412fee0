"""Terms: their dates and deadlines, registration windows, and how their seats filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from ...context import RequestContext
from ...database import AnyRow
from ...database.types import utcnow
from ...errors import TermNotFound
from ...http.responses import fingerprint
from ...repositories import resources, seat_history
from ...repositories.course_lookup import all_terms
from ...schemas.terms import WINDOWS_BODY, TermSchema, WindowBody
from ...services import resources as service
from ...services import terms
from ...services.terms import TERM_RESOURCE
from ..field_forms import FieldForm
from ..lists import content_of, replace_from_form, rows_of
from ..pages import AppPages, redirect, render
from ..plots import PERIODS, plotted, since
from ..tables import Table
from ..texts import N_, _
from .course_list import LIST_ACCESS, WRITE_ACCESS
from .course_pages import PlotQuery
from .groups import all_groups, groups_to_choose

pages = AppPages("registrar_terms", area=N_("Registrar"))
FORM = FieldForm(
    TermSchema,
    {
        "code": N_("Code"),
        "title": N_("Title"),
        "starts_on": N_("First day"),
        "ends_on": N_("Last day"),
        "credit_limit": N_("Credit limit"),
        "drop_until": N_("End of dropping"),
        "withdraw_until": N_("End of withdrawing"),
        "promote_until": N_("End of the waitlists"),
        "external_id": N_("Id in another system"),
    },
    {
        "credit_limit": N_("The most credits of a student in the term. Empty: no limit."),
        "drop_until": N_("Empty: the end of the term."),
        "withdraw_until": N_("Empty: no withdrawal after the end of dropping."),
        "promote_until": N_("Empty: the end of the term."),
    },
)
WINDOW_ROWS = Table(
    WindowBody(),
    WINDOWS_BODY,
    {"group_id": N_("For"), "opens_at": N_("Opens"), "closes_at": N_("Closes")},
    ("opens_at", "closes_at"),
    options={"group_id": lambda: [("", _("All students")), *groups_to_choose()]},
)
_STORED = [name for name in TermSchema.stored() if hasattr(TERM_RESOURCE.model, name)]


def find(term_id: int) -> AnyRow:
    """Return a term. Raises `TermNotFound`."""
    row = resources.find(TERM_RESOURCE.model, _STORED, term_id)
    if row is None:
        raise TermNotFound
    return row


@pages.show("/registrar/terms", LIST_ACCESS, link=N_("Terms"))
def list_terms() -> Response:
    """List the terms, the newest first."""
    return render("registrar/terms/list.html", terms=[*reversed(all_terms())], today=utcnow().date())


@pages.show("/registrar/terms/new", WRITE_ACCESS)
def new_term() -> Response:
    """Show the form of a new term."""
    return render("registrar/terms/form.html", form=FORM.shown(), term=None)


@pages.act("/registrar/terms/new", WRITE_ACCESS, form=FORM, page=new_term)
def create_term(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a term."""
    term = service.create(TERM_RESOURCE, form, context)
    sentence = _("%(code)s is created. Nobody can register until it has a registration window.", code=term.code)
    return redirect(f"/registrar/terms/{term.id}", sentence)


@pages.show("/registrar/terms/<id:term_id>", LIST_ACCESS)
def show_term(term_id: int) -> Response:
    """Show the dates, deadlines and windows of a term."""
    groups = {row.id: row for row in all_groups()}
    return render(
        "registrar/terms/term.html",
        term=find(term_id),
        windows=content_of(terms.WINDOW_LIST, term_id),
        groups=groups,
        courses=next((row.courses for row in all_terms() if row.id == term_id), 0),
        now=utcnow(),
    )


@pages.show("/registrar/terms/<id:term_id>/seats", LIST_ACCESS, query=PlotQuery)
def show_seats(query: Mapping[str, Any], term_id: int) -> Response:
    """Show the seats taken and students waiting over time, in all courses of a term."""
    term, now = find(term_id), utcnow()
    return render(
        "registrar/terms/seats.html",
        term=term,
        plot=plotted(seat_history.of_term(term_id, since(query["period"], now), now)),
        period=query["period"],
        periods=[(key, _(text)) for key, (text, _length) in PERIODS.items()],
    )


@pages.show("/registrar/terms/<id:term_id>/edit", WRITE_ACCESS)
def edit_term(term_id: int) -> Response:
    """Show the form of a term."""
    term = find(term_id)
    return render("registrar/terms/form.html", form=FORM.shown(term), term=term)


@pages.act("/registrar/terms/<id:term_id>/edit", WRITE_ACCESS, form=FORM.of_changes, page=edit_term)
def change_term(form: Mapping[str, Any], term_id: int, context: RequestContext) -> Response:
    """Change a term."""
    term = service.change(TERM_RESOURCE, term_id, form, FORM.unchanged(request.form, form), context)
    return redirect(f"/registrar/terms/{term_id}", _("%(code)s is changed.", code=term.code))


@pages.show("/registrar/terms/<id:term_id>/windows", WRITE_ACCESS)
def edit_windows(term_id: int) -> Response:
    """Show the registration windows of a term as a table to edit."""
    rows = rows_of(terms.WINDOW_LIST, term_id)
    form = WINDOW_ROWS.shown(terms.WINDOW_LIST.content(rows), fingerprint(rows))
    return render("registrar/terms/windows.html", form=form, term=find(term_id))


@pages.act("/registrar/terms/<id:term_id>/windows", WRITE_ACCESS, form=WINDOW_ROWS, page=edit_windows)
def change_windows(form: Any, term_id: int) -> Response:
    """Replace the registration windows of a term."""
    replace_from_form(terms.WINDOW_LIST, term_id, form)
    return redirect(f"/registrar/terms/{term_id}", _("The registration windows are saved."))
