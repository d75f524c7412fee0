"""Connecting to a server that does not respond takes a request's time once, not in each request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from course_management.database.postgresql import Connector

from ..support.databases import PATIENCE_S
from ..support.real_server import until

FOREVER = 100 * PATIENCE_S
CONNECTION: Any = object()


@pytest.fixture
def server() -> Iterator[threading.Event]:
    """Return an event: while it is not set, the server does not respond."""
    responds = threading.Event()
    yield responds
    responds.set()


def connects(connector: Connector, connect: Callable[[], Any]) -> bool:
    """Return whether a request gets a connection."""
    try:
        return connector.connect(connect, FOREVER) is CONNECTION
    except psycopg.errors.ConnectionTimeout:
        return False


def test_after_one_request_has_waited_in_vain_others_fail_soon(server: threading.Event) -> None:
    connector = Connector()

    def connect() -> Any:
        server.wait()
        return CONNECTION

    with pytest.raises(psycopg.errors.ConnectionTimeout):
        connector.connect(connect, 0.01)
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        connector.connect(connect, FOREVER)

    server.set()
    until(lambda: connects(connector, connect), "a connection")


def test_after_a_call_was_cut_off_requests_do_not_wait_long_for_a_connection(server: threading.Event) -> None:
    connector = Connector()
    connector.suspect()

    def connect() -> Any:
        server.wait()
        return CONNECTION

    with pytest.raises(psycopg.errors.ConnectionTimeout):
        connector.connect(connect, FOREVER)


def test_once_the_server_responds_again_requests_wait_as_long_as_they_may(server: threading.Event) -> None:
    connector = Connector()
    connector.suspect()
    assert connector.connect(lambda: CONNECTION, FOREVER) is CONNECTION

    def connect_slowly() -> Any:
        server.wait(0.5)
        return CONNECTION

    assert connector.connect(connect_slowly, FOREVER) is CONNECTION
