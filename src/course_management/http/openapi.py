"""Make the OpenAPI document from the declarations of the endpoints.

Errors are shared components: one response for each set of problems with the same status, one example for each code.
No schema of a response is closed, so that a later release may add fields and codes.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema
from marshmallow.fields import Field

from ..database.types import MAX_ID
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
from .declarations import JSON, Body, Endpoint, Success
from .problems import PROBLEM_JSON, problem_body

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
WITH_BODY = (PayloadTooLarge, UnsupportedMediaType)

ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
TEXT, BINARY = {"type": "string"}, {"type": "string", "format": "binary"}
TAG = '"1f0c6e0b8d2a4c5e.9a2e77d01b3c4f60"'
HEADERS: Mapping[str, dict[str, Any]] = {
    "ETag": {"description": "For If-Match and If-None-Match.", "schema": {"type": "string"}, "example": TAG},
    "Link": {"description": 'The next page, as `rel="next"`, if there is one.', "schema": {"type": "string"}},
    "Location": {"description": "The address of the new resource.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next attempt.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "What is missing or wrong.", "schema": {"type": "string"}},
    "X-Request-ID": {"description": "The id of this request.", "schema": {"type": "string"}},
}
PARAMETERS: Mapping[str, tuple[str, str]] = {
    "X-Request-ID": ("An id of your own, 1 to 128 visible ASCII characters.", "registration-day-1"),
    "If-Match": ("Change it only if it is still what this ETag stands for.", TAG),
    "If-None-Match": ("Respond 304 without a body if it is still what this ETag stands for.", TAG),
}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The API key of a service, or the token of a person. In protected mode, none is needed.",
}


class Document:
    """The document of one application.

    `problem` is the schema of an error's body, `example_path` the address in the examples of errors.
    """

    def __init__(self, *, title: str, version: str, description: str, problem: type[Schema], example_path: str) -> None:
        self._problem, self._example_path = problem, example_path
        self._schemas: dict[str, type[Schema]] = {}
        self._marshmallow = MarshmallowPlugin(schema_name_resolver=self._name_of)
        self._spec = APISpec(
            title,
            version,
            "3.1.0",
            plugins=[self._marshmallow],
            info={"description": description, "license": {"name": "MIT", "identifier": "MIT"}},
            servers=[{"url": "/"}],
        )
        components = self._spec.components
        components.security_scheme("bearer", BEARER)
        for name, header in HEADERS.items():
            components.header(name, header)
        for name, (explained, example) in PARAMETERS.items():
            # Not `example`: the documentation page would send it along, and an invented If-Match is always stale.
            schema = {"type": "string", "examples": [example]}
            components.parameter(name, "header", {"name": name, "description": explained, "schema": schema})

    def add(self, tag: str, description: str, endpoints: Iterable[Endpoint]) -> None:
        """Add the endpoints of one tag; those of one route become one path."""
        self._spec.tag({"name": tag, "description": description})
        by_rule: dict[str, list[Endpoint]] = {}
        for endpoint in endpoints:
            by_rule.setdefault(endpoint.rule, []).append(endpoint)
        for rule, group in by_rule.items():
            self._spec.path(
                re.sub(r"<\w+:(\w+)>", r"{\1}", rule),
                operations={declared.method.lower(): self._operation(tag, declared) for declared in group},
                parameters=[self._path_parameter(*parameter) for parameter in re.findall(r"<(\w+):(\w+)>", rule)],
            )

    def _path_parameter(self, converter: str, name: str) -> Any:
        """Return the name of the component for this part of a path, which apispec turns into a reference."""
        components = self._spec.components
        if name not in components.parameters:
            components.parameter(name, "path", _path_parameter(converter, name))
        return name

    def as_dict(self) -> dict[str, Any]:
        """Return the document."""
        document: dict[str, Any] = self._spec.to_dict()
        for name, schema in self._schemas.items():
            if name in document["components"]["schemas"] and schema.__doc__:
                document["components"]["schemas"][name]["description"] = inspect.cleandoc(schema.__doc__)
        _name_types(document["components"]["schemas"])
        bodies = _names_of_bodies(document)
        _open_responses(document, bodies)
        _describe_defaults(document, bodies)
        return document

    def _name_of(self, schema: Any) -> str:
        name = _component_name(schema)
        self._schemas[name] = schema if isinstance(schema, type) else type(schema)
        return name

    def _operation(self, tag: str, endpoint: Endpoint) -> dict[str, Any]:
        declared = endpoint.declared
        summary, _, description = inspect.cleandoc(endpoint.documentation).partition("\n\n")
        query = [] if declared.query is None else [{"in": "query", "schema": declared.query}]
        operation: dict[str, Any] = {
            "operationId": endpoint.name,
            "tags": [tag],
            "summary": summary,
            "parameters": [*query, *declared.conditional, "X-Request-ID"],
            "responses": {
                **{str(success.status): self._success(success) for success in declared.responses},
                **{str(status): name for status, name in self._problems(endpoint)},
            },
            "security": [{"bearer": [endpoint.access.scope]}] if endpoint.access.scope else [],
        }
        if description:
            operation["description"] = description
        if declared.body:
            operation["requestBody"] = self._request_body(declared.body)
        return operation

    def _problems(self, endpoint: Endpoint) -> Iterable[tuple[int, str]]:
        by_status: dict[int, dict[type[Problem], None]] = {}
        for problem in (*endpoint.problems, *_common(endpoint)):
            by_status.setdefault(problem.status, {})[problem] = None
        for status, group in sorted(by_status.items()):
            yield status, self._shared(sorted(group, key=lambda problem: problem.code))

    def _success(self, success: Success) -> dict[str, Any]:
        response: dict[str, Any] = {
            "description": HTTPStatus(success.status).phrase,
            "headers": {name: name for name in ("X-Request-ID", *success.headers)},
        }
        content: dict[str, Any] = {}  # JSON first: a generated client takes the first media type
        if success.schema:
            content[JSON] = {"schema": self._schema(success.schema), "example": success.example}
        content |= {
            media_type: {"schema": TEXT if media_type.startswith("text/") else BINARY} for media_type in success.files
        }
        if content:
            response["content"] = content
        return response

    def _request_body(self, body: Body) -> dict[str, Any]:
        content = {JSON: {"schema": self._schema(body.schema), "example": body.example}}
        return {"required": body.required, "content": content}

    def _schema(self, schema: type[Schema] | Schema | Field[Any]) -> Any:
        """Return what apispec resolves: a schema as it is, a field as the schema of its array."""
        converter = self._marshmallow.converter
        return converter.field2property(schema) if converter and isinstance(schema, Field) else schema

    def _shared(self, group: Sequence[type[Problem]]) -> str:
        """Return the name of the component for these problems, which have one status."""
        components = self._spec.components
        name = "Or".join(problem.__name__ for problem in group)
        if name not in components.responses:
            for problem in group:
                if problem.code not in components.examples:
                    example = problem_body(problem, problem.meaning, self._example_path, "5f0c5b1e") | dict(
                        problem.example
                    )
                    components.example(problem.code, {"value": example})
            always = sorted({header for problem in group for header in problem.always})
            content = {
                PROBLEM_JSON: {"schema": self._problem, "examples": {problem.code: problem.code for problem in group}}
            }
            components.response(
                name,
                {
                    "description": " / ".join(problem.title for problem in group),
                    "content": content,
                    "headers": {header: header for header in ["X-Request-ID", *always]},
                },
            )
        return name


def _name_types(schemas: dict[str, Any]) -> None:
    """Turn each property with an `x-type` into a reference to the schema of that name."""
    for schema in list(schemas.values()):
        for name, property_schema in schema.get("properties", {}).items():
            if type_name := property_schema.pop("x-type", None):
                schemas[type_name] = {**property_schema, "type": "string"}
                reference = {"$ref": f"#/components/schemas/{type_name}"}
                is_nullable = "null" in property_schema["type"]
                schema["properties"][name] = {"anyOf": [reference, {"type": "null"}]} if is_nullable else reference


def _open_responses(document: dict[str, Any], bodies: set[str]) -> None:
    """Let responses have further members: only the schemas of bodies stay closed."""
    for name, schema in document["components"]["schemas"].items():
        if name not in bodies:
            schema.pop("additionalProperties", None)


def _describe_defaults(document: dict[str, Any], bodies: set[str]) -> None:
    """Write the defaults in bodies as text: generated clients would send them, or require their fields."""
    for name in bodies:
        for property_schema in document["components"]["schemas"][name]["properties"].values():
            if "default" in property_schema:
                default = f"Default: {json.dumps(property_schema.pop('default'))}."
                property_schema["description"] = " ".join(filter(None, [property_schema.get("description"), default]))


def _names_of_bodies(document: dict[str, Any]) -> set[str]:
    """Return the names of the schemas that bodies of requests have, with those inside of them."""
    bodies = [
        operation.get("requestBody")
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    names: set[str] = set()
    referred = _referred(bodies)
    while referred:
        names |= referred
        referred = _referred([document["components"]["schemas"][name] for name in referred]) - names
    return names


def _referred(part: Any) -> set[str]:
    return set(re.findall("#/components/schemas/(\\w+)", str(part)))


def _component_name(schema: Any) -> str:
    """Return the name of the class or, for the body of a resource's POST and PATCH, `New…` and `…Change`."""
    name = (schema if isinstance(schema, type) else type(schema)).__name__
    if not name.endswith("Schema"):
        return name
    name = name.removesuffix("Schema")
    return f"{name}Change" if schema.partial else f"New{name}"


def _path_parameter(kind: str, name: str) -> dict[str, Any]:
    """Return the parameter of a path whose converter is `kind`: an id, or another text."""
    what = name.removesuffix("_id").replace("_", " ")
    is_id = kind == "id"
    return {
        "in": "path",
        "name": name,
        "required": True,
        "description": f"The id of the {what}." if is_id else f"The {what}.",
        "schema": ID if is_id else {"type": "string"},
        "example": 1 if is_id else "2026-spring",
    }


def _common(endpoint: Endpoint) -> Sequence[type[Problem]]:
    body = endpoint.declared.body
    if body is None:
        with_body: Sequence[type[Problem]] = () if endpoint.method == "GET" else (LengthRequired,)
    else:
        with_body = (MalformedJson, *WITH_BODY)
    return (*EVERYWHERE, *with_body, *(UNLESS_PUBLIC if endpoint.access.scope else ()))
