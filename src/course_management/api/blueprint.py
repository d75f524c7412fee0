"""How an endpoint is declared: a route, what comes in, what goes out, what it refuses with.

A thin, typed layer over flask-smorest, which validates the input by its schema and writes the OpenAPI document
from the same declaration. Views return the finished answer; the schemas of answers document it.
"""

from __future__ import annotations

import copy
import functools
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast

import flask_smorest
from apispec import BasePlugin
from flask import Flask, Response, request
from marshmallow import Schema

from ..access import policy
from ..errors import (
    BadRequest,
    DatabaseUnavailable,
    Forbidden,
    HeadersTooLarge,
    InternalError,
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
from ..models import MAX_ID
from ..schemas.incoming import OneOrMoreCourses
from ..schemas.outgoing import EXAMPLE_IDS, MOMENT, Page, ProblemDetails, problem_example
from .requests import IdConverter, StrictParser, validation_failed

View = Callable[..., Response]
Decorator = Callable[[View], View]
TAG = '"1f0c6e0b8d2a4c5e.9a2e77d01b3c4f60"'
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
WITH_BODY = (MalformedJson, PayloadTooLarge, UnsupportedMediaType)

PARAMETERS: Mapping[tuple[str, str], tuple[str, Any]] = {
    ("path", "student_id"): ("Which student.", EXAMPLE_IDS["student_id"]),
    ("path", "course_id"): ("Which course.", EXAMPLE_IDS["course_id"]),
    ("query", "course_id"): ("The courses to leave; repeat the parameter for several.", [1, 2]),
    ("query", "status"): ("Only those with this status.", "enrolled"),
    ("query", "as_of"): ("As it was at this time (RFC 3339), from the history.", MOMENT),
    ("query", "dry_run"): ("Whether to decide and answer only, and change nothing.", True),
    ("query", "limit"): ("How many to list at most.", 50),
    ("query", "after"): ("The `next` of the page before, to go on behind it.", "AAAAAAAAADLJ1mX4cQ2T"),
    ("header", "X-Request-ID"): (
        "An id of yours, 1 to 128 visible ASCII characters; else one is made.",
        "registration-day-1",
    ),
    ("header", "If-Match"): ("Change it only if it is still as it was when this ETag was given out.", TAG),
    ("header", "If-None-Match"): ("Answer 304 without a body if it is still what this ETag stands for.", TAG),
}
"""What each parameter means, with an example; a parameter that is not here cannot be declared."""

REQUEST_ID: dict[str, Any] = {
    "in": "header",
    "name": "X-Request-ID",
    "required": False,
    "schema": {"type": "string"},
}
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
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The key of a service, or the token of a person. In protected mode none is needed.",
}


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The OpenAPI document of the app. Errors are `api/errors.py`'s affair, so this registers no handlers.

    The document is put together when it is first read, as that takes ten times as long as the rest of the start, and
    kept as text: writing it takes 20 ms, and anybody may ask for it.
    """

    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask, **spec: Any) -> None:
        self.chapters: list[Callable[[], None]] = []
        self._document = b""
        self._lock = threading.Lock()
        super().__init__(spec_kwargs=spec | {"extra_plugins": [Explanations()]})
        self.register_converter(
            IdConverter, lambda _: {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
        )
        self.init_app(app)
        self.spec.components.security_scheme("bearer", BEARER)

    def _openapi_json(self) -> Response:
        with self._lock:
            if not self._document:
                while self.chapters:
                    self.chapters.pop(0)()
                self._document = super()._openapi_json().get_data()
        return Response(self._document, content_type="application/json")

    def _register_error_handlers(self) -> None:
        pass

    def _register_responses(self) -> None:
        """Each operation names its own problems; smorest's list of every HTTP status is not wanted."""

    def _register_etag_headers(self) -> None:
        pass

    def _register_pagination_header(self) -> None:
        pass


class Explanations(BasePlugin):
    """Gives each operation the name of its view, for generated clients, and each parameter its meaning."""

    def path_helper(
        self,
        path: str | None = None,  # noqa: ARG002 - apispec names it
        operations: dict[Any, Any] | None = None,  # noqa: ARG002
        parameters: list[dict[str, Any]] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """apispec calls this with the parameters of one path."""
        _explain(parameters or ())

    def operation_helper(
        self,
        path: str | None = None,  # noqa: ARG002
        operations: dict[Any, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """apispec calls this with the operations of one path."""
        for operation in (operations or {}).values():
            operation["operationId"] = operation.pop("x-view")
            operation.setdefault("parameters", []).append(copy.deepcopy(REQUEST_ID))
            _explain(operation["parameters"])
            for response in operation["responses"].values():
                response.setdefault("headers", {})["X-Request-ID"] = {
                    "description": "The id of this request.",
                    "schema": {"type": "string"},
                }

    def schema_helper(
        self,
        name: str,  # noqa: ARG002
        definition: dict[Any, Any],  # noqa: ARG002
        **kwargs: Any,
    ) -> dict[str, Any] | None:
        """apispec calls this for each schema; it cannot see what `OneOrMoreCourses` says in code."""
        schema = kwargs["schema"]
        if issubclass(schema if isinstance(schema, type) else type(schema), OneOrMoreCourses):
            return {"oneOf": [{"required": ["course_ids"]}, {"required": ["course_id"]}]}
        return None


def _explain(parameters: Iterable[dict[str, Any]]) -> None:
    for each in parameters:
        each["description"], example = PARAMETERS[each["in"], each["name"]]
        if each["required"]:
            each["example"] = example
        else:  # the documentation page would send an `example` along, and an If-Match made up is always stale
            each["schema"] = each["schema"] | {"examples": [example]}


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose endpoints say everything about themselves in their decorators."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, **kwargs: Any) -> None:
        super().__init__(name, import_name, **kwargs)
        self._queried: set[str] = set()
        self.before_request(self._refuse_unexpected_query)

    def register_views_in_doc(self, api: Api, *args: Any, **kwargs: Any) -> None:
        """Add this blueprint's chapter to the document, later."""
        api.chapters.append(functools.partial(super().register_views_in_doc, api, *args, **kwargs))

    def _refuse_unexpected_query(self) -> None:
        if request.query_string and request.endpoint not in self._queried and request.args:
            raise validation_failed({name: ["Unknown parameter."] for name in request.args})

    def endpoint(self, method: str, rule: str, *problems: type[Problem]) -> Decorator:
        """Register a view at a route, with the problems it can answer; those of every route are added."""

        def declare(view: View) -> View:
            arguments = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
            locations = {each["in"] for each in arguments}
            route = f"{self.name}.{view.__name__}"
            public = policy.is_public(route)
            if "query" in locations:
                self._queried.add(route)
            by_status: dict[int, list[type[Problem]]] = {}
            for problem in (
                *problems,
                *EVERYWHERE,
                *(WITH_BODY if "json" in locations else ()),
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
