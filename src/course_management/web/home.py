"""The start page: the first page of the navigation that is for the visitor."""

from __future__ import annotations

from flask import Response

from ..access.policy import PageAccess
from ..access.visitors import Visitor
from .pages import AppPages, links_for, redirect, render

pages = AppPages("home", template_folder="templates")


@pages.show("/", PageAccess(scope="courses:read", every_person=True))
def show_home(visitor: Visitor) -> Response:
    """Go to the first page that is for the visitor, or say that there is none."""
    for menu in links_for(visitor):
        return redirect(menu.links[0].path)
    return render("home.html")
