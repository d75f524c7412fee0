"""Run the WSGI application for one request, and send its response through the transport of granian."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..errors import InternalError, Overloaded, Problem
from ..spooled_body import SpooledBody
from .large_responses import LARGE, LargeResponses
from .spooled_responses import SpooledResponse, SpooledResponses

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Response: TypeAlias = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""


class Transport(Protocol):
    """Takes the response to a request, from any thread, at any time. granian passes one with each request."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the response."""

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterator[bytes]) -> None:
        """Send the response in pieces. Returns when granian has taken the last one or the connection has ended."""


@dataclass(frozen=True, slots=True)
class Application:
    """The WSGI application of a worker process, and what the server needs to know about it."""

    wsgi: WSGIApplication
    liveness_path: str
    """Requests for this path bypass the queue."""
    readiness_path: str
    """Requests for this path queue only behind each other."""
    problem_response: Callable[[type[Problem], WSGIEnvironment], Response]
    """Make the response to a request that does not reach the application, at little cost: the server is overloaded."""
    as_problem: Callable[[BaseException], Problem]
    """Log what was raised, and return the problem that it amounts to."""
    run_group: Callable[[Sequence[Callable[[], object]]], object] = lambda works: [work() for work in works]
    """Run functions, each of which responds to one request, as a group whose statements travel together."""
    on_stop: Callable[[], object] | None = None
    """Called when the worker is asked to stop, before it finishes its requests."""
    large_responses: LargeResponses = field(default_factory=LargeResponses)
    spooled_responses: SpooledResponses = field(default_factory=SpooledResponses)

    def respond(self, transport: Transport, environ: WSGIEnvironment) -> None:
        """Send the response of the application, or 500 if that raises anything. Never raises: the thread must go on."""
        try:
            response = _call(self.wsgi, environ)
            if isinstance(response, SpooledResponse):
                is_accepted = self._spool(transport, response, environ)
            elif is_accepted := len(response[2]) < LARGE:
                transport.response_bytes(*response)
            else:
                is_accepted = self.large_responses.send(transport, response)
            if not is_accepted:
                self.respond_with(Overloaded, transport, environ)
        except BaseException as error:  # noqa: BLE001 - SystemExit and panics of granian, too
            with suppress(BaseException):
                self.respond_with(InternalError, transport, environ)
            with suppress(BaseException):
                self.as_problem(error)

    def _spool(self, transport: Transport, response: SpooledResponse, environ: WSGIEnvironment) -> bool:
        def error_response(error: BaseException) -> Response:
            problem: type[Problem] = InternalError
            with suppress(Exception):
                problem = type(self.as_problem(error))
            return self.problem_response(problem, environ)

        return self.spooled_responses.send(transport, response, error_response)

    def respond_with(self, problem: type[Problem], transport: Transport, environ: WSGIEnvironment) -> None:
        """Send a problem response without running the application."""
        transport.response_bytes(*self.problem_response(problem, environ))


def _call(wsgi: WSGIApplication, environ: WSGIEnvironment) -> Response | SpooledResponse:
    """Return the complete response, so that a slow client does not occupy the thread of the application.

    The body of an export is returned as it is, and written later.
    """
    status, headers, parts = 500, list[tuple[str, str]](), list[bytes]()

    def start(line: str, fields: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
        nonlocal status, headers
        status, headers = int(line[:3]), fields
        return parts.append

    body = wsgi(environ, start)
    if isinstance(body, SpooledBody):
        return SpooledResponse(status, headers, body)
    try:
        parts.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return status, headers, b"".join(parts)
