"""Runs the WSGI application for one request, and sends its response through granian's transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..errors import InternalError, Overloaded, Problem
from .large_responses import LARGE, LargeResponses

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Response: TypeAlias = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""


class Transport(Protocol):
    """What granian passes with a request: it takes the response, from any thread, at any time."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the response."""

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterator[bytes]) -> None:
        """Send the response piece by piece; returns when granian has taken the last one, or the client is gone."""


@dataclass(frozen=True, slots=True)
class Application:
    """The application, and what the request queue has to know about it."""

    wsgi: WSGIApplication
    liveness_path: str
    """Requests for this path bypass the queue."""
    readiness_path: str
    """Requests for this path queue only behind each other."""
    problem_response: Callable[[type[Problem], WSGIEnvironment], Response]
    """The response to a request that the application does not see. Must cost next to nothing."""
    log_exception: Callable[[BaseException], object]
    large_responses: LargeResponses = field(default_factory=LargeResponses)

    def respond(self, transport: Transport, environ: WSGIEnvironment) -> None:
        """Send the application's response, or 500 if it raises anything. Never raises: the calling thread must live."""
        try:
            response = _run(self.wsgi, environ)
            if len(response[2]) < LARGE:
                transport.response_bytes(*response)
            elif not self.large_responses.send(transport, response):
                self.respond_with(Overloaded, transport, environ)
        except BaseException as error:  # noqa: BLE001 - also SystemExit, and a panic of granian's, which is no Exception
            with suppress(BaseException):
                self.respond_with(InternalError, transport, environ)
            with suppress(BaseException):
                self.log_exception(error)

    def respond_with(self, problem: type[Problem], transport: Transport, environ: WSGIEnvironment) -> None:
        """Send a problem without asking the application."""
        transport.response_bytes(*self.problem_response(problem, environ))


def _run(wsgi: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """The whole response, so that a client that reads slowly does not occupy the thread that made it."""
    status, headers, parts = 500, list[tuple[str, str]](), list[bytes]()

    def start(line: str, fields: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
        nonlocal status, headers
        status, headers = int(line[:3]), fields
        return parts.append

    body = wsgi(environ, start)
    try:
        parts.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return status, headers, b"".join(parts)
