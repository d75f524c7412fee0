"""What people read: the API document, its page, and a page for each error code. All of it works offline."""

from __future__ import annotations

import flask_swagger_ui
from flask import Blueprint, Flask, Response, current_app, make_response, redirect, render_template
from werkzeug.wrappers import Response as AnyResponse

from .. import __version__
from ..errors import NotFound, Problem, catalogue
from ..models import MAX_ID
from . import courses, enrollment, health, students
from .openapi import Api

pages = Blueprint("pages", __name__, template_folder="templates")
CATALOGUE = {cls.slug(): cls for cls in catalogue().values()}
DESCRIPTION = (
    "Which student is in which course. Never oversold, every enrollment call safe to repeat, every refusal "
    "explained with every reason, every change in a ledger.\n\n"
    "Errors are problem details (RFC 9457); `type` is a page that explains the code, and there is a "
    f"[list of all codes](/problems). Ids are integers from 1 to {MAX_ID}; times are UTC. Lists are paged with "
    "`limit` and the cursor `after`. `X-Request-ID` is accepted, echoed, logged and kept in the ledger."
)
PAGE = {
    "app_name": "Course enrollment",
    "layout": "BaseLayout",  # without the bar that loads other people's documents
    "validatorUrl": None,  # it would send the document to swagger.io
    "oauth2RedirectUrl": None,  # there is no login, and the page needs no absolute address
}


def init_app(app: Flask) -> None:
    """Register the documented blueprints, their OpenAPI document, and the pages."""
    app.config["OPENAPI_URL_PREFIX"] = "/"
    api = Api(
        app,
        title="Course enrollment",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
    )
    for module in (enrollment, students, courses, health):
        api.register_blueprint(module.blp)
    app.register_blueprint(pages)
    app.register_blueprint(flask_swagger_ui.get_swaggerui_blueprint("/docs", "/openapi.json", config=PAGE))


@pages.get("/")
def home() -> AnyResponse:
    """The documentation page is the front page."""
    return redirect("/docs")


@pages.get("/docs")
def docs() -> AnyResponse:
    """The page itself, without the slash that its own blueprint insists on."""
    return make_response(current_app.view_functions["swagger_ui.show"]())


@pages.get("/problems/<slug>")
def problem_page(slug: str) -> Response:
    """Explain one code to a person: what it means, and what to do."""
    slug = slug.replace("_", "-")  # a code as it stands in an answer
    if slug not in CATALOGUE:
        raise NotFound
    found = CATALOGUE[slug]
    status = found.status if issubclass(found, Problem) else None
    return Response(render_template("problem.html", problem=found, status=status), mimetype="text/html")


@pages.get("/problems")
def problem_list() -> Response:
    """List every code."""
    return Response(render_template("problems.html", problems=CATALOGUE), mimetype="text/html")
