"""The hooks around every view; `app.create_app` lists them in order."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from flask import Flask, Response, current_app, request
from flask.globals import request_ctx
from werkzeug.routing import IntegerConverter

from .. import context, metrics
from ..config import Settings
from ..database.types import MAX_ID
from ..errors import BadRequest, HeadersTooLarge, MethodNotAllowed, NotFound, UriTooLong
from .headers import ON_DATA, cors
from .pages import Pages

MAX_URI, MAX_HEADERS = 8192, 8192
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""The header of W3C Trace Context, in the part that all versions have in common."""

log = structlog.get_logger("course_management.request")


def init_app(app: Flask, settings: Settings) -> None:
    """Set the limits, and the form of an id in a path."""
    app.extensions["deadline_s"] = settings.database_deadline_ms / 1000
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["cors_origins"] = frozenset(settings.cors_origins)
    app.url_map.converters["id"] = IdConverter
    # An address is right or wrong; a redirect would lose the body.
    app.url_map.merge_slashes = app.url_map.redirect_defaults = False


def begin_request() -> None:
    """Create the context of the request: its id, its start, the deadline of its database work, the school's zone."""
    environ = request.environ
    context.current.set(
        context.RequestContext(
            request_id=choose_request_id(environ.get("HTTP_X_REQUEST_ID")),
            traceparent=valid_traceparent(environ.get("HTTP_TRACEPARENT")),
            deadline=time.monotonic() + current_app.extensions["deadline_s"],
            time_zone=current_app.extensions["time_zone"],
        )
    )


def choose_request_id(header: str | None) -> str:
    """Return the id of a request: the one that the client gave in X-Request-ID or, without a valid one, a new one."""
    if header is not None and REQUEST_ID.fullmatch(header):
        return header
    # Not `secrets`: asking the system for random bytes gives the interpreter lock to another thread, in each request.
    return f"{random.getrandbits(128):032x}"


def valid_traceparent(header: str | None) -> str | None:
    """Return the `traceparent` that a proxy or client gave; None without a valid one."""
    return header if header is not None and TRACEPARENT.fullmatch(header) else None


def refuse_malformed() -> None:
    """Refuse a request that is too long or ambiguous; see `check_request`."""
    # Flask documents `_get_current_object`, in spite of its underscore.
    this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - saves 1.3 µs per access
    check_request(this.environ, this.view_args or {}, _allowed_methods)


def _allowed_methods() -> Iterable[str]:
    return request_ctx.url_adapter.allowed_methods() if request_ctx.url_adapter else ()


def record_request(response: Response) -> Response:
    """Count the request, and write its log line."""
    this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - saves 1.3 µs per access
    # The route and its ids, never the raw path: what else a client wrote there may be personal.
    route = this.url_rule.rule if this.url_rule else None
    if request_context := context.current.get():
        seconds = time.perf_counter() - request_context.started
        metrics.request_done(this.method, route, response.status_code, seconds)
    log.info(
        "request",
        method=this.method,
        route=route,
        **{name: value for name, value in (this.view_args or {}).items() if isinstance(value, int)},
        status=response.status_code,
    )
    return response


def add_headers(response: Response) -> Response:
    """Add the id of the request, security headers and CORS headers."""
    request_context = context.current.get()
    if request_context and request_context.request_id:
        response.headers["X-Request-ID"] = request_context.request_id
    blueprint = current_app.blueprints.get(request.blueprint or "")
    if isinstance(blueprint, Pages):
        for name, value in blueprint.headers:
            response.headers.setdefault(name, value)
    else:
        response.headers.extend(ON_DATA)
    if origins := current_app.extensions["cors_origins"]:
        response.headers.extend(cors(request.environ, origins))
    return response


def end_request(_: BaseException | None) -> None:
    """Forget the context of the request."""
    context.current.set(None)


class IdConverter(IntegerConverter):
    """An id in a path: digits, without leading zeros. `check_request` limits it to `MAX_ID`."""

    regex = "[1-9][0-9]{0,18}"


def check_request(
    environ: Mapping[str, Any], path_values: Mapping[str, Any], allowed_methods: Callable[[], Iterable[str]]
) -> None:
    """Refuse a request that is too long, or that a proxy and this service may read in different ways.

    Raises `UriTooLong`, `HeadersTooLarge`, `BadRequest`, `MethodNotAllowed`, and `NotFound` for an id above `MAX_ID`.
    """
    # granian passes only the decoded path: there, an encoded slash is the same as a slash (decision 20).
    raw = environ.get("RAW_URI")
    if len(raw or f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}") > MAX_URI:
        raise UriTooLong
    if raw and "%2f" in raw.partition("?")[0].lower():
        raise NotFound
    size = 0
    for name, value in environ.items():  # a loop, because a generator costs each request twice as much
        if name[:5] == "HTTP_":
            size += len(name) + len(value)
    if size > MAX_HEADERS:
        raise HeadersTooLarge
    host = environ.get("HTTP_HOST")
    if "," in host if host else environ["SERVER_PROTOCOL"] == "HTTP/1.1":
        raise BadRequest("A request has exactly one Host header.")
    if environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
        raise BadRequest("The only Transfer-Encoding that this service supports is chunked, applied once.")
    if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
        raise BadRequest("This service has no WebSockets.")  # Werkzeug would report another method as missing
    if environ["PATH_INFO"].startswith("//"):
        raise NotFound  # Werkzeug reads any number of slashes as one
    if not environ["REQUEST_METHOD"].isupper():
        # Werkzeug reads `get` as GET; methods are case-sensitive (RFC 9110, 9.1).
        raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(allowed_methods()))})
    # Not in the converter: for an id that the converter refuses, Werkzeug would respond 405 if the path has other
    # methods.
    for value in path_values.values():
        if type(value) is int and value > MAX_ID:
            raise NotFound
