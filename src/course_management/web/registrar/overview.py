"""The start page of registrars."""

from __future__ import annotations

from flask import Response

from ...access.policy import PageAccess
from ..pages import AppPages, render
from ..texts import N_

pages = AppPages("registrar", area=N_("Registrar"))


@pages.show("/registrar", PageAccess(scope="students:read"), link=N_("Overview"))
def show_overview() -> Response:
    """Show where a registrar finds what."""
    return render("registrar/overview.html")
