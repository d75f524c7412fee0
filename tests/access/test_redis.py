"""Rate limits in Redis: shared by all workers, and not applied during an outage of Redis."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import CapturingLogger

from course_management import circuit_breaker
from course_management.circuit_breaker import FAILURES

from ..support.databases import PATIENCE_S
from ..support.keys import create_key
from ..support.real_server import free_port, until
from .fake_redis import FakeRedis, fake_redis
from .hostile import Behavior, drips, hangs_up, hostile_server, never_responds, says

HOSTILE: dict[str, Behavior] = {
    "never responds": never_responds,
    "hangs up": hangs_up,
    "drips": drips(),
    "drips a number": drips(b":1"),
    "speaks HTTP": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "is loading": says(b"-LOADING Redis is loading the dataset in memory\r\n" * 9),
    "is full": says(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n" * 9),
    "has a protected mode": says(b"-DENIED Redis is running in protected mode\r\n"),
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Servers that end with the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """Return what the circuit breaker logs."""
    found = CapturingLogger()
    monkeypatch.setattr(circuit_breaker, "log", found)
    return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a Redis that responds, however slow the machine is."""
    monkeypatch.setattr(circuit_breaker, "WAIT_S", PATIENCE_S)
    monkeypatch.setattr("course_management.access.rate_limits.SOCKET_S", PATIENCE_S)


@pytest.fixture
def client_of(make_app: Callable[..., Flask]) -> Callable[..., FlaskClient]:
    """Makes a client with a key that may read three times per hour, counted at this address."""

    def make(uri: str) -> FlaskClient:
        app = make_app(threads=2, ratelimit_service_reads="3 per hour", ratelimit_storage_uri=uri)
        with app.app_context():
            key = create_key("portal", ["courses:read"])
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return client

    return make


def statuses(client: FlaskClient, number: int) -> list[int]:
    return [client.get("/courses").status_code for _ in range(number)]


@pytest.mark.usefixtures("patient")
class TestARedisThatWorks:
    @pytest.fixture(params=["fake", "real"])
    def uri(self, request: pytest.FixtureRequest, stack: ExitStack, tmp_path: Path) -> str:
        if request.param == "fake":
            return f"redis://:secret@127.0.0.1:{stack.enter_context(fake_redis('secret')).port}/0"
        return f"redis://:secret@127.0.0.1:{real_redis(stack, tmp_path, '--requirepass', 'secret')}/0"

    def test_two_workers_share_their_counters(self, client_of: Callable[..., FlaskClient], uri: str) -> None:
        one, other = client_of(uri), client_of(uri)

        assert statuses(one, 2) + statuses(other, 1) == [200] * 3
        response = other.get("/courses")

        assert response.status_code == 429
        assert 3500 < int(response.headers["Retry-After"]) <= 3600
        assert one.get("/courses").status_code == 429

    def test_with_a_wrong_password_no_request_is_refused(
        self, client_of: Callable[..., FlaskClient], uri: str, log: CapturingLogger
    ) -> None:
        assert statuses(client_of(uri.replace("secret", "wrong")), 20) == [200] * 20
        assert [call.args for call in log.calls] == [("ratelimit_storage.unavailable",)]
        assert "wrong" not in str(log.calls)


