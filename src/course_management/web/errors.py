"""Errors of all paths below `/app` are pages, with the same reason texts as the API."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, request

from ..context import current
from ..errors import Unauthenticated
from ..http import problems
from ..http.problems import as_problem
from .field_errors import in_words
from .pages import is_page, redirect, render, root
from .reasons import decisions_in_words
from .remedies import remedy_of
from .texts import N_, _


def init_app(app: Flask, unknown_page: str) -> None:
    """Respond with pages to errors below `/app`, also before a view is found: `unknown_page` is the endpoint then."""
    (rule,) = app.url_map.iter_rules(unknown_page)

    def respond_to_any(error: Exception) -> Response:
        if not is_page(request.environ["PATH_INFO"]):
            return problems.respond(error)
        request.url_rule = rule  # whose headers the response gets
        return respond(error)

    app.register_error_handler(Exception, respond_to_any)


def respond(error: Exception) -> Response:
    """Return the page of whatever was raised. Without a session, it is the page to sign in."""
    problem = as_problem(error)
    if isinstance(problem, Unauthenticated):
        return redirect(f"/login?{_where_to_go_on()}")
    context = current.get()
    response = render(
        "error.html",
        problem.status,
        problem=problem,
        detail=_(problem.detail),
        remedy=remedy_of(problem.code),
        decisions=decisions_in_words(problem.members.get("decisions", ())),
        errors=[_in_words(error) for error in problem.members.get("errors", ())],
        request_id=context.request_id if context else None,
        back=_back(),
    )
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response


NAMES = {
    "after": N_("The beginning of the page"),
    "as_of": N_("The time"),
    "before": N_("The beginning of the page"),
    "course_ids": N_("The plan"),
    "instead_of": N_("The course to leave"),
    "q": N_("The words"),
    "student_id": N_("The id of the student"),
    "term_id": N_("The term"),
}
"""What people call the parameters of pages. Forms have labels, and say what is wrong beside their fields."""


def _in_words(error: Mapping[str, str]) -> str:
    name = error["pointer"].split("/")[1] if error["pointer"] else ""
    return in_words(error["detail"], _(NAMES.get(name, N_("The address of the page"))), {})


def _where_to_go_on() -> str:
    """Return the query of the page to sign in. What a form has sent without a session is lost, and that is said."""
    if request.method == "POST":
        return urlencode({"lost": 1})
    path = request.path.removeprefix("/app")
    query = request.query_string.decode("ascii", "replace")
    return urlencode({"next": f"{path}?{query}" if query else path})


def _back() -> str | None:
    """Return the path of the page that the visitor comes from, if it is a page of this service."""
    parts = urlsplit(request.referrer or "")
    present = f"{request.script_root}{request.path}", request.query_string.decode("ascii", "replace")
    is_other = request.method == "POST" or (parts.path, parts.query) != present
    is_ours = parts.netloc == request.host and parts.path.startswith(root()) and is_other
    return f"{parts.path}?{parts.query}" if is_ours and parts.query else parts.path if is_ours else None
