"""Imports that were made on the command line: their state, their plan, and the report of each row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import IO, Any

from flask import Response, current_app
from marshmallow.fields import Integer
from marshmallow.validate import Range

from ...access.policy import PageAccess
from ...database.types import MAX_ID
from ...errors import NotFound
from ...http.responses import download
from ...repositories import imports as repository
from ...spooled_body import body_of_own_connection
from ...transfer.exporting import MEDIA_TYPE, Progress, as_text
from ...transfer.kinds import KINDS
from ...transfer.reports import name_of, write_report
from ...transfer.verdicts import OUTCOMES
from ..pages import AppPages, Form, render
from ..reasons import title_of
from ..texts import N_, _

pages = AppPages("registrar_imports", area=N_("Registrar"))
READ_ACCESS = PageAccess(scope="admin")
SHOWN = 25
EXAMPLES = 3
STATES = {
    "reading": N_("reading, or interrupted while reading"),
    "planning": N_("planning, or interrupted while planning"),
    "planned": N_("planned; nothing was changed"),
    "applying": N_("applying, or interrupted while applying: give the same command again"),
    "applied": N_("applied"),
}
COLUMNS = {
    "create": N_("Create"),
    "update": N_("Update"),
    "unchanged": N_("Unchanged"),
    "enroll": N_("Enroll"),
    "waitlist": N_("Waitlist"),
    "drop": N_("Drop"),
    "refuse": N_("Refuse"),
    "warning": N_("Warning"),
}
"""What becomes of rows."""


class ListQuery(Form):
    """The import before which the page starts."""

    before = Integer(load_default=MAX_ID, validate=Range(1, MAX_ID))


@pages.show("/registrar/imports", READ_ACCESS, query=ListQuery, link=N_("Imports"))
def show_imports(query: Mapping[str, Any]) -> Response:
    """Show the imports, newest first."""
    rows = repository.newest(query["before"], SHOWN + 1)
    return render(
        "registrar/imports.html",
        rows=rows[:SHOWN],
        states=states(),
        following=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
    )


@pages.show("/registrar/imports/<id:import_id>", READ_ACCESS)
def show_import(import_id: int) -> Response:
    """Show an import: how many rows of each kind have which outcome, and the first rows of each reason."""
    found = _find(import_id)
    counts = repository.counts(import_id)
    outcomes = [outcome for outcome in OUTCOMES if any(of == outcome for _kind, of in counts)]
    by_code = repository.counts_by_code(import_id)
    groups = [
        {
            "outcome": _(COLUMNS[outcome]),
            "title": title_of(code) if code else "",
            "count": by_code[outcome, code],
            "rows": [
                (row, name_of(row.unit, row.part)) for row in repository.examples(import_id, outcome, code, EXAMPLES)
            ],
        }
        for outcome, code in sorted(by_code, key=lambda pair: (pair[0] != "refuse", pair[0] or "", pair[1] or ""))
        if outcome in {"refuse", "warning", "drop"} or code
    ]
    return render(
        "registrar/import.html",
        row=found,
        states=states(),
        outcomes=[(outcome, _(COLUMNS[outcome])) for outcome in outcomes],
        table=[
            (kind, [counts.get((kind, outcome), 0) for outcome in outcomes])
            for kind in [*(kind.name for kind in KINDS), "finding"]
            if any(of == kind for of, _outcome in counts)
        ],
        has_rows=bool(counts),
        groups=groups,
        options={name: value for name, value in found.options.items() if value not in (None, "", False)},
    )


@pages.show("/registrar/imports/<id:import_id>/report.csv", READ_ACCESS)
def download_report(import_id: int) -> Response:
    """Download a line for each row of an import."""
    _find(import_id)
    settings = current_app.extensions["settings"]
    body = body_of_own_connection(settings, partial(_write, import_id))
    return download(body, MEDIA_TYPE, f"import-{import_id}.csv")


def states() -> dict[str, str]:
    """Return how far an import is, in words."""
    return {state: _(text) for state, text in STATES.items()}


def _write(import_id: int, file: IO[bytes], progress: Progress) -> None:
    with as_text(file) as text:
        write_report(text, import_id, progress)


def _find(import_id: int) -> Any:
    found = repository.find(import_id)
    if found is None:
        raise NotFound
    return found
