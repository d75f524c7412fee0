"""Fetch a document over HTTP with one time limit for all of it.

The standard library suffices: `http.client` follows no redirects and uses no proxies. The runtime dependencies include
no HTTP client, and the timeouts of urllib3 and httpx, like those of sockets, apply to single operations: a server that
sends one byte per second never exceeds them. So the socket is shut down at the deadline.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

CONNECT_S = 3
"""Seconds for each address of a name, so that an address that does not respond leaves time for the next."""
HEADERS = {"Accept": "application/json", "Connection": "close", "User-Agent": "course-management"}


class Refused(HTTPException):
    """The response has another status than 200; `document` is what it says."""

    def __init__(self, status: int, document: bytes) -> None:
        super().__init__(f"the response has the status {status}")
        self.status, self.document = status, document


def fetch(
    url: str,
    max_bytes: int,
    within_s: float,
    *,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Get the document at an http or https URL: at most `max_bytes`, within `within_s` seconds, without redirects.

    With a `body`, it is posted. Raises `Refused` for a status that is not 200, `OSError` (`TimeoutError` at the
    deadline), `http.client.HTTPException`, or `ValueError` when it is larger. Name lookup and connecting may exceed the
    deadline, so a caller that cannot wait for them needs a thread.
    """
    deadline = time.monotonic() + within_s
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    connection = (HTTPSConnection if is_tls else HTTPConnection)(host, parts.port)
    sock = socket.create_connection((host, connection.port), CONNECT_S)
    if is_tls:
        sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    sock.settimeout(None)
    connection.sock = sock
    timer = threading.Timer(deadline - time.monotonic(), _shut_down, (sock,))
    timer.daemon = True
    try:
        timer.start()
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        connection.request(
            "GET" if body is None else "POST",
            f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}",
            body,
            {**HEADERS, **(headers or {})},
        )
        with connection.getresponse() as response:
            document = response.read(max_bytes + 1)
            if response.status != HTTPStatus.OK:
                raise Refused(response.status, document[:max_bytes])
    finally:
        timer.cancel()
        sock.close()
        if time.monotonic() >= deadline:  # whatever the shutdown looked like from here: an error, or the end of a body
            raise TimeoutError("no complete response before the deadline")
    if len(document) > max_bytes:
        raise ValueError(f"the document is larger than {max_bytes} bytes")
    return document


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # the connection has ended already
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not that of `SSLSocket`, which other threads must not call
