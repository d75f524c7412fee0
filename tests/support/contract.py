"""A test client that validates every response against the declarations of the app and its OpenAPI document.

The document says once which problems calls share, and lets responses have further values and members. The tests are
stricter: a call has only the statuses that its endpoint declares, and today's values and members.
"""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse

from course_management.http.declarations import Endpoint
from course_management.http.endpoints import Endpoints


class ContractClient(FlaskClient):
    """A client that fails the test if a response has a status, type or shape that is not documented."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send the request and check the response."""
        response = super().open(*args, **kwargs)
        check(self.application, response)
        return response


_document: dict[str, Any] = {}


def strict(found: Any) -> Any:
    """Return the document with the values that descriptions name as the only ones: clients must accept more."""
    if isinstance(found, list):
        return [strict(each) for each in found]
    if not isinstance(found, dict):
        return found
    result = {key: strict(value) for key, value in found.items()}
    if known := re.search(r"\bOne of: (.+)\.$", str(found.get("description"))):
        result["enum"] = [*known[1].split(", "), None]
    return result


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document that the app serves; it is read once, because every app has the same."""
    if not _document:
        _document.update(strict(FlaskClient(app, app.response_class).get("/openapi.json").get_json()))
    return _document


def endpoint_of(app: Flask, response: TestResponse) -> Endpoint | None:
    """Return the endpoint that a response is of, or None if it is of a page or of no route."""
    rules = app.url_map.bind("localhost")
    try:
        rule, _ = rules.match(response.request.path, method=response.request.method, return_rule=True)
    except Exception:  # noqa: BLE001 - no such route: not an operation's response
        return None
    blueprint, _, name = rule.endpoint.partition(".")
    endpoints = app.blueprints[blueprint]
    if not isinstance(endpoints, Endpoints):
        return None
    own = [each for each in endpoints.endpoints if (each.name, each.method) == (name, response.request.method)]
    return own[0] if own else None


def operation_of(app: Flask, endpoint: Endpoint) -> dict[str, Any]:
    """Return the operation of an endpoint in the document."""
    path = re.sub(r"<\w+:(\w+)>", r"{\1}", endpoint.rule)
    operation: dict[str, Any] = document(app)["paths"][path][endpoint.method.lower()]
    return operation


def check(app: Flask, response: TestResponse) -> None:
    """Raise AssertionError if the response differs from the document."""
    assert response.headers["X-Request-ID"]
    if response.status_code >= 400:
        assert response.mimetype == "application/problem+json", response.text
        problem = response.get_json()
        assert problem["status"] == response.status_code
        assert problem["type"] == f"/problems/{problem['code'].replace('_', '-')}"
        assert problem["request_id"] == response.headers["X-Request-ID"]
    endpoint = endpoint_of(app, response)
    if endpoint is None or response.request.method == "HEAD":
        return
    responses = operation_of(app, endpoint)["responses"]
    where = f"{response.request.method} {response.request.path} -> {response.status_code}"
    assert response.status_code in endpoint.statuses, f"{where} is not declared"
    documented = responses.get(str(response.status_code)) or responses["default"]
    content = resolved(documented, document(app)).get("content")
    if content is None:
        assert response.data == b"", f"{where} has a body that is not documented"
        return
    assert response.mimetype in content, f"{where}: {response.mimetype} is not documented"
    if response.mimetype != "application/json" and response.status_code < 400:  # a text or a file
        return
    schema = content[response.mimetype]["schema"]
    whole = schema | {"components": document(app)["components"]}
    errors = [error.message for error in OAS31Validator(whole).iter_errors(response.get_json())]
    assert not errors, f"{where}: {errors}"
    extra = _unknown(schema, response.get_json(), document(app))
    assert not extra, f"{where}: {extra} are not documented"


def resolved(found: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a reference, or the value itself if it is none."""
    if "$ref" in found:
        target: Any = whole
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return resolved(target, whole)
    return found


def properties_of(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of a schema, with those of the schemas that it extends."""
    schema = resolved(schema, whole)
    inherited = [properties_of(part, whole) for part in schema.get("allOf", ())]
    return {name: value for part in (*inherited, schema.get("properties", {})) for name, value in part.items()}


def _unknown(schema: dict[str, Any], body: Any, whole: dict[str, Any]) -> set[str]:
    """Return the members of the body, at any depth, that the schema does not name."""
    schema = resolved(schema, whole)
    if {"type": "null"} in schema.get("anyOf", ()):  # an object or null
        schema = resolved(next(each for each in schema["anyOf"] if each != {"type": "null"}), whole)
    if not schema:  # any value
        return set()
    if isinstance(body, list):
        return {name for each in body for name in _unknown(schema.get("items", {}), each, whole)}
    if isinstance(body, dict):
        properties = properties_of(schema, whole)
        deeper = {name for key in body if key in properties for name in _unknown(properties[key], body[key], whole)}
        return {key for key in body if key not in properties} | deeper
    return set()
