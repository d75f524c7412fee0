"""The OpenAPI document: how it is put together from the declarations of `blueprint`, and what its parameters mean."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flask_smorest
from apispec import BasePlugin
from flask import Flask, Response

from ..database.types import MAX_ID
from ..schemas.incoming import OneOrMoreCourses
from ..schemas.outgoing import EXAMPLE_IDS, MOMENT
from .assets import Asset
from .requests import IdConverter

TAG = '"1f0c6e0b8d2a4c5e.9a2e77d01b3c4f60"'

PARAMETERS: Mapping[tuple[str, str], tuple[str, Any]] = {
    ("path", "student_id"): ("Which student.", EXAMPLE_IDS["student_id"]),
    ("path", "course_id"): ("Which course.", EXAMPLE_IDS["course_id"]),
    ("query", "course_id"): ("The courses to leave; repeat the parameter for several.", [1, 2]),
    ("query", "status"): ("Only those with this status.", "enrolled"),
    ("query", "as_of"): ("As it was at this time (RFC 3339), from the history.", MOMENT),
    ("query", "dry_run"): ("Whether to decide and answer only, and change nothing.", True),
    ("query", "email"): ("Only the student with this e-mail address; write + as %2B.", "ada@example.edu"),
    ("query", "code"): ("Only the course with this code.", "CS101"),
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
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The key of a service, or the token of a person. In protected mode none is needed.",
}


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The OpenAPI document of the app. `api/errors.py` answers errors, so this registers no handlers.

    The document is put together when it is first read, as that takes ten times as long as the rest of the start, and
    kept as text, also compressed: writing it takes 20 ms, and anybody may ask for it.
    """

    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask, **spec: Any) -> None:
        self.chapters: list[Callable[[], None]] = []
        self._document: Asset | None = None
        self._lock = threading.Lock()
        super().__init__(spec_kwargs=spec | {"extra_plugins": [Explanations()]})
        self.register_converter(
            IdConverter, lambda _: {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
        )
        self.init_app(app)
        self.spec.components.security_scheme("bearer", BEARER)

    def _openapi_json(self) -> Response:
        with self._lock:
            if self._document is None:
                while self.chapters:
                    self.chapters.pop(0)()
                self._document = Asset(super()._openapi_json().get_data(), "application/json")
        return self._document.response()

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
