"""Fetch a document over HTTP with one time limit for all of it.

A timeout of `urllib` applies to each operation on the socket: a server that sends one byte per second never meets it.
And nothing limits the lookup of a name. So everything here counts against one deadline, and callers that cannot wait
for a lookup run this in a thread of its own.
"""

from __future__ import annotations

import functools
import io
import socket
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError

CONNECT_S = 3
"""Seconds for one address of a name, so that one that does not respond leaves time for the others."""


def fetch(url: str, max_bytes: int, within_s: float) -> bytes:
    """Get the document at a fixed address: at most `max_bytes`, within `within_s` seconds, no redirects.

    Raises `OSError` (`TimeoutError` at the deadline), `http.client.HTTPException`, or `ValueError` when it is larger.
    Only the lookup of the name may take longer than the deadline, as long as the system's resolver takes.
    """
    deadline = Deadline(within_s)
    opener = urllib.request.build_opener(_NoRedirect, _Http(deadline), _Https(deadline))
    try:
        with opener.open(url, timeout=within_s) as response:
            data: bytes = response.read(max_bytes + 1)
    except HTTPError as error:
        error.close()
        raise
    if len(data) > max_bytes:
        raise ValueError(f"the document is larger than {max_bytes} bytes")
    return data


class Deadline:
    """A moment at which a fetch ends."""

    def __init__(self, within_s: float) -> None:
        self._at = time.monotonic() + within_s

    def left(self) -> float:
        """Return the seconds that are left. Raises `TimeoutError` when none are."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("no complete response before the deadline")
        return left

    def connect(self, address: tuple[str, int], *_: Any) -> socket.socket:
        """Connect as `socket.create_connection` does, with this limit for all addresses of the name together."""
        failure: OSError | None = None
        for family, kind, protocol, _name, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(min(CONNECT_S, self.left()))
                connection.connect(place)
                connection.settimeout(self.left())  # TLS: the handshake as a whole must end within a socket's timeout
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure or OSError("the name has no address")


class _TimedReader(io.RawIOBase):
    """What arrives at a socket; every read gets what is left of the time."""

    def __init__(self, connection: socket.socket, raw: io.RawIOBase, deadline: Deadline) -> None:
        self._connection, self._raw, self._deadline = connection, raw, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """A response whose status line, headers and body must all arrive before the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: Deadline, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp.detach(), deadline))


def _timed(make: Callable[..., HTTPConnection], deadline: Deadline) -> Callable[..., HTTPConnection]:
    def connection(*args: Any, **named: Any) -> HTTPConnection:
        made = make(*args, **named)
        made.response_class = functools.partial(_Response, deadline=deadline)  # type: ignore[assignment]
        made._create_connection = deadline.connect  # type: ignore[attr-defined]  # noqa: SLF001 - the library's own seam
        return made

    return connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_timed(HTTPConnection, self._deadline), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_timed(HTTPSConnection, self._deadline), req)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address in the settings is the address: whoever could redirect it could make tokens."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse; urllib then raises what the server answered, an `HTTPError`."""
