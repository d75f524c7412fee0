"""The declarations of endpoints, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import Response
from marshmallow import Schema
from marshmallow.fields import Field

from ..errors import Problem

JSON = "application/json"
View = Callable[..., Response]


class HasScope(Protocol):
    """The part of an access row that an endpoint uses; authorization uses the rest."""

    @property
    def scope(self) -> str | None:
        """The scope that a service needs; None: every caller may use the endpoint, authenticated or not."""


@dataclass(frozen=True, slots=True)
class Body:
    """The JSON body of a request, which `schema` loads: an object or, where a field takes its place, an array."""

    schema: Schema | Field[Any]
    example: Any = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Success:
    """A successful response: its schema (None: without a body), an example, and the headers it has."""

    status: int
    schema: type[Schema] | Schema | Field[Any] | None = None
    example: Any = None
    headers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Media types of files that it can be instead of JSON."""


@dataclass(slots=True)
class Declaration:
    """The declarations that the decorators of one view collect."""

    query: Schema | None = None
    body: Body | None = None
    responses: list[Success] = field(default_factory=list)
    conditional: list[str] = field(default_factory=list)
    """`If-Match` or `If-None-Match`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one route."""

    name: str
    """Its `operationId` in the OpenAPI document."""
    documentation: str
    """A sentence and, after an empty line, more."""
    method: str
    rule: str
    view: View
    access: HasScope
    declared: Declaration
    problems: tuple[type[Problem], ...] = ()
    """Its own problems; those that every route may report are added."""
