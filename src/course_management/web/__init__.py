"""The pages: what people use in a browser, below `/app`. Server-rendered, and complete without JavaScript.

A view is beside its access row; it calls the same services and repositories as the API and contains no rule. To add a
page: a view in the module of its topic, a template in `templates/`, see docs/extending.md.

pages          declare a page; render templates, redirect after a change, report what was done
errors         errors as pages
plain_errors   error pages of an overloaded server
actors         who has changed something, in words
reasons        decisions and their reasons in words
reason_texts   what the pages say about each reason: one entry per code
remedies       what a person can do about a problem
texts          gettext
addressing     whom a text speaks to: the student, or the staff about the student
moments        times in the school's time zone
static         style sheets and scripts; Pico and htmx are vendored
sign_in        sign in and out, view the pages as a student in protected mode
home           the start page
subjects       the student whom a page of the staff is about
seats          the seats of a course
last_search    what somebody has looked for among the students
forms          what queries and searches take
field_forms    forms that are loaded by the schemas of the API
tables         forms that are tables
references     codes that people write where the API has ids
refusals       why a form was refused
field_errors   what is wrong about a field, in words
lists          lists that belong to a resource
plots          seats over time as a picture
week           the timetable as a picture
assets         files of `static`, with their versions
prefix         the path prefix of a proxy
students       pages of students, also shown to the staff
registrar      pages of registrars
"""

from __future__ import annotations

from flask import Flask, Response

from ..access.policy import PageAccess
from ..config import Settings
from ..database.types import as_number, utcnow
from ..errors import NotFound
from . import assets, errors, home, moments, seats, sign_in, subjects, texts
from .pages import AppPages, same_page
from .prefix import WithPrefix
from .reasons import status_in_words
from .registrar import PAGES as OF_REGISTRARS
from .students import PAGES as OF_STUDENTS

PAGES: tuple[AppPages, ...] = (home.pages, *OF_STUDENTS, *OF_REGISTRARS, sign_in.pages)
"""In the order of the table in docs/access.md."""

unknown = AppPages("unknown_page")


@unknown.page("/<path:path>", PageAccess(scope=None), methods=("GET", "POST"))
def unknown_page(path: str) -> Response:  # noqa: ARG001 - Flask passes it
    """Say that there is no such page, as a page."""
    raise NotFound


for blueprint in (*PAGES, unknown):
    blueprint.register_error_handler(Exception, errors.respond)


def init_app(app: Flask, settings: Settings) -> None:
    """Register the pages, and what their templates use."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    texts.init_app(app)
    app.jinja_env.filters["credits"] = as_number
    app.jinja_env.globals.update(same_page=same_page, status_in_words=status_in_words)
    moments.init_app(app)
    seats.init_app(app)
    assets.init_app(app)
    subjects.init_app(app)
    sign_in.init_app(app, settings)
    app.extensions["started_at"] = utcnow()
    for each in (*PAGES, unknown):
        app.register_blueprint(each)
    app.register_blueprint(assets.files)
    errors.init_app(app, f"{unknown.name}.{unknown_page.__name__}")
    if prefix := app.extensions["authentication"].pages.prefix:
        app.wsgi_app = WithPrefix(app.wsgi_app, prefix)  # type: ignore[method-assign]


__all__ = ["PAGES", "init_app"]
