"""The holds of a student: place and release them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database.types import utcnow
from ...errors import HoldNotFound
from ...repositories import student_records
from ...schemas.holds import HoldBody
from ...services import holds as service
from ..actors import actors_in_words
from ..field_forms import FieldForm
from ..moments import moment
from ..pages import STUDENT, AppPages, redirect, render
from ..subjects import path_about
from ..texts import N_, _

pages = AppPages("registrar_holds", area=N_("Registrar"))
READ_ACCESS, WRITE_ACCESS = PageAccess(scope="holds:read"), PageAccess(scope="holds:write")
BLOCKS = {
    "enroll": N_("enrolling"),
    "unenroll": N_("dropping"),
    "both": N_("enrolling and dropping"),
}
SHOWN = 200
SEARCHED = 10_000
"""The newest holds among which one is found."""


FORM = FieldForm(
    HoldBody,
    {
        "kind": N_("Kind"),
        "blocks": N_("What it stops"),
        "contact": N_("Whom the student contacts"),
        "until": N_("Until"),
        "note": N_("Note"),
    },
    {
        "kind": N_("Such as financial, library, or advising. The student sees it."),
        "contact": N_("The student sees it beside the hold."),
        "until": N_("By the clock of the school. Empty: until it is released."),
        "note": N_("For the staff only."),
    },
    {"blocks": lambda: [(key, _(text)) for key, text in BLOCKS.items()]},
)


@pages.show(f"{STUDENT}/holds", READ_ACCESS, tab=N_("Holds"))
def show_holds(student_id: int) -> Response:
    """Show the holds of a student, with those that have ended, and the form to place one."""
    rows = student_records.holds_of(student_id, SHOWN)
    now = utcnow()
    live = [row for row in rows if row.released_at is None and (row.until is None or row.until > now)]
    ended = [row for row in rows if row not in live]
    blocks = {key: _(text) for key, text in BLOCKS.items()}
    return render(
        "registrar/holds.html",
        live=live,
        ended=ended,
        blocks=blocks,
        actors=actors_in_words(actor for row in rows for actor in (row.placed_by, row.released_by)),
        form=FORM.shown(),
    )


@pages.act(f"{STUDENT}/holds", WRITE_ACCESS, form=FORM, page=show_holds)
def place_hold(form: Mapping[str, Any], student_id: int, context: RequestContext) -> Response:
    """Place a hold."""
    hold = service.place(student_id, form, context)
    return redirect(path_about(student_id, "/holds"), _("The hold “%(kind)s” is placed.", kind=hold.kind))


@pages.show(f"{STUDENT}/holds/<id:hold_id>/release", WRITE_ACCESS)
def confirm_release(student_id: int, hold_id: int) -> Response:
    """Say what the end of a hold allows, before it is released."""
    hold = next((row for row in student_records.holds_of(student_id, SEARCHED) if row.id == hold_id), None)
    if hold is None:
        raise HoldNotFound
    return render(
        "registrar/confirm.html",
        question=_("Release the hold “%(kind)s”?", kind=hold.kind),
        loss=_("It no longer stops %(what)s. A hold that is released stays so.", what=_(BLOCKS[hold.blocks])),
        facts=[
            (_("Whom to contact"), hold.contact),
            (_("Note"), hold.note),
            (_("Placed"), moment(hold.placed_at)),
            (_("Placed by"), actors_in_words([hold.placed_by])[hold.placed_by]),
        ],
        button=_("Release the hold"),
        keep=path_about(student_id, "/holds"),
    )


@pages.act(f"{STUDENT}/holds/<id:hold_id>/release", WRITE_ACCESS)
def release_hold(student_id: int, hold_id: int, context: RequestContext) -> Response:
    """Release a hold; doing so again changes nothing."""
    service.release(student_id, hold_id, context)
    return redirect(path_about(student_id, "/holds"), _("The hold is released."))
