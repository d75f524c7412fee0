"""Make the OpenAPI document from the declarations of the endpoints.

What calls have in common is a component, so that the document stays small: parameters, the problems of an endpoint that
have one status, and the default response with the problems that calls share. The example of a response stands once, in
its schema.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema
from marshmallow.fields import Field

from ..database.types import MAX_ID
from ..errors import Problem
from .declarations import JSON, SHARED_PROBLEMS, Endpoint, Success
from .problems import PROBLEM_JSON, problem_body
from .schema_components import COMPONENTS, SchemaLike, complete, component_name, refer_to_type

ID = {
    "type": "integer",
    "format": "int64",
    "minimum": 1,
    "maximum": MAX_ID,
    "description": "The id of a row.",
    "examples": [1],
}
TEXT, BINARY = {"type": "string"}, {"type": "string", "format": "binary"}
TAG = '"1f0c6e0b8d2a4c5e.9a2e77d01b3c4f60"'
HEADERS: Mapping[str, dict[str, Any]] = {
    "ETag": {"description": "For If-Match and If-None-Match.", "schema": {"type": "string"}, "example": TAG},
    "Location": {"description": "The address of the new resource.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next attempt.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "What is missing or wrong.", "schema": {"type": "string"}},
}
PARAMETERS: Mapping[str, tuple[str, str]] = {
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
        self._schemas: dict[str, SchemaLike] = {}
        marshmallow = MarshmallowPlugin(schema_name_resolver=self._name_of)
        self._spec = APISpec(
            title,
            version,
            "3.1.0",
            plugins=[marshmallow],
            info={"description": description, "license": {"name": "MIT", "identifier": "MIT"}},
            servers=[{"url": "/"}],
        )
        self._converter = cast("Any", marshmallow.converter)
        components = self._spec.components
        components.security_scheme("bearer", BEARER)
        for name, header in HEADERS.items():
            components.header(name, header)
        for name, (explained, example) in PARAMETERS.items():
            # Not `example`: the documentation page would send it along, and an invented If-Match is always stale.
            schema = {"type": "string", "examples": [example]}
            components.parameter(name, "header", {"name": name, "description": explained, "schema": schema})
        self._converter.add_attribute_function(refer_to_type)
        components.schema("Id", ID)
        shared = [problem for group in SHARED_PROBLEMS for problem in group.problems]
        not_modified = {"description": HTTPStatus.NOT_MODIFIED.phrase, "headers": {"ETag": "ETag"}}
        components.response("NotModified", not_modified)
        components.response("Problem", self._problem_response(_shared_description(), shared))

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
        complete(document, self._schemas)
        return document

    def _name_of(self, schema: SchemaLike) -> str:
        name = component_name(schema)
        self._schemas[name] = schema
        return name

    def _operation(self, tag: str, endpoint: Endpoint) -> dict[str, Any]:
        declared = endpoint.declared
        summary, _, description = inspect.cleandoc(endpoint.documentation).partition("\n\n")
        operation: dict[str, Any] = {
            "operationId": endpoint.name,
            "tags": [tag],
            "summary": summary,
            "responses": {
                **{str(success.status): self._success(success) for success in declared.responses},
                **self._problems(endpoint),
                "default": "Problem",
            },
            "security": [{"bearer": [endpoint.access.scope]}] if endpoint.access.scope else [],
        }
        if parameters := [*self._query(declared.query), *declared.conditional]:
            operation["parameters"] = parameters
        if description:
            operation["description"] = description
        if declared.body:
            content = self._content(declared.body.schema, declared.body.example)
            operation["requestBody"] = {"required": declared.body.required, "content": {JSON: content}}
        return operation

    def _query(self, schema: Schema | None) -> list[Any]:
        """Return the parameters of a query: the first of each name is a component, to which equal ones refer."""
        if schema is None:
            return []
        components, parameters = self._spec.components, []
        for parameter in self._converter.schema2parameters(schema, location="query"):
            if not parameter["required"]:
                del parameter["required"]
            key = f"query.{parameter['name']}"
            if key not in components.parameters:
                components.parameter(key, "query", parameter)
            parameters.append(key if components.parameters[key] == parameter else parameter)
        return parameters

    def _problems(self, endpoint: Endpoint) -> dict[str, str]:
        """Return the names of the components for an endpoint's own problems, by status.

        A status that only says that there is nothing with the id in the path is left to the response that calls share.
        """
        by_status: dict[int, set[type[Problem]]] = {}
        for problem in endpoint.problems:
            by_status.setdefault(problem.status, set()).add(problem)
        return {
            str(status): self._component(group)
            for status, group in sorted(by_status.items())
            if not all(_is_about_path(problem, endpoint.rule) for problem in group)
        }

    def _component(self, group: Iterable[type[Problem]]) -> str:
        """Return the name of the component for these problems, which have one status."""
        problems = sorted(group, key=lambda problem: problem.code)
        name = "Or".join(problem.__name__ for problem in problems)
        if name not in self._spec.components.responses:
            description = ", ".join(f"`{problem.code}`" for problem in problems)
            self._spec.components.response(name, self._problem_response(description, problems))
        return name

    def _problem_response(self, description: str, problems: Sequence[type[Problem]]) -> dict[str, Any]:
        """Return a response with one of these problems. Those that add members to it have an example."""
        content: dict[str, Any] = {"schema": self._problem}
        response: dict[str, Any] = {"description": description, "content": {PROBLEM_JSON: content}}
        if headers := sorted({header for problem in problems for header in problem.always}):
            response["headers"] = {header: header for header in headers}
        if extended := [problem for problem in problems if problem.example]:
            content["examples"] = {problem.code: self._example(problem) for problem in extended}
        return response

    def _example(self, problem: type[Problem]) -> str:
        """Return the name of the component for an example of a problem."""
        if problem.code not in self._spec.components.examples:
            body = problem_body(problem, problem.meaning, self._example_path, "5f0c5b1e") | dict(problem.example)
            self._spec.components.example(problem.code, {"value": body})
        return problem.code

    def _success(self, success: Success) -> dict[str, Any] | str:
        if success.status == HTTPStatus.NOT_MODIFIED:
            return "NotModified"
        response: dict[str, Any] = {"description": HTTPStatus(success.status).phrase}
        content: dict[str, Any] = {}  # JSON first: a generated client takes the first media type
        if success.schema:
            content[JSON] = self._content(success.schema, success.example)
        content |= {
            media_type: {"schema": TEXT if media_type.startswith("text/") else BINARY} for media_type in success.files
        }
        if success.headers:
            response["headers"] = {name: name for name in success.headers}
        if content:
            response["content"] = content
        return response

    def _content(self, schema: type[Schema] | Schema | Field[Any], example: Any) -> dict[str, Any]:
        """Return a body in JSON; apispec resolves a schema as it is, but no field as the schema of its array."""
        content = {"schema": self._converter.field2property(schema) if isinstance(schema, Field) else schema}
        return content if example is None else content | {"example": example}


def _shared_description() -> str:
    """Return the description of the problems that calls share: which calls report them, with status and code."""
    lines = [
        f"- {group.calls}: {', '.join(f'{problem.status} `{problem.code}`' for problem in group.problems)}"
        for group in SHARED_PROBLEMS
    ]
    not_found = "- calls with an id in the path: 404 `student_not_found` and so on, for what does not exist"
    return "\n".join(["A problem, either listed with the call or shared with others:", "", *lines, not_found])


def _is_about_path(problem: type[Problem], rule: str) -> bool:
    """Return whether a problem says that there is nothing with the id in the path."""
    return f":{problem.code.removesuffix('_not_found')}_id>" in rule


def _path_parameter(kind: str, name: str) -> dict[str, Any]:
    """Return the parameter of a path whose converter is `kind`: an id, or another text."""
    what = name.removesuffix("_id").replace("_", " ")
    is_id = kind == "id"
    return {
        "in": "path",
        "name": name,
        "required": True,
        "description": f"The id of the {what}." if is_id else f"The {what}.",
        "schema": {"$ref": COMPONENTS + "Id"} if is_id else {"type": "string"},
        "example": 1 if is_id else "2026-spring",
    }
