"""What browsers are told: to guess nothing, to run nothing that is not ours, and which other sites may ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors import CORS

from ..config import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ON_EVERY_ANSWER = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
ON_DATA = [
    *ON_EVERY_ANSWER,
    # Whoever keeps it asks each time whether it is still true (ETag), and no proxy keeps it for others.
    ("Cache-Control", "private, no-cache"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]
# Swagger UI writes its settings and its styles into the page itself; nothing of a client's is ever in there.
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ON_PAGES = [*ON_EVERY_ANSWER, ("Content-Security-Policy", PAGE_POLICY)]
PAGES = ("/docs", "/problems")
EXPOSED = ["ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID"]
ACCEPTED = ["Authorization", "Content-Type", "If-Match", "If-None-Match", "X-Request-ID"]


def init_app(app: Flask, settings: Settings) -> None:
    """Put the headers on every answer, and let the pages of `CORS_ORIGINS` ask, if there are any."""
    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[method-assign, assignment]
    if settings.cors_origins:
        # Without credentials: nobody is recognised by a cookie here.
        CORS(app, origins=list(settings.cors_origins), allow_headers=ACCEPTED, expose_headers=EXPOSED, max_age=600)


def _with_headers(inner: WSGIApplication) -> WSGIApplication:
    """Not an `after_request`: there, each header costs ten calls, and an error in another hook would lose them."""

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        more = ON_PAGES if environ["PATH_INFO"].startswith(PAGES) else ON_DATA

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            headers.extend(more)
            return start_response(status, headers, *error)

        return inner(environ, start)

    return outer
