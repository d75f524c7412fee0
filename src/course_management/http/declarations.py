"""The declarations of endpoints, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from flask import Response
from marshmallow import Schema
from marshmallow.fields import Field

from ..errors import (
    BadRequest,
    DatabaseUnavailable,
    Forbidden,
    HeadersTooLarge,
    InternalError,
    LengthRequired,
    MalformedJson,
    MalformedPrecondition,
    Overloaded,
    PayloadTooLarge,
    PreconditionFailed,
    Problem,
    ProtectedMode,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)

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
    """Its own problems, beside those that it shares with others."""

    @property
    def statuses(self) -> set[int]:
        """Every status that it may respond with."""
        shared = [problem for group in SHARED_PROBLEMS if group.concerns(self) for problem in group.problems]
        problems = {problem.status for problem in (*self.problems, *shared)}
        return problems | {success.status for success in self.declared.responses}


class SharedProblems(NamedTuple):
    """Problems that endpoints report because of something that they have in common."""

    calls: str
    """Which calls these are, in the documentation."""
    concerns: Callable[[Endpoint], bool]
    problems: tuple[type[Problem], ...]


SHARED_PROBLEMS = (
    SharedProblems(
        "every call",
        lambda _: True,
        (
            BadRequest,
            ProtectedMode,
            UriTooLong,
            ValidationFailed,
            HeadersTooLarge,
            InternalError,
            DatabaseUnavailable,
            Overloaded,
        ),
    ),
    SharedProblems(
        "calls that need a scope",
        lambda endpoint: endpoint.access.scope is not None,
        (Unauthenticated, Forbidden, TooManyRequests),
    ),
    SharedProblems(
        "calls with a body",
        lambda endpoint: endpoint.declared.body is not None,
        (MalformedJson, PayloadTooLarge, UnsupportedMediaType),
    ),
    SharedProblems(
        "other calls that change something",
        lambda endpoint: endpoint.declared.body is None and endpoint.method != "GET",
        (LengthRequired,),
    ),
    SharedProblems(
        "calls with If-Match",
        lambda endpoint: "If-Match" in endpoint.declared.conditional,
        (MalformedPrecondition, PreconditionFailed),
    ),
)
"""The problems that the OpenAPI document says once for all calls."""
