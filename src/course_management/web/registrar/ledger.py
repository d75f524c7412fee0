"""The ledger of a student: every change of an enrollment, and of the data that the rules use, with who made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response
from marshmallow.fields import Integer
from marshmallow.validate import Range

from ...access.policy import PageAccess
from ...database.types import MAX_ID
from ...repositories import enrollments, student_records
from ...repositories.course_lookup import course_codes
from ..actors import actors_in_words
from ..moments import in_words
from ..pages import STUDENT, AppPages, Form, render
from ..reasons import title_of
from ..texts import N_, _
from .holds import BLOCKS

pages = AppPages("registrar_ledger", area=N_("Registrar"))
READ_ACCESS = PageAccess(scope="enrollments:read")
LINES = 50
CHANGES = {
    ("hold", "placed"): N_("Hold placed"),
    ("hold", "released"): N_("Hold released"),
    ("permission", "granted"): N_("Permission granted"),
    ("permission", "revoked"): N_("Permission revoked"),
    ("permission", "expired"): N_("Permission expired"),
    ("completion", "added"): N_("Completion recorded"),
    ("completion", "changed"): N_("Completion changed"),
    ("completion", "removed"): N_("Completion deleted"),
    ("limit", "added"): N_("Credit limit set"),
    ("limit", "changed"): N_("Credit limit changed"),
    ("limit", "removed"): N_("Credit limit removed"),
    ("group", "added"): N_("Put into a group"),
    ("group", "removed"): N_("Taken out of a group"),
}
FACTS = {
    "kind": N_("Kind"),
    "contact": N_("Contact"),
    "blocks": N_("Stops"),
    "until": N_("Until"),
    "course_id": N_("Course"),
    "rule": N_("Waives"),
    "reason": N_("Reason"),
    "expires_at": N_("Until"),
    "term_code": N_("Term"),
    "grade": N_("Grade"),
    "points": N_("Points"),
    "passed": N_("Passed"),
    "credits": N_("Credits"),
    "source": N_("Source"),
    "credit_limit": N_("Limit"),
}


class LedgerQuery(Form):
    """The lines before which the two lists of the page start."""

    before = Integer(load_default=MAX_ID, validate=Range(1, MAX_ID))
    changes_before = Integer(load_default=MAX_ID, validate=Range(1, MAX_ID))


@pages.show(f"{STUDENT}/ledger", READ_ACCESS, query=LedgerQuery, tab=N_("Ledger"))
def show_ledger(query: Mapping[str, Any], student_id: int) -> Response:
    """Show the ledger of a student, newest first."""
    lines = enrollments.history_of_student(student_id, query["before"], LINES + 1)
    changes = student_records.changes_of(student_id, query["changes_before"], LINES + 1)
    shown = [*lines[:LINES], *changes[:LINES]]
    codes = course_codes(
        [
            *(line.course_id for line in lines),
            *(each.facts["course_id"] for each in changes if "course_id" in each.facts),
        ]
    )
    return render(
        "registrar/ledger.html",
        lines=lines[:LINES],
        changes=[(row, _title(row), [*_facts(row, codes)]) for row in changes[:LINES]],
        codes=codes,
        subjects=student_records.names_of_subjects(changes[:LINES]),
        actors=actors_in_words(row.actor for row in shown),
        following=lines[LINES - 1].id if len(lines) > LINES else None,
        changes_following=changes[LINES - 1].id if len(changes) > LINES else None,
    )


def _title(row: Any) -> str:
    found = CHANGES.get((row.subject, row.change))
    return _(found) if found else f"{row.subject} {row.change}"


def _facts(row: Any, codes: Mapping[int, str]) -> Iterator[str]:
    """Yield the facts of a line in words; the course and the rule by their names."""
    for name, value in row.facts.items():
        if value is None:
            continue
        text = value
        if name == "course_id":
            text = codes.get(value, value)
        elif name == "rule":
            text = title_of(value)
        elif name == "blocks" and value in BLOCKS:
            text = _(BLOCKS[value])
        elif name in {"until", "expires_at"}:
            text = in_words(value)
        elif isinstance(value, bool):
            text = _("yes") if value else _("no")
        yield _("%(name)s: %(value)s", name=_(FACTS[name]) if name in FACTS else name, value=text)
