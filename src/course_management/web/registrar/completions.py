"""What a student has completed, and the student's own credit limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database.types import as_number
from ...errors import NotFound
from ...repositories import student_records
from ...schemas.catalog import CompletionBody, LimitBody
from ...schemas.fields import Credits, Id, Text
from ...services import completions as service
from ...services import credit_limits
from ..field_forms import FieldForm
from ..forms import EntryForm, FormId
from ..pages import STUDENT, AppPages, redirect, render
from ..references import CATALOG_ENTRY
from ..subjects import path_about
from ..texts import N_, _
from .course_list import terms_to_choose

pages = AppPages("registrar_completions", area=N_("Registrar"))
READ_ACCESS, WRITE_ACCESS = PageAccess(scope="completions:read"), PageAccess(scope="completions:write")
READ_LIMITS_ACCESS, WRITE_LIMITS_ACCESS = PageAccess(scope="students:read"), PageAccess(scope="students:write")


class CompletionForm(CompletionBody):
    """A completion, with what the path has in the API."""

    catalog_id = Id(required=True)
    term_code = Text(50, required=True)


class DeletionForm(EntryForm):
    """The completion to delete."""

    catalog_id = FormId(required=True)
    term_code = Text(50, required=True)


class LimitForm(LimitBody):
    """The credits of the student in a term; null: the limit of the term counts."""

    term_id = Id(required=True)
    credit_limit = Credits(allow_none=True, load_default=None)


COMPLETION = FieldForm(
    CompletionForm,
    {
        "catalog_id": N_("Code of the catalog entry"),
        "term_code": N_("Term"),
        "grade": N_("Grade"),
        "points": N_("Points"),
        "credits": N_("Credits"),
        "source": N_("Source"),
        "passed": N_("Passed"),
    },
    {
        "term_code": N_("As the transcript has it; it need not be a term of this service."),
        "points": N_("What minimum points of prerequisites are compared with."),
        "source": N_("Such as another school. Empty: this school."),
    },
    references={"catalog_id": CATALOG_ENTRY},
)
LIMIT = FieldForm(
    LimitForm,
    {"term_id": N_("Term"), "credit_limit": N_("Limit of the student")},
    {"credit_limit": N_("Empty: the limit of the term counts.")},
    {"term_id": terms_to_choose},
)


@pages.show(f"{STUDENT}/completions", READ_ACCESS, tab=N_("Completions"))
def show_completions(student_id: int) -> Response:
    """Show what the student has completed, and the form to record a completion."""
    form = COMPLETION.shown(values={"passed": True})
    return render("registrar/completions.html", rows=student_records.completions_of(student_id), form=form)


@pages.act(f"{STUDENT}/completions", WRITE_ACCESS, form=COMPLETION, page=show_completions)
def record_completion(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Record a completion, or change the one of the same entry and term."""
    catalog_id = form["catalog_id"]
    values = {name: form[name] for name in ("grade", "points", "passed", "credits", "source")}
    service.put(student_id, catalog_id, form["term_code"], values, context)
    code = CATALOG_ENTRY.codes_of([catalog_id]).get(catalog_id, "")
    sentence = _("The completion of %(code)s in %(term)s is recorded.", code=code, term=form["term_code"])
    return redirect(path_about(student_id, "/completions"), sentence)


@pages.show(f"{STUDENT}/completions/delete", WRITE_ACCESS, query=DeletionForm)
def confirm_deletion(query: Mapping[str, Any], student_id: int) -> Response:
    """Say what is lost with a completion, before it is deleted."""
    wanted = (query["catalog_id"], query["term_code"])
    rows = student_records.completions_of(student_id)
    row = next((row for row in rows if (row.catalog_id, row.term_code) == wanted), None)
    if row is None:
        raise NotFound
    return render(
        "registrar/confirm.html",
        question=_("Delete the completion of %(code)s in %(term)s?", code=row.code, term=row.term_code),
        loss=_("It no longer satisfies prerequisites. Enrollments that needed it stay. The ledger keeps its line."),
        facts=[(_("Grade"), row.grade), (_("Credits"), str(as_number(row.credits))), (_("Source"), row.source)],
        fields=query,
        button=_("Delete the completion"),
        keep=path_about(student_id, "/completions"),
    )


@pages.act(f"{STUDENT}/completions/delete", WRITE_ACCESS, form=DeletionForm)
def delete_completion(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Delete a completion; doing so again changes nothing."""
    service.remove(student_id, form["catalog_id"], form["term_code"], context)
    return redirect(path_about(student_id, "/completions"), _("The completion is deleted. The ledger keeps its line."))


@pages.show(f"{STUDENT}/limits", READ_LIMITS_ACCESS, tab=N_("Credit limits"))
def show_limits(student_id: int) -> Response:
    """Show the credit limits of a student in each term."""
    return render("registrar/limits.html", terms=student_records.limits_of(student_id), form=LIMIT.shown())


@pages.act(f"{STUDENT}/limits", WRITE_LIMITS_ACCESS, form=LIMIT, page=show_limits)
def set_limit(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Give the student a credit limit of its own in a term, or that of the term again."""
    path = path_about(student_id, "/limits")
    if form["credit_limit"] is None:
        credit_limits.remove(student_id, form["term_id"], context)
        return redirect(path, _("The credit limit of the term counts again."))
    credit_limits.put(student_id, form["term_id"], form["credit_limit"], context)
    return redirect(path, _("The credit limit is set."))
