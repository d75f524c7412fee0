"""Declare a page: its route, its access row, what it takes; and how pages respond.

A view gets by name the values of its path and what it has parameters for: `query` or `form`, loaded by the schema of
the declaration, the `context` of the request, and the `visitor`. A student's own page gets `student_id`, as if it were
in its path, so that the staff can have the same page with the student in the path.

A view calls services and repositories, as the API does, and returns `render(template, …)` or, after a change,
`redirect(path, sentence)`. Refusals are raised: `errors.py` makes pages of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import flask
from flask import Response, current_app, g, request, url_for
from marshmallow import EXCLUDE, Schema

from ..access import sessions
from ..access.policy import PageAccess
from ..access.visitors import Visitor
from ..context import current
from ..http.headers import ON_EVERY_RESPONSE
from ..http.pages import Pages
from ..http.parsing import load_query
from . import refusals, texts
from .refusals import PageForm, Refusal

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline scripts and styles: text that somebody smuggles into a page does nothing."""
HEADERS = {
    # With `no-referrer`, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    # A page that is not stored is not shown after the sign-out, nor as it was before a change ("back").
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGE_HEADERS = [*((name, value) for name, value in ON_EVERY_RESPONSE if name not in HEADERS), *HEADERS.items()]
"""What every page has, errors included."""
STUDENT = "/registrar/students/<id:student_id>"
"""The path of the pages about a student for the staff, which have the same rest as those that the student has."""
View = Callable[..., Any]


class Form(Schema):
    """What a page takes from its address or form. Anything else in them is ignored: it may be a browser extension's."""

    class Meta:
        """Marshmallow's options."""

        unknown = EXCLUDE


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the navigation: shown to callers that have access to its page."""

    path: str
    label: str
    access: PageAccess


@dataclass(frozen=True, slots=True)
class Shown:
    """A page as it is shown: its access row, and the function that Flask calls."""

    access: PageAccess
    handle: View


class AppPages(Pages):
    """A blueprint of pages below `/app`. `area` is whose pages they are, and the heading of their navigation."""

    def __init__(self, name: str, *, area: str = "", **options: Any) -> None:
        super().__init__(name, "course_management.web", content_security_policy=POLICY, url_prefix="/app", **options)
        self.area = area
        self.links: list[Link] = []
        self.tabs: list[Link] = []
        self._shown: dict[View, Shown] = {}
        self.headers = PAGE_HEADERS

    def show(
        self, rule: str, access: PageAccess, *, query: type[Schema] | None = None, link: str = "", tab: str = ""
    ) -> Callable[[View], View]:
        """Register the decorated view as a page. It changes nothing. `query` loads what its address says after `?`.

        With `link`, the page is in the navigation under this name; with `tab`, in that of the pages about a student.
        """
        if link:
            self.links.append(Link(rule, link, access))
        if tab:
            self.tabs.append(Link(rule.removeprefix(STUDENT), tab, access))
        loader = query() if query else None

        def register(view: View) -> View:
            handle = _handler(view, access, "query", lambda: load_query(request.args, loader) if loader else None)
            self._shown[view] = Shown(access, handle)
            self.page(rule, access)(handle)
            return view

        return register

    def act(
        self, rule: str, access: PageAccess, *, form: type[Schema] | PageForm | None = None, page: View | None = None
    ) -> Callable[[View], View]:
        """Register the decorated view as what a form does. `form` reads the fields.

        `page` is the view of the page that has the form. If the form is refused, this page is shown again, with what
        was entered and what is wrong about it.
        """
        loader, fields = (form(), None) if isinstance(form, type) else (None, form)

        def read() -> Any:
            return load_query(request.form, loader) if loader else fields and fields.read(request.form)

        def register(view: View) -> View:
            handle = _handler(view, access, "form", read)
            if fields and page:
                handle = _shown_again(handle, fields, self._shown[page])
            self.page(rule, access, methods=["POST"])(handle)
            return view

        return register


def _handler(view: View, access: PageAccess, name: str, read: Callable[[], Any]) -> View:
    """Return the function that Flask calls, which passes to a view what it has parameters for."""
    takes = frozenset(inspect.signature(view).parameters)

    def handle(**values: Any) -> Any:
        texts.speak_to(is_student=access.own)
        given = read()
        if name in takes:
            values[name] = given
        if "context" in takes:
            values["context"] = current.get()
        if "visitor" in takes:
            values["visitor"] = visitor()
        if access.own:
            values["student_id"] = visitor().student_id
        return view(**values)

    handle.__name__, handle.__doc__ = view.__name__, view.__doc__
    return handle


def _shown_again(handle: View, form: PageForm, page: Shown) -> View:
    """Return the function that Flask calls, which shows the page of a form again if the form is refused."""

    @functools.wraps(handle)
    def handle_or_show(**values: Any) -> Any:
        try:
            return handle(**values)
        except refusals.REFUSED as problem:
            is_visible = visitor().may(page.access, values.get("student_id"), values.get("course_id"))
            if "decisions" in problem.members or not is_visible:
                raise
            path = url_for(f".{page.handle.__name__}", **values)
            refusals.set_refusal(Refusal(form, request.form, problem, path))
            return page.handle(**values)

    return handle_or_show


def visitor() -> Visitor:
    """Return the visitor of the present page; one who has not signed in where authentication failed."""
    found: Visitor = g.get("visitor") or Visitor()
    return found


def is_page(path: str) -> bool:
    """Return whether a path, without prefix, is below `/app`."""
    return path == "/app" or path.startswith("/app/")


def root() -> str:
    """Return the path of the pages, with the prefix behind which a proxy has the service: `/app`."""
    return f"{request.script_root}/app"


def render(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page made from a template. What was to be reported on the next page is reported on this one.

    A page that is shown again because its form is refused has the status of the refusal.
    """
    seen, refusal = visitor(), refusals.current_refusal()
    flash = seen.session.flash if seen.session else None
    if flash:
        sessions.set_flash(seen.session.digest, None)  # type: ignore[union-attr]
    status = refusal.problem.status if refusal and status == HTTPStatus.OK else status
    values = {
        "flash": flash,
        "root": root(),
        "visitor": seen,
        "menus": links_for(seen),
        "refusal": refusal,
        **texts.for_templates(),
        **values,
    }
    return Response(flask.render_template(template, **values), status, mimetype="text/html")


@dataclass(frozen=True, slots=True)
class Menu:
    """An area of the navigation that has pages for the visitor."""

    area: str
    links: Sequence[Link]
    is_present: bool
    """Whether the present page belongs to it."""


def links_for(seen: Visitor) -> list[Menu]:
    """Return the areas that have pages for a visitor, with the links to them."""
    present = current_app.blueprints.get(request.blueprint or "")
    areas: dict[str, list[Link]] = {}
    if seen.is_signed_in:
        for blueprint in current_app.blueprints.values():
            if isinstance(blueprint, AppPages):
                links = [each for each in blueprint.links if seen.may(each.access)]
                areas.setdefault(blueprint.area, []).extend(links)
    area = present.area if isinstance(present, AppPages) else ""
    return [Menu(name, links, name == area) for name, links in areas.items() if links]


def see_other(address: str) -> Response:
    """Redirect to an address, to be read with GET."""
    return Response(status=303, headers={"Location": address}, mimetype="text/html")


def redirect(path: str, sentence: str | None = None) -> Response:
    """Redirect to a page of `/app` after a change, so that reloading it does not send the form again.

    The page reports `sentence`. In protected mode, a session begins for that.
    """
    response = see_other(f"{root()}{path}")
    if sentence:
        _report(response, sentence)
    return response


def _report(response: Response, sentence: str) -> None:
    seen = visitor()
    if seen.session:
        sessions.set_flash(seen.session.digest, sentence[:1000])
    elif seen.is_protected:
        set_cookie(response, sessions.begin("protected", sessions.NOBODY, sentence[:1000]))


def same_page(**changed: Any) -> str:
    """Return the query of a link to this page with other values, such as the next part of a list."""
    values = {**request.args.to_dict(), **changed}
    return f"?{urlencode({name: value for name, value in values.items() if value not in (None, '')})}"


def set_cookie(response: Response, session_id: str) -> None:
    """Give the browser the id of a session."""
    pages = current_app.extensions["authentication"].pages
    response.set_cookie(pages.cookie, session_id, path=pages.prefix or "/", secure=True, httponly=True, samesite="Lax")


def delete_cookie(response: Response) -> None:
    """Take the id of the session from the browser."""
    pages = current_app.extensions["authentication"].pages
    response.delete_cookie(pages.cookie, path=pages.prefix or "/", secure=True, httponly=True, samesite="Lax")


def local(path: str | None) -> str:
    """Return a path below `/app` that a link may name as where to go on; of any other, the home page.

    A path of another site would send somebody who has just signed in there.
    """
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return "/"


__all__ = [
    "AppPages",
    "Form",
    "delete_cookie",
    "is_page",
    "local",
    "redirect",
    "render",
    "root",
    "set_cookie",
    "visitor",
]