def real_redis(stack: ExitStack, folder: Path, *options: str) -> int:
    """Run a separate redis-server, and return its port."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed; the fake ran instead")
    port = free_port()
    nothing = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(  # noqa: S603 - as installed
        [program, "--port", str(port), *nothing, *options], stdout=subprocess.DEVNULL
    )

    def stop() -> None:
        process.kill()
        process.wait()

    stack.callback(stop)
    until(lambda: _listens(port), "a Redis")
    return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("behavior", HOSTILE.values(), ids=HOSTILE)
def test_a_redis_that_does_not_respond_neither_delays_nor_refuses_requests(
    client_of: Callable[..., FlaskClient],
    log: CapturingLogger,
    monkeypatch: pytest.MonkeyPatch,
    behavior: Behavior,
) -> None:
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 10 * PATIENCE_S)
    # A request that waited for an operation on the socket would not return in time.
    monkeypatch.setattr("course_management.access.rate_limits.SOCKET_S", 10 * PATIENCE_S)
    with ThreadPoolExecutor(2) as threads, hostile_server(behavior) as server:
        client = client_of(f"redis://127.0.0.1:{server.port}")
        without_key = [client.application.test_client() for _ in range(3)]
        assert list(threads.map(lambda each: statuses(each, 1), without_key)) == [[401]] * 3
        assert server.connections == 0  # nothing is counted
        found = list(threads.map(lambda _: statuses(client, 1), range(40), timeout=PATIENCE_S))

    assert found == [[200]] * 40
    assert client.get("/readyz").status_code == 200
    # One more call may begin in the other thread; redis-py reconnects when a server sends something unasked.
    assert server.connections <= 2 * (FAILURES + 1)
    assert [call.args for call in log.calls] == [("ratelimit_storage.unavailable",)]


def test_while_redis_refuses_connections_no_request_is_refused(
    client_of: Callable[..., FlaskClient], log: CapturingLogger
) -> None:
    assert statuses(client_of(f"redis://127.0.0.1:{free_port()}"), 20) == [200] * 20
    assert log.calls[0].kwargs["error"] == "ConnectionError"


def test_a_slow_name_lookup_of_redis_delays_no_request(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, resolves = client_of("redis://redis.example.edu"), threading.Event()
    monkeypatch.setattr("redis.connection.socket.getaddrinfo", lambda *_, **__: resolves.wait(10 * PATIENCE_S))
    assert statuses(client, 20) == [200] * 20
    resolves.set()


def test_with_a_read_only_replica_no_request_is_refused(
    client_of: Callable[..., FlaskClient], stack: ExitStack, log: CapturingLogger
) -> None:
    redis: FakeRedis = stack.enter_context(fake_redis())
    redis.read_only = True
    assert statuses(client_of(f"redis://127.0.0.1:{redis.port}"), 20) == [200] * 20
    assert redis.commands.count("EVALSHA") == FAILURES + 1  # one before the script was loaded
    assert log.calls[0].kwargs["error"] == "ReadOnlyError"


@pytest.mark.usefixtures("patient")
def test_limits_apply_again_after_an_outage(
    client_of: Callable[..., FlaskClient],
    stack: ExitStack,
    log: CapturingLogger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fake_redis() as redis:
        client = client_of(f"redis://127.0.0.1:{redis.port}")
        assert statuses(client, 4) == [200] * 3 + [429]
    assert statuses(client, 20) == [200] * 20
    stack.enter_context(fake_redis(port=redis.port))
    assert statuses(client, 20) == [200] * 20  # no trial call was made yet

    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 0)
    client.application.extensions["authentication"].limits._breaker._open_until = 0  # noqa: SLF001 - the pause is over

    assert statuses(client, 4) == [200] * 3 + [429]
    assert [call.args[0] for call in log.calls] == ["ratelimit_storage.unavailable", "ratelimit_storage.available"]


@pytest.mark.usefixtures("patient")
def test_a_connection_closed_by_redis_leaves_one_request_uncounted(
    client_of: Callable[..., FlaskClient], stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 0)
    redis: FakeRedis = stack.enter_context(fake_redis())
    client = client_of(f"redis://127.0.0.1:{redis.port}")
    assert statuses(client, 3) == [200] * 3
    redis.drop_connections()

    assert statuses(client, 3)[1:] == [429] * 2


@pytest.mark.usefixtures("patient")
def test_a_worker_connects_before_its_first_request(
    client_of: Callable[..., FlaskClient], stack: ExitStack, make_app: Callable[..., Flask]
) -> None:
    redis: FakeRedis = stack.enter_context(fake_redis())
    app = client_of(f"redis://127.0.0.1:{redis.port}").application
    assert redis.commands == []  # a command must not connect
    app.extensions["authentication"].start()
    assert redis.commands == ["PING"]
    make_app().extensions["authentication"].start()


@pytest.mark.usefixtures("patient")
def test_a_new_connection_sends_only_the_commands_it_needs(
    client_of: Callable[..., FlaskClient], stack: ExitStack
) -> None:
    redis: FakeRedis = stack.enter_context(fake_redis())
    statuses(client_of(f"redis://127.0.0.1:{redis.port}"), 2)
    assert redis.commands == ["EVALSHA", "SCRIPT", "EVALSHA", "EVALSHA"]
