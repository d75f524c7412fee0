"""Connections without progress are ended, however old they are; the time is that of the test."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from course_management.server import slow_clients
from course_management.server.slow_clients import LEAST_BYTES_PER_S, SEND_BUFFER, SlowClients

from ..support.real_server import until

pytestmark = pytest.mark.skipif(
    not slow_clients.DESCRIPTORS.is_dir(), reason="only Linux reports the progress of a connection"
)

LIMIT_S = 10
ENOUGH = LEAST_BYTES_PER_S * LIMIT_S


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def clients(listener: socket.socket) -> SlowClients:
    found = SlowClients(listener.getsockname()[1], LIMIT_S)
    assert found.end(0) == 0
    return found


@pytest.fixture
def pair(clients: SlowClients, listener: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return a client socket and the server socket of its connection, which was checked at time 0."""
    with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
        server.setblocking(False)
        assert clients.end(0) == 0
        yield client, server


def fill(server: socket.socket) -> int:
    """Send until the kernel accepts no more. Return the number of bytes."""
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += server.send(b" " * 65_536)
    return sent


def receive(server: socket.socket, size: int) -> None:
    def found() -> bool:
        nonlocal size
        try:
            size -= len(server.recv(size))
        except BlockingIOError:
            return False
        return size == 0

    until(found, "the bytes")


def is_settled(server: socket.socket) -> bool:
    before = acknowledged(server)
    time.sleep(0.1)
    return acknowledged(server) == before


def acknowledged(server: socket.socket) -> int:
    return int.from_bytes(server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)[120:128], "little")


def is_open(server: socket.socket) -> bool:
    """Return whether the server socket was not shut down."""
    try:
        return server.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True


def test_a_connection_is_ended_when_the_client_does_not_read_for_the_time_limit(
    clients: SlowClients, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    until(lambda: fill(server) == 0 and is_settled(server), "the end of the client's buffer")
    clients.end(1)  # what that buffer took counts as progress once

    for now in (2, 10, 10.9):
        client.sendall(b" " * 2 * ENOUGH)  # further requests are no progress
        receive(server, 2 * ENOUGH)
        assert clients.end(now) == 0
    assert is_open(server)
    assert clients.end(11) == 1
    assert not is_open(server)


def test_a_client_that_reads_slowly_keeps_its_connection(
    clients: SlowClients, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    fill(server)
    for now in range(1, 200, LIMIT_S - 1):
        assert clients.end(now) == 0
        until(lambda: client.recv(SEND_BUFFER) and fill(server), "room for more")
    assert is_open(server)
    assert clients.end(now + LIMIT_S) == 0
    assert clients.end(now + 2 * LIMIT_S) == 1


def test_a_slow_body_keeps_its_connection_and_a_dribbling_one_does_not(
    clients: SlowClients, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    for now in range(15, 100, 15):
        client.sendall(b" " * 2 * ENOUGH)
        receive(server, 2 * ENOUGH)
        assert clients.end(now) == 0
    for now in (95, 100, 105):
        client.sendall(b" ")
        receive(server, 1)
        assert clients.end(now) == 0
    assert clients.end(110) == 1


def test_a_connection_with_responses_stays_open_and_an_idle_one_does_not(
    clients: SlowClients, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    for now in range(19, 200, 19):
        client.sendall(b"GET")
        server.sendall(b"200")
        assert client.recv(3) == b"200"
        until(lambda: not unacknowledged(server), "the acknowledgement")
        assert clients.end(now) == 0
    assert clients.end(now + 2 * LIMIT_S - 1) == 0
    assert clients.end(now + 2 * LIMIT_S) == 1


def unacknowledged(server: socket.socket) -> int:
    return int.from_bytes(server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)[24:28], "little")


def test_a_new_connection_with_the_same_descriptor_gets_its_full_time(
    clients: SlowClients, pair: tuple[socket.socket, socket.socket], listener: socket.socket
) -> None:
    client, server = pair
    number = server.fileno()
    client.close()
    server.close()
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as other:
        assert other.fileno() == number
        assert clients.end(2 * LIMIT_S + 1) == 0


def test_connections_to_other_ports_are_not_ended(clients: SlowClients) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server = listener.accept()[0]
        with server:
            assert [clients.end(now) for now in (0, 1000)] == [0, 0]
            client.sendall(b"x")
            assert server.recv(1) == b"x"


def test_the_send_buffer_of_a_connection_is_small(
    clients: SlowClients, pair: tuple[socket.socket, socket.socket]
) -> None:
    _, server = pair
    assert clients.is_listening
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER
