"""The catalog: its entries, with their prerequisites as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, request
from marshmallow.fields import Integer, String
from marshmallow.validate import Length, Range

from ...context import RequestContext
from ...database import AnyRow
from ...database.types import MAX_ID
from ...errors import CatalogEntryNotFound
from ...repositories import course_search, resources
from ...repositories.course_search import CourseFilter
from ...repositories.prerequisites import of_entries
from ...schemas.catalog import CatalogEntrySchema
from ...services import resources as service
from ...services.catalog import CATALOG
from ...services.prerequisite_sentence import sentence
from ..forms import EntryForm
from ..pages import AppPages, done, render
from ..resource_forms import REFUSED, ResourceForm
from ..texts import N_, _
from .courses import LIST, WRITE

pages = AppPages("registrar_catalog", area=N_("Registrar"))
SHOWN = 50
COURSES_SHOWN = 200
FORM = ResourceForm(
    CatalogEntrySchema,
    {
        "code": N_("Code"),
        "title": N_("Title"),
        "credits": N_("Credits"),
        "credits_max": N_("Most credits"),
        "courses_per_term": N_("Courses in a term"),
        "completions_allowed": N_("Completions allowed"),
        "external_id": N_("Id in another system"),
    },
    {
        "credits": N_("For the catalog only: a course counts its own credits."),
        "credits_max": N_("Where students choose; empty: always the number above."),
        "courses_per_term": N_("The most courses of one section component that a student takes. Empty: any number."),
        "completions_allowed": N_("How often a student can complete it. Empty: any number of times."),
    },
)
_STORED = [name for name in CatalogEntrySchema.stored() if hasattr(CATALOG.model, name)]


class CatalogQuery(EntryForm):
    """Words of codes and titles, and the entry after which the page starts."""

    q = String(load_default="", validate=Length(max=100))
    after = Integer(load_default=0, validate=Range(0, MAX_ID))


def find(catalog_id: int) -> AnyRow:
    """Return an entry of the catalog. Raises `CatalogEntryNotFound`."""
    row = resources.find(CATALOG.model, _STORED, catalog_id)
    if row is None:
        raise CatalogEntryNotFound
    return row


@pages.show("/registrar/catalog", LIST, query=CatalogQuery, link=N_("Catalog"))
def list_catalog(query: Mapping[str, Any]) -> Response:
    """List the catalog with its prerequisites as sentences."""
    words = query["q"].strip()
    rows = resources.page(CATALOG.model, _STORED, query["after"], SHOWN + 1, {"q": words} if words else {})
    required = of_entries([row.id for row in rows])
    return render(
        "registrar/catalog/list.html",
        entries=rows[:SHOWN],
        sentences={catalog_id: sentence(groups, _) for catalog_id, groups in required.items()},
        following=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        query=query,
    )


@pages.show("/registrar/catalog/new", WRITE)
def new_entry() -> Response:
    """Show the form of a new entry."""
    return render("registrar/catalog/form.html", form=FORM.shown(), entry=None)


@pages.act("/registrar/catalog/new", WRITE)
def create_entry(context: RequestContext) -> Response:
    """Create an entry."""
    try:
        entry = service.create(CATALOG, FORM.body(request.form), context)
    except REFUSED as problem:
        form = FORM.shown(None, request.form, problem)
        return render("registrar/catalog/form.html", form.status, form=form, entry=None)
    return done(f"/registrar/catalog/{entry.id}", _("%(code)s is created.", code=entry.code))


@pages.show("/registrar/catalog/<id:catalog_id>", LIST)
def show_entry(catalog_id: int) -> Response:
    """Show an entry: what it requires, and the courses that offer it."""
    groups = of_entries([catalog_id]).get(catalog_id, [])
    return render(
        "registrar/catalog/entry.html",
        entry=find(catalog_id),
        sentence=sentence(groups, _),
        groups=groups,
        one=lambda alternative: sentence([[alternative]], _),
        courses=course_search.search(CourseFilter(catalog_id=catalog_id), None, COURSES_SHOWN),
    )


@pages.show("/registrar/catalog/<id:catalog_id>/edit", WRITE)
def edit_entry(catalog_id: int) -> Response:
    """Show the form of an entry."""
    entry = find(catalog_id)
    return render("registrar/catalog/form.html", form=FORM.shown(entry), entry=entry)


@pages.act("/registrar/catalog/<id:catalog_id>/edit", WRITE)
def change_entry(catalog_id: int, context: RequestContext) -> Response:
    """Change an entry."""
    try:
        values = FORM.body(request.form, partial=True)
        entry = service.change(CATALOG, catalog_id, values, FORM.unchanged(request.form, values), context)
    except REFUSED as problem:
        form = FORM.shown(None, request.form, problem)
        return render("registrar/catalog/form.html", form.status, form=form, entry=find(catalog_id))
    return done(f"/registrar/catalog/{catalog_id}", _("%(code)s is changed.", code=entry.code))
