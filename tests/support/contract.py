"""A test client that validates every response against the OpenAPI document of the app."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse


class ContractClient(FlaskClient):
    """A client that fails the test if a response has a status, type or shape that is not documented."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send the request and check the response."""
        response = super().open(*args, **kwargs)
        check(self.application, response)
        return response


_document: dict[str, Any] = {}


def strict(found: Any) -> Any:
    """Return the document with today's values as the only ones: clients must accept more, the tests must not."""
    if isinstance(found, list):
        return [strict(each) for each in found]
    if not isinstance(found, dict):
        return found
    result = {key: strict(value) for key, value in found.items()}
    if known := found.get("x-extensible-enum"):
        result["enum"] = [*known, None]
    return result


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document that the app serves; it is read once, because every app has the same."""
    if not _document:
        _document.update(strict(FlaskClient(app, app.response_class).get("/openapi.json").get_json()))
    return _document


def operation_of(app: Flask, response: TestResponse) -> dict[str, Any] | None:
    """Return the documented operation of a response, or None if the route is not documented."""
    rules = app.url_map.bind("localhost")
    try:
        rule, _ = rules.match(response.request.path, method=response.request.method, return_rule=True)
    except Exception:  # noqa: BLE001 - no such route: not an operation's response
        return None
    path = rule.rule.replace("<id:", "{").replace(">", "}")
    found = document(app)["paths"].get(path, {}).get(response.request.method.lower())
    return found if isinstance(found, dict) else None


def check(app: Flask, response: TestResponse) -> None:
    """Raise AssertionError if the response differs from the document."""
    assert response.headers["X-Request-ID"]
    if response.status_code >= 400:
        assert response.mimetype == "application/problem+json", response.text
        problem = response.get_json()
        assert problem["status"] == response.status_code
        assert problem["type"] == f"/problems/{problem['code'].replace('_', '-')}"
        assert problem["request_id"] == response.headers["X-Request-ID"]
    operation = operation_of(app, response)
    if operation is None or response.request.method == "HEAD":
        return
    responses = operation["responses"]
    where = f"{response.request.method} {response.request.path} -> {response.status_code}"
    assert str(response.status_code) in responses, f"{where} is not documented"
    content = resolved(responses[str(response.status_code)], document(app)).get("content")
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
        properties = schema.get("properties", {})
        deeper = {name for key in body if key in properties for name in _unknown(properties[key], body[key], whole)}
        return {key for key in body if key not in properties} | deeper
    return set()
