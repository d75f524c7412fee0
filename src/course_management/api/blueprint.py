"""How an endpoint is declared: a route, what comes in, what goes out, what it refuses with.

A thin, typed layer over flask-smorest, which validates the input by its schema and writes the OpenAPI document
from the same declaration. Views return the finished answer; the schemas of answers document it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import flask_smorest
from apispec import BasePlugin
from flask import Flask, Response, request
from marshmallow import Schema

from ..errors import (
    BadRequest,
    DatabaseUnavailable,
    HeadersTooLarge,
    InternalError,
    MalformedJson,
    PayloadTooLarge,
    Problem,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)
from ..models import MAX_ID
from ..schemas.outgoing import ProblemDetails, problem_body
from .requests import IdConverter, StrictParser, validation_failed

View = Callable[..., Response]
Decorator = Callable[[View], View]
EVERYWHERE = (BadRequest, ValidationFailed, UriTooLong, HeadersTooLarge, InternalError, DatabaseUnavailable)
WITH_BODY = (MalformedJson, PayloadTooLarge, UnsupportedMediaType)


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The OpenAPI document of the app. Errors are `api/errors.py`'s affair, so this registers no handlers."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask, **spec: Any) -> None:
        super().__init__(spec_kwargs=spec | {"extra_plugins": [OperationIds()]})
        self.register_converter(
            IdConverter, lambda _: {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
        )
        self.init_app(app)

    def _register_error_handlers(self) -> None:
        pass

    def _register_responses(self) -> None:
        """Each operation names its own problems; smorest's list of every HTTP status is not wanted."""


class OperationIds(BasePlugin):
    """Gives each operation the name of its view, so that generated clients have good names."""

    def operation_helper(
        self,
        path: str | None = None,  # noqa: ARG002 - apispec names it
        operations: dict[Any, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """apispec calls this with the operations of one path."""
        for operation in (operations or {}).values():
            operation["operationId"] = operation.pop("x-view")


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose endpoints say everything about themselves in their decorators."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, **kwargs: Any) -> None:
        super().__init__(name, import_name, **kwargs)
        self._queried: set[str] = set()
        self.before_request(self._refuse_unexpected_query)

    def _refuse_unexpected_query(self) -> None:
        if request.query_string and request.endpoint not in self._queried:
            raise validation_failed({name: ["Unknown parameter."] for name in request.args})

    def endpoint(self, method: str, rule: str, *problems: type[Problem]) -> Decorator:
        """Register a view at a route, with the problems it can answer; those of every route are added."""

        def declare(view: View) -> View:
            arguments = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
            locations = {each["in"] for each in arguments}
            if "query" in locations:
                self._queried.add(f"{self.name}.{view.__name__}")
            by_status: dict[int, list[type[Problem]]] = {}
            for problem in (*problems, *EVERYWHERE, *(WITH_BODY if "json" in locations else ())):
                by_status.setdefault(problem.status, []).append(problem)
            for status, group in sorted(by_status.items()):
                _document(view, self._problems(status, group))
            _document(view, self.doc(**{"x-view": view.__name__}))
            return cast("View", self.route(rule, methods=[method])(view))

        return declare

    def _problems(self, status: int, group: list[type[Problem]]) -> Any:
        examples = {
            problem.code: {"value": problem_body(problem, problem.meaning, "/students/7", "5f0c5b1e")}
            for problem in group
        }
        return self.alt_response(
            status,
            schema=ProblemDetails,
            content_type="application/problem+json",
            description=" / ".join(dict.fromkeys(problem.title for problem in group)),
            examples=examples,
        )

    def body(self, schema: type[Schema], example: Mapping[str, Any], *, required: bool = True) -> Decorator:
        """The view gets the JSON body, loaded by `schema`, as its first argument."""
        return cast("Decorator", self.arguments(schema, example=example, required=required))

    def query(self, schema: type[Schema]) -> Decorator:
        """The view gets the query, loaded by `schema`, as its first argument."""
        return cast("Decorator", self.arguments(schema, location="query"))

    def unparsed_body(self, schema: type[Schema], example: Mapping[str, Any]) -> Decorator:
        """Document an optional body that the view reads by itself."""
        return lambda view: _document(view, self.arguments(schema, example=example, required=False))

    def unparsed_query(self, schema: type[Schema]) -> Decorator:
        """Document a query that the view reads by itself."""
        return lambda view: _document(view, self.arguments(schema, location="query"))

    def answer(
        self, status: int, schema: type[Schema] | None = None, example: Any = None, *, tagged: bool = False
    ) -> Decorator:
        """An answer of this view; `tagged` ones carry an ETag."""
        headers = {"ETag": {"schema": {"type": "string"}, "description": "For If-Match and If-None-Match."}}
        documented = self.alt_response(
            status, schema=schema, example=example, headers=headers if tagged else None, success=True
        )
        return lambda view: _document(view, documented)

    def conditional(self, header: str) -> Decorator:
        """Document that the view honours `header`: If-Match or If-None-Match."""
        parameter = {"in": "header", "name": header, "schema": {"type": "string"}, "required": False}
        return lambda view: _document(view, self.doc(parameters=[parameter]))


def _document(view: View, decorator: Any) -> View:
    """Keep what a decorator of smorest writes into the document, not the call it wraps around the view."""
    view._apidoc = decorator(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001 - smorest keeps it there
    return view
