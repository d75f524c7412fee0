"""Error pages without the application: the server refuses a request because it is overloaded, or has failed.

They cost little, need neither Flask nor the database, and name the styles that browsers have stored already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

from markupsafe import Markup

from ..config import Settings
from ..errors import Problem
from ..http import assets
from ..http.hooks import choose_request_id
from .assets import FOLDER
from .pages import PAGE_HEADERS, is_page
from .remedies import LATER, REMEDIES
from .texts import of_environ

Response: TypeAlias = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""
ProblemResponse: TypeAlias = Callable[[type[Problem], Mapping[str, Any]], Response]
STYLES = ("pico-2.1.1.min.css", "app.css")
PAGE = Markup(
    """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
{styles}</head>
<body>
<main id="main">
<h1>{title}</h1>
<div class="notice" role="alert">
<p>{meaning}</p>
<p>{remedy}</p>
</div>
<p>{advice}</p>
<p class="note">{help}</p>
</main>
</body>
</html>
"""
)
AGAIN = Markup('<a href="{}">{}</a>')


def with_pages(settings: Settings, of_data: ProblemResponse) -> ProblemResponse:
    """Return a function that responds with a page to requests below `/app`, and to others as `of_data` does."""
    prefix = urlsplit(settings.base_url).path
    files = assets.of_folder(FOLDER)
    link = Markup('<link rel="stylesheet" href="{}">\n')
    styles = Markup("").join(link.format(f"{prefix}/app/assets/{files[name].tag}/{name}") for name in STYLES)

    def respond(problem: type[Problem], environ: Mapping[str, Any]) -> Response:
        path = environ["PATH_INFO"].removeprefix(prefix)
        if not is_page(path):
            return of_data(problem, environ)
        request_id = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
        language, translations = of_environ(environ)
        say = translations.gettext
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            address = f"{prefix}{quote(path)}{'?' if environ['QUERY_STRING'] else ''}{environ['QUERY_STRING']}"
            advice: str = AGAIN.format(address, say("Try again"))
        else:
            advice = say("Go back and send the form again.")
        body = PAGE.format(
            language=language,
            styles=styles,
            title=say(problem.title),
            meaning=say(problem.meaning),
            remedy=say(REMEDIES.get(problem.code, LATER)),
            advice=advice,
            help=say("If you ask for help, give this number: %(id)s") % {"id": request_id},
        ).encode("utf-8", "replace")
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("X-Request-ID", request_id),
            *problem.always.items(),
            *PAGE_HEADERS,
        ]
        return problem.status, headers, body

    return respond
