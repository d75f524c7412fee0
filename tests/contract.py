"""A test client that holds every answer against the OpenAPI document of the app."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse


class ContractClient(FlaskClient):
    """Fails a test whose answer has a status, type or shape that the document does not name."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send the request, check the answer."""
        answer = super().open(*args, **kwargs)
        check(self.application, answer)
        return answer


_document: dict[str, Any] = {}


def strict(found: Any) -> Any:
    """The document, with the values that texts have today as the only ones: clients must accept more, the suite not."""
    if isinstance(found, list):
        return [strict(each) for each in found]
    if not isinstance(found, dict):
        return found
    result = {key: strict(value) for key, value in found.items()}
    if known := found.get("x-extensible-enum"):
        result["enum"] = [*known, None]
    return result


def document(app: Flask) -> dict[str, Any]:
    """The OpenAPI document as the app serves it; the same for every app, so read once."""
    if not _document:
        _document.update(strict(FlaskClient(app, app.response_class).get("/openapi.json").get_json()))
    return _document


def operation_of(app: Flask, answer: TestResponse) -> dict[str, Any] | None:
    """The documented operation behind an answer, or None when the route is not documented."""
    rules = app.url_map.bind("localhost")
    try:
        rule, _ = rules.match(answer.request.path, method=answer.request.method, return_rule=True)
    except Exception:  # noqa: BLE001 - no such route: not an operation's answer
        return None
    path = rule.rule.replace("<id:", "{").replace(">", "}")
    found = document(app)["paths"].get(path, {}).get(answer.request.method.lower())
    return found if isinstance(found, dict) else None


def check(app: Flask, answer: TestResponse) -> None:
    """Raise AssertionError when the answer is not what the document says."""
    assert answer.headers["X-Request-ID"]
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json", answer.text
        problem = answer.get_json()
        assert problem["status"] == answer.status_code
        assert problem["type"] == f"/problems/{problem['code'].replace('_', '-')}"
        assert problem["request_id"] == answer.headers["X-Request-ID"]
    operation = operation_of(app, answer)
    if operation is None or answer.request.method == "HEAD":
        return
    responses = operation["responses"]
    where = f"{answer.request.method} {answer.request.path} -> {answer.status_code}"
    assert str(answer.status_code) in responses, f"{where} is not documented"
    content = resolved(responses[str(answer.status_code)], document(app)).get("content")
    if content is None:
        assert answer.data == b"", f"{where} has a body that is not documented"
        return
    assert answer.mimetype in content, f"{where}: {answer.mimetype} is not documented"
    schema = content[answer.mimetype]["schema"]
    whole = schema | {"components": document(app)["components"]}
    errors = [error.message for error in OAS31Validator(whole).iter_errors(answer.get_json())]
    assert not errors, f"{where}: {errors}"
    extra = _unknown(schema, answer.get_json(), document(app))
    assert not extra, f"{where}: {extra} are not documented"


def resolved(found: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to, or what is there."""
    if "$ref" in found:
        target: Any = whole
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return resolved(target, whole)
    return found


def _unknown(schema: dict[str, Any], body: Any, whole: dict[str, Any]) -> set[str]:
    """Members of the body, at any depth, that the schema does not name."""
    schema = resolved(schema, whole)
    if isinstance(body, list):
        return {name for each in body for name in _unknown(schema.get("items", {}), each, whole)}
    if isinstance(body, dict):
        properties = schema.get("properties", {})
        deeper = {name for key in body if key in properties for name in _unknown(properties[key], body[key], whole)}
        return {key for key in body if key not in properties} | deeper
    return set()
