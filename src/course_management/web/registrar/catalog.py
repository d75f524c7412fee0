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
from ...http.responses import fingerprint
from ...repositories import course_search, resources
from ...repositories.course_search import CourseFilter
from ...repositories.prerequisites import graph_below, of_entries
from ...schemas.catalog import AlternativeBody, CatalogEntrySchema, PrerequisitesBody
from ...services import resources as service
from ...services.catalog import CATALOG_RESOURCE, PREREQUISITE_LIST
from ...services.prerequisite_graph import warnings_about
from ...services.prerequisite_sentence import sentence
from ..field_forms import FieldForm
from ..forms import EntryForm
from ..lists import replace_from_form, rows_of
from ..pages import AppPages, redirect, render
from ..references import CATALOG_ENTRY
from ..tables import Table
from ..texts import N_, _
from .course_list import LIST_ACCESS, WRITE_ACCESS
from .groups import groups_to_choose

pages = AppPages("registrar_catalog", area=N_("Registrar"))
SHOWN = 50
COURSES_SHOWN = 200
FORM = FieldForm(
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
PREREQUISITE_ROWS = Table(
    AlternativeBody(),
    PrerequisitesBody(),
    {
        "group": N_("Line"),
        "catalog_id": N_("Code of the entry"),
        "group_id": N_("Or group of students"),
        "minimum_points": N_("Least points"),
        "minimum_grade": N_("Grade in words"),
        "concurrent_allowed": N_("In the same term"),
    },
    ("catalog_id", "group_id"),
    {"group": "1", "minimum_points": "2.0"},
    {
        "group_id": lambda: [("", _("No group")), *groups_to_choose()],
        "concurrent_allowed": lambda: [("", _("no")), ("true", _("is enough"))],
    },
    {"catalog_id": CATALOG_ENTRY},
    group="group",
)
WARNINGS = {
    "prerequisite_cycle": N_("Warning: these entries require each other: %(codes)s."),
    "entry_unreachable": N_("Warning: no student can satisfy the prerequisites of: %(codes)s."),
}
_STORED = [name for name in CatalogEntrySchema.stored() if hasattr(CATALOG_RESOURCE.model, name)]


class CatalogQuery(EntryForm):
    """Words of codes and titles, and the entry after which the page starts."""

    q = String(load_default="", validate=Length(max=100))
    after = Integer(load_default=0, validate=Range(0, MAX_ID))


def find(catalog_id: int) -> AnyRow:
    """Return an entry of the catalog. Raises `CatalogEntryNotFound`."""
    row = resources.find(CATALOG_RESOURCE.model, _STORED, catalog_id)
    if row is None:
        raise CatalogEntryNotFound
    return row


@pages.show("/registrar/catalog", LIST_ACCESS, query=CatalogQuery, link=N_("Catalog"))
def list_catalog(query: Mapping[str, Any]) -> Response:
    """List the catalog with its prerequisites as sentences."""
    words = query["q"].strip()
    rows = resources.page(CATALOG_RESOURCE.model, _STORED, query["after"], SHOWN + 1, {"q": words} if words else {})
    required = of_entries([row.id for row in rows])
    return render(
        "registrar/catalog/list.html",
        entries=rows[:SHOWN],
        sentences={catalog_id: sentence(groups, _) for catalog_id, groups in required.items()},
        following=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        query=query,
    )


@pages.show("/registrar/catalog/new", WRITE_ACCESS)
def new_entry() -> Response:
    """Show the form of a new entry."""
    return render("registrar/catalog/form.html", form=FORM.shown(), entry=None)


@pages.act("/registrar/catalog/new", WRITE_ACCESS, form=FORM, page=new_entry)
def create_entry(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create an entry."""
    entry = service.create(CATALOG_RESOURCE, form, context)
    return redirect(f"/registrar/catalog/{entry.id}", _("%(code)s is created.", code=entry.code))


@pages.show("/registrar/catalog/<id:catalog_id>", LIST_ACCESS)
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


@pages.show("/registrar/catalog/<id:catalog_id>/edit", WRITE_ACCESS)
def edit_entry(catalog_id: int) -> Response:
    """Show the form of an entry."""
    entry = find(catalog_id)
    return render("registrar/catalog/form.html", form=FORM.shown(entry), entry=entry)


@pages.act("/registrar/catalog/<id:catalog_id>/edit", WRITE_ACCESS, form=FORM.of_changes, page=edit_entry)
def change_entry(form: Mapping[str, Any], catalog_id: int, context: RequestContext) -> Response:
    """Change an entry."""
    entry = service.change(CATALOG_RESOURCE, catalog_id, form, FORM.unchanged(request.form, form), context)
    return redirect(f"/registrar/catalog/{catalog_id}", _("%(code)s is changed.", code=entry.code))


@pages.show("/registrar/catalog/<id:catalog_id>/prerequisites", WRITE_ACCESS)
def edit_prerequisites(catalog_id: int) -> Response:
    """Show the prerequisites of an entry as a table to edit."""
    rows = rows_of(PREREQUISITE_LIST, catalog_id)
    form = PREREQUISITE_ROWS.shown(PREREQUISITE_LIST.content(rows), fingerprint(rows))
    return render("registrar/catalog/prerequisites.html", form=form, entry=find(catalog_id))


@pages.act(
    "/registrar/catalog/<id:catalog_id>/prerequisites", WRITE_ACCESS, form=PREREQUISITE_ROWS, page=edit_prerequisites
)
def change_prerequisites(form: Any, catalog_id: int) -> Response:
    """Replace the prerequisites of an entry, and say what is probably wrong about them."""
    replace_from_form(PREREQUISITE_LIST, catalog_id, form)
    sentences = [_("The prerequisites are saved.")]
    for code, entry_ids in warnings_about(graph_below(catalog_id), catalog_id):
        codes = sorted(CATALOG_ENTRY.codes_of(entry_ids).values())
        sentences.append(_(WARNINGS[code], codes=", ".join(codes)))
    return redirect(f"/registrar/catalog/{catalog_id}", " ".join(sentences))
