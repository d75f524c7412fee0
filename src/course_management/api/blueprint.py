"""How an endpoint is declared: a route, what comes in, what goes out, what it refuses with.

A thin, typed layer over flask-smorest, which validates the input by its schema and writes the OpenAPI document
from the same declaration. Views return the finished answer; the schemas of answers document it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

import flask_smorest
from flask import Response, request
from marshmallow import Schema

from ..access import policy
from ..errors import (
    BadRequest,
    DatabaseUnavailable,
    Forbidden,
    HeadersTooLarge,
    InternalError,
    LengthRequired,
    MalformedJson,
    Overloaded,
    PayloadTooLarge,
    Problem,
    ProtectedMode,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)
from ..logs import this_request
from ..schemas.outgoing import EXAMPLE_IDS, Page, ProblemDetails, problem_example
from .openapi import TAG, Api
from .requests import StrictParser, read_body, validation_failed

View = Callable[..., Response]
Decorator = Callable[[View], View]
EVERYWHERE = (
    BadRequest,
    ProtectedMode,
    ValidationFailed,
    UriTooLong,
    HeadersTooLarge,
    InternalError,
    DatabaseUnavailable,
    Overloaded,
)
UNLESS_PUBLIC = (Unauthenticated, Forbidden, TooManyRequests)
WITH_JSON = (MalformedJson, PayloadTooLarge, UnsupportedMediaType)
WITH_RAW_BODY = (LengthRequired, PayloadTooLarge, UnsupportedMediaType)

ETAG = {"ETag": {"description": "For If-Match and If-None-Match.", "schema": {"type": "string"}, "example": TAG}}
LOCATION = {"Location": {"description": "Where the new one is.", "schema": {"type": "string"}}}
LINK = {"Link": {"description": 'The next page, as `rel="next"`, if there is one.', "schema": {"type": "string"}}}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait before repeating.", "schema": {"type": "integer"}}}
WWW_AUTHENTICATE = {"WWW-Authenticate": {"description": "What is missing or wrong.", "schema": {"type": "string"}}}
HEADERS = {
    Unauthenticated.status: WWW_AUTHENTICATE,
    DatabaseUnavailable.status: RETRY_AFTER,
    TooManyRequests.status: RETRY_AFTER,
}


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose endpoints say everything about themselves in their decorators."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, **kwargs: Any) -> None:
        super().__init__(name, import_name, **kwargs)
        self._queried: set[str] = set()
        self._bodiless: set[str] = set()
        self.before_request(self._refuse_unexpected)

    def register_views_in_doc(self, api: Api, *args: Any, **kwargs: Any) -> None:
        """Add this blueprint's chapter to the document, later."""
        api.chapters.append(functools.partial(super().register_views_in_doc, api, *args, **kwargs))

    def _refuse_unexpected(self) -> None:
        if request.endpoint in self._bodiless and "Transfer-Encoding" in request.headers:
            raise LengthRequired  # nobody reads this body, so nobody would see that the client was lost in the middle
        if request.query_string and request.endpoint not in self._queried and request.args:
            raise validation_failed({name: ["Unknown parameter."] for name in request.args})

    def endpoint(self, method: str, rule: str, *problems: type[Problem]) -> Decorator:
        """Register a view at a route, with the problems it can answer; those of every route are added."""

        def declare(view: View) -> View:
            documented = getattr(view, "_apidoc", {})
            locations = {each["in"] for each in documented.get("arguments", {}).get("parameters", [])}
            has_raw_body = "requestBody" in documented.get("manual_doc", {})
            route = f"{self.name}.{view.__name__}"
            public = policy.is_public(route)
            if "query" in locations:
                self._queried.add(route)
            if not (method == "GET" or has_raw_body or "json" in locations):
                self._bodiless.add(route)
            by_status: dict[int, list[type[Problem]]] = {}
            for problem in (
                *problems,
                *EVERYWHERE,
                *(WITH_JSON if "json" in locations else ()),
                *(WITH_RAW_BODY if has_raw_body else ()),
                *((LengthRequired,) if route in self._bodiless else ()),
                *(() if public else UNLESS_PUBLIC),
            ):
                by_status.setdefault(problem.status, []).append(problem)
            for status, group in sorted(by_status.items()):
                _document(view, self._problems(status, group, rule))
            security = [] if public else [{"bearer": [policy.scope_of(route)]}]
            _document(view, self.doc(**{"x-view": view.__name__, "security": security}))
            return cast("View", self.route(rule, methods=[method])(view))

        return declare

    def _problems(self, status: int, group: list[type[Problem]], rule: str) -> Any:
        instance = re.sub(r"<id:(\w+)>", lambda match: str(EXAMPLE_IDS[match[1]]), rule)
        return self.alt_response(
            status,
            schema=ProblemDetails,
            content_type="application/problem+json",
            description=" / ".join(dict.fromkeys(problem.title for problem in group)),
            examples={problem.code: {"value": problem_example(problem, instance)} for problem in group},
            headers=HEADERS.get(status),
        )

    def body(self, schema: type[Schema], example: Mapping[str, Any], *, required: bool = True) -> Decorator:
        """The view gets the JSON body, loaded by `schema`, as its first argument."""
        # One instance: made anew for each request, as smorest would make it of the class, it costs more than loading.
        return cast("Decorator", self.arguments(schema(), example=example, required=required))

    def query(self, schema: type[Schema]) -> Decorator:
        """The view gets the query, loaded by `schema`, as its first argument."""
        return cast("Decorator", self.arguments(schema(), location="query"))

    def raw_body(self, *media_types: str) -> Decorator:
        """The view gets the bytes of a body of one of these media types, complete, as its first argument."""
        content: dict[str, Any] = {each: {"schema": {}} for each in media_types}

        def declare(view: View) -> View:
            @functools.wraps(view)
            def reading(*args: Any, **kwargs: Any) -> Response:
                return view(read_body(this_request(), media_types), *args, **kwargs)

            return _document(reading, self.doc(requestBody={"required": True, "content": content}))

        return declare

    def unparsed_body(self, schema: type[Schema], example: Mapping[str, Any]) -> Decorator:
        """Document an optional body that the view reads by itself."""
        return lambda view: _document(view, self.arguments(schema, example=example, required=False))

    def unparsed_query(self, schema: type[Schema]) -> Decorator:
        """Document a query that the view reads by itself."""
        # Optional: what is required of it, the view says.
        return lambda view: _document(view, self.arguments(schema(partial=True), location="query"))

    def answer(
        self, status: int, schema: type[Schema] | None = None, example: Any = None, *, tagged: bool = False
    ) -> Decorator:
        """An answer of this view; `tagged` ones carry an ETag, created things a Location, pages a Link."""
        headers = {
            **(ETAG if tagged or status == HTTPStatus.NOT_MODIFIED else {}),
            **(LOCATION if tagged and status == HTTPStatus.CREATED else {}),
            **(LINK if schema and issubclass(schema, Page) else {}),
        }
        documented = self.alt_response(status, schema=schema, example=example, headers=headers or None, success=True)
        return lambda view: _document(view, documented)

    def conditional(self, header: str) -> Decorator:
        """Document that the view honours `header`: If-Match or If-None-Match."""

        def declare(view: View) -> View:
            documented = vars(view).setdefault("_apidoc", {}).setdefault("arguments", {}).setdefault("parameters", [])
            # Not with smorest's `doc`: its parameters would take the place of the query's.
            documented.append({"in": "header", "name": header, "schema": {"type": "string"}, "required": False})
            return view

        return declare


def _document(view: View, decorator: Any) -> View:
    """Keep what a decorator of smorest writes into the document, not the call it wraps around the view."""
    view._apidoc = decorator(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001 - smorest keeps it there
    return view
