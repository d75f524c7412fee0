"""Declare an endpoint: its route, its access, what it accepts, how it responds, which problems it reports.

A declaration is data (`declarations`): the request is parsed by it, authorization reads its access row, and the OpenAPI
document is made from it. A view gets by name the values of its path and what it has parameters for: `query`, `page`,
`body`, `if_match`, and the `context` of the request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
from marshmallow import Schema

from ..errors import Problem
from .declarations import Body, Declaration, Endpoint, HasScope, Success, View
from .parsing import handler

Decorator = Callable[[View], View]


class Endpoints(flask.Blueprint):
    """A blueprint whose routes are declared. `description` is that of its tag in the OpenAPI document."""

    def __init__(self, name: str, import_name: str, *, description: str) -> None:
        super().__init__(name, import_name)
        self.description = description
        self.endpoints: list[Endpoint] = []

    def declare(self, method: str, rule: str, access: HasScope, *problems: type[Problem]) -> Decorator:
        """Register the decorated view at a route. `problems` are its own, beside those that every route may report."""

        def register(view: View) -> View:
            self.add(
                Endpoint(
                    name=view.__name__,
                    documentation=view.__doc__ or "",
                    method=method,
                    rule=rule,
                    view=view,
                    access=access,
                    declared=_declaration(view),
                    problems=problems,
                )
            )
            return view

        return register

    def add(self, endpoint: Endpoint) -> None:
        """Register an endpoint that is declared as data."""
        self.endpoints.append(endpoint)
        view = with_access(endpoint.access, handler(endpoint.method, endpoint.view, endpoint.declared))
        self.add_url_rule(endpoint.rule, endpoint.name, view, methods=[endpoint.method])


def with_access(access: HasScope, view: Any) -> Any:
    """Attach its access row to a view. A view without one stops the start."""
    view.access = access
    return view


def query(schema: type[Schema]) -> Decorator:
    """Pass the query, loaded by `schema`, to the view as `query`, and a list's page as `page`."""
    loader = schema()
    return _declaring(lambda declaration: setattr(declaration, "query", loader))


def body(schema: type[Schema] | Schema, example: Any, *, required: bool = True) -> Decorator:
    """Pass the JSON body, loaded by `schema`, to the view as `body`; None if there is none and none is required."""
    body_declaration = Body(schema() if isinstance(schema, type) else schema, example, required=required)
    return _declaring(lambda declaration: setattr(declaration, "body", body_declaration))


def responds(
    status: int,
    schema: type[Schema] | Schema | None = None,
    example: Any = None,
    *,
    headers: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
) -> Decorator:
    """Document a successful response."""
    success = Success(status, schema, example, headers, files)
    return _declaring(lambda declaration: declaration.responses.insert(0, success))


def if_match(view: View) -> View:
    """Pass the precondition of an If-Match header to the view as `if_match`; None without the header."""
    _declaration(view).conditional.append("If-Match")
    return view


def if_none_match(view: View) -> View:
    """Respond 304 without a body where the client has the body that the view returns."""
    _declaration(view).conditional.append("If-None-Match")
    return view


def _declaration(view: View) -> Declaration:
    declaration: Declaration = vars(view).setdefault("declaration", Declaration())
    return declaration


def _declaring(note: Callable[[Declaration], object]) -> Decorator:
    def decorate(view: View) -> View:
        note(_declaration(view))
        return view

    return decorate
