"""The OpenAPI document, its page, and a page for each error code. They need nothing from other sites."""

from __future__ import annotations

import functools
import json
import threading
from pathlib import Path

import flask_swagger_ui
import orjson
from flask import Response, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from .. import __version__
from ..access.policy import PUBLIC
from ..database.types import MAX_ID
from ..errors import NotFound, Problem, all_codes
from ..http import assets
from ..http.assets import Asset
from ..http.endpoints import Endpoints
from ..http.headers import NOTHING
from ..http.openapi import Document
from ..http.pages import Pages
from ..schemas.problems import ProblemDetails

_lock = threading.Lock()
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent
# Swagger UI writes its settings and styles into the page itself; it never contains anything that a client sent.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
document = Pages("document", __name__, content_security_policy=NOTHING)
pages = Pages("pages", __name__, content_security_policy=POLICY, template_folder="templates")
swagger_ui = Pages(
    "swagger_ui",
    __name__,
    content_security_policy=POLICY,
    template_folder=str(SWAGGER_UI / "templates"),
    url_prefix="/docs",
)
PERMANENT = "public, max-age=31536000, immutable"
REVALIDATED = "public, no-cache"
"""Caches may store it and must revalidate it by its ETag each time."""
ERROR_BY_SLUG = {cls.slug(): cls for cls in all_codes().values()}
"""After the import of the schemas, by which the rules of installed packages are loaded."""
DESCRIPTION = (
    "Enroll students in courses. A course is never oversold, every enrollment call is safe to repeat, a refusal gives "
    "every reason, and every change has a line in a ledger.\n\n"
    "Errors are problem details (RFC 9457); `type` is a page that explains the code, and there is a "
    f"[list of all codes](/problems). Ids are integers from 1 to {MAX_ID}; times are UTC, and `updated_at` is the time "
    "of the last change by a client. Lists are paged with `limit` and the cursor `after`; the header `Link` has the "
    "address of the next page.\n\n"
    "Requests may have an `X-Request-ID` of 1 to 128 visible ASCII characters. Every response has it, or a new one; "
    "it is logged and kept in the ledger."
)
PAGE = {
    "dom_id": "#swagger-ui",
    "url": "/openapi.json",
    "deepLinking": True,
    "layout": "BaseLayout",  # without the bar that loads other documents
    "validatorUrl": None,  # it would send the document to swagger.io
    "oauth2RedirectUrl": None,  # there is no login, and the page needs no absolute address
}


@functools.cache
def _document(blueprints: tuple[Endpoints, ...]) -> Asset:
    """Make the document when it is first read: that takes ten times as long as the rest of the start."""
    openapi = Document(
        title="Course enrollment",
        version=__version__,
        description=DESCRIPTION,
        problem=ProblemDetails,
        example_path="/students/7",
    )
    for blueprint in blueprints:
        openapi.add(blueprint.name, blueprint.description, blueprint.endpoints)
    return Asset(orjson.dumps(openapi.as_dict()), "application/json")


@document.page("/openapi.json", PUBLIC)
def openapi_json() -> Response:
    """Return the OpenAPI document."""
    blueprints = tuple(blueprint for blueprint in current_app.blueprints.values() if isinstance(blueprint, Endpoints))
    with _lock:
        return _document(blueprints).response()


@document.page("/", PUBLIC)
def home() -> AnyResponse:
    """Redirect to the pages."""
    return redirect(f"{request.script_root}/app/")


@pages.page("/docs", PUBLIC)
def docs() -> Response:
    """Return the documentation page. The addresses of its assets change with their content."""
    version = assets.version_of(assets.of_folder(SWAGGER_UI / "dist"))
    page = render_template(
        "index.template.html", base_url=f"/docs/{version}", app_name="Course enrollment", config_json=json.dumps(PAGE)
    )
    response = Response(page, mimetype="text/html")
    response.headers["Cache-Control"] = REVALIDATED
    return response


@swagger_ui.page("/", PUBLIC)
@swagger_ui.page("/<path:path>", PUBLIC)
def show(path: str = "") -> Response:
    """Return the same page, or one of its assets."""
    if not path:
        return docs()
    asset_by_name = assets.of_folder(SWAGGER_UI / "dist")
    version, _, name = path.rpartition("/")
    if name not in asset_by_name or version not in {"", assets.version_of(asset_by_name)}:
        raise NotFound
    return asset_by_name[name].response(PERMANENT if version else REVALIDATED)


@pages.page("/problems/<slug>", PUBLIC)
def problem_page(slug: str) -> Response:
    """Return the page of one error code: what it means, and what to do."""
    slug = slug.replace("_", "-")  # a code as it is in a response
    if slug not in ERROR_BY_SLUG:
        raise NotFound
    problem = ERROR_BY_SLUG[slug]
    status = problem.status if issubclass(problem, Problem) else None
    return Response(render_template("problem.html", problem=problem, status=status), mimetype="text/html")


@pages.page("/problems", PUBLIC)
def problem_list() -> Response:
    """Return the list of all error codes."""
    return Response(render_template("problems.html", problems=ERROR_BY_SLUG), mimetype="text/html")
