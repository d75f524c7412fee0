"""The health of the service: whether its data is consistent, what waits to be done, and the state of this process."""

from __future__ import annotations

import os

from flask import Response, current_app

from ... import __version__
from ...access.policy import PageAccess
from ...database import SCHEMA_REVISION, schema_state
from ...database.types import MAX_ID, utcnow
from ...maintenance import checks, verification_runs
from ...repositories import imports as import_repository
from ...repositories.course_lookup import course_codes
from ...services.enrollment import due_courses
from ..pages import AppPages, redirect, render
from ..texts import N_, _
from .imports import states

pages = AppPages("registrar_health", area=N_("Registrar"))
READ_ACCESS = PageAccess(scope="admin")
SHOWN = 5
DUE_SHOWN = 20
PATIENCE_S = 5.0
"""How long a request waits for the result of a verification: that of a small school takes a second."""


@pages.show("/registrar/health", READ_ACCESS, link=N_("Health"))
def show_health() -> Response:
    """Show whether the data is consistent, what waits to be done, and the state of this process."""
    settings = current_app.extensions["settings"]
    due = due_courses()
    return render(
        "registrar/health.html",
        problem=checks.not_ready(),
        version=__version__,
        schema=schema_state().revision,
        own_schema=SCHEMA_REVISION,
        findings=checks.find(settings),
        process_id=os.getpid(),
        started_at=current_app.extensions["started_at"],
        up_s=(utcnow() - current_app.extensions["started_at"]).total_seconds(),
        threads=settings.threads,
        background=settings.background,
        workers=settings.workers,
        due=sorted(course_codes(due[:DUE_SHOWN]).items(), key=lambda pair: pair[1]),
        due_count=len(due),
        imports=import_repository.newest(MAX_ID, SHOWN),
        states=states(),
        verification=verification_runs.last_result(),
        is_verifying=verification_runs.is_running(),
    )


@pages.act("/registrar/health/verify", READ_ACCESS)
def verify() -> Response:
    """Verify the database in the background, and show the result if it is there soon."""
    thread = verification_runs.begin(current_app.extensions["settings"])
    if thread:
        thread.join(PATIENCE_S)
        if not thread.is_alive():
            return redirect("/registrar/health", _("The verification has ended."))
    return redirect("/registrar/health", _("The verification is going on. Open this page again in a minute."))
