"""What browsers are told: to guess nothing, to run nothing that is not ours, and which other sites may ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

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
# Of the CORS protocol (https://fetch.spec.whatwg.org/#http-cors-protocol), for the origins of `CORS_ORIGINS`. No
# credentials: API routes use bearer tokens, never cookies.
ON_CORS = [("Access-Control-Expose-Headers", "ETag, Link, Location, Retry-After, WWW-Authenticate, X-Request-ID")]
ON_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, X-Request-ID"),
    ("Access-Control-Max-Age", "600"),
]


def init_app(app: Flask, settings: Settings) -> None:
    """Put the headers on every response, and permit the pages of `CORS_ORIGINS` to call the API."""
    app.wsgi_app = _with_headers(app.wsgi_app, frozenset(settings.cors_origins))  # type: ignore[method-assign, assignment]


def _with_headers(inner: WSGIApplication, origins: frozenset[str]) -> WSGIApplication:
    """Not an `after_request`: there, each header costs ten calls, and an error in another hook would lose them."""

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        more = ON_PAGES if environ["PATH_INFO"].startswith(PAGES) else ON_DATA
        if origins:
            more = [*more, *_cors(environ, origins)]

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            headers.extend(more)
            return start_response(status, headers, *error)

        return inner(environ, start)

    return outer


def _cors(environ: WSGIEnvironment, origins: frozenset[str]) -> list[tuple[str, str]]:
    """Headers that let a page of the request's origin read the response, if it is one of `origins`."""
    headers = [("Vary", "Origin")]
    origin = environ.get("HTTP_ORIGIN", "")
    if origin in origins:
        preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        headers += [("Access-Control-Allow-Origin", origin), *(ON_PREFLIGHT if preflight else ON_CORS)]
    return headers
