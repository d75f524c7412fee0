"""Headers of responses for browsers: security headers, and CORS for the origins that may call the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ON_EVERY_RESPONSE = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
# Caches must revalidate (ETag), and proxies must not store a response for other callers.
PRIVATE = ("Cache-Control", "private, no-cache")
NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of what is not a page: no scripts, styles or images."""
ON_DATA = [
    *ON_EVERY_RESPONSE,
    PRIVATE,
    ("Content-Security-Policy", NOTHING),
]
# Of the CORS protocol (https://fetch.spec.whatwg.org/#http-cors-protocol), for the origins of `CORS_ORIGINS`. No
# credentials: API routes use bearer tokens, never cookies.
ON_CORS = [("Access-Control-Expose-Headers", "ETag, Link, Location, Retry-After, WWW-Authenticate, X-Request-ID")]
ON_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, X-Request-ID"),
    ("Access-Control-Max-Age", "600"),
]


def cors(environ: Mapping[str, Any], origins: frozenset[str]) -> list[tuple[str, str]]:
    """Return headers that let a page of the request's origin read the response, if it is one of `origins`."""
    headers = [("Vary", "Origin")]
    origin = environ.get("HTTP_ORIGIN", "")
    if origin in origins:
        preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        headers += [("Access-Control-Allow-Origin", origin), *(ON_PREFLIGHT if preflight else ON_CORS)]
    return headers
