"""A client of a running service: threads that send requests over HTTP, each on a persistent connection of its own."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import click

K = TypeVar("K")
R = TypeVar("R")
Json: TypeAlias = dict[str, Any]
Body: TypeAlias = Json | list[Json]

LOST = (ConnectionError, http.client.HTTPException)
"""The connection ended before the response did: it is unknown whether the request was applied."""
OK, CREATED = 200, 201


class Unusable(click.ClickException):
    """Nothing can be measured, for example because the service does not respond. Exit code 2."""

    exit_code = 2


class Response(NamedTuple):
    """A response; `repeated` when the request was sent twice, because the first response was lost."""

    status: int
    body: bytes
    seconds: float
    repeated: bool

    def has_enrolled(self) -> bool:
        """Return whether the response is 201, or 200 to a repetition: then the lost first request has enrolled."""
        return self.status == CREATED or (self.repeated and self.status == OK)


class Service:
    """A running service and the threads that send requests to it, one persistent connection per thread."""

    def __init__(self, url: str, threads: int) -> None:
        self._url, self._own = url.rstrip("/"), threading.local()
        try:
            parts = urlsplit(self._url)
            kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}[parts.scheme]
            self._connections = [kind(parts.netloc, timeout=30) for _ in range(threads + 1)]
        except (KeyError, ValueError, http.client.InvalidURL):
            raise Unusable(f"{url!r} is not the URL of a service; write http://host:port.") from None
        self._path, unclaimed = parts.path, iter(self._connections)
        self._own.connection = next(unclaimed)  # of the thread that creates the service
        self._pool = ThreadPoolExecutor(threads, initializer=lambda: setattr(self._own, "connection", next(unclaimed)))

    def close(self) -> None:
        """Cancel the requests that have not started, and close the connections."""
        self._pool.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def each(self, label: str, work: Callable[[K], R], things: Collection[K]) -> dict[K, R]:
        """Call `work` with each of `things` in the threads, and return the result of each."""
        found = self._pool.map(work, things)
        with click.progressbar(found, length=len(things), label=label, file=sys.stderr) as results:
            return dict(zip(things, results, strict=True))

    def call(self, method: str, path: str, body: Body | None = None) -> Response:
        """Send a request, and again if the connection is lost: a server may close an idle one at any time."""
        began = time.perf_counter()
        try:
            try:
                status, found, repeated = *self._send(method, path, body), False
            except LOST:
                time.sleep(0.1)  # a worker that was killed still accepts for a moment, and resets
                status, found, repeated = *self._send(method, path, body), True
        except (OSError, http.client.HTTPException) as error:
            raise Unusable(f"The service at {self._url} does not respond: {error}.") from None
        return Response(status, found, time.perf_counter() - began, repeated)

    def request_json(self, method: str, path: str, body: Body | None = None) -> Json:
        """Return the JSON of a successful response. Raises `Unusable` for any other."""
        status, found, *_ = self.call(method, path, body)
        if status not in {OK, CREATED}:
            raise Unusable(f"The service at {self._url} responds to {method} {path} with {status}.")
        return cast("Json", json.loads(found))

    def _send(self, method: str, path: str, body: Body | None) -> tuple[int, bytes]:
        connection: http.client.HTTPConnection = self._own.connection
        sent = (None, {}) if body is None else (json.dumps(body), {"Content-Type": "application/json"})
        try:
            connection.request(method, self._path + path, *sent)
            response = connection.getresponse()
            return response.status, response.read()
        except Exception:
            connection.close()  # it opens itself again for the next request
            raise


def create(service: Service, path: str, bodies: Mapping[K, Json]) -> dict[K, int]:
    """Create one resource per body, and return the ids."""
    return service.each(
        f"Creating {path}", lambda key: int(service.request_json("POST", path, bodies[key])["id"]), bodies
    )


def create_open_term(service: Service, code: str, days: Mapping[str, str]) -> int:
    """Create a term with these days, in which registration is always open, and return its id."""
    (term_id,) = create(service, "/terms", {code: {"code": code, "title": code, **days}}).values()
    always = {"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2999-12-31T00:00:00Z"}
    service.request_json("PUT", f"/terms/{term_id}/windows", [always])
    return term_id
