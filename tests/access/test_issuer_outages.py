"""However the issuer's address behaves, only tokens that need it are refused, and no request waits for it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import CapturingLogger

from course_management.access import authentication, fetching, issuer_keys
from course_management.access.issuer_keys import KeySet
from course_management.errors import IssuerUnavailable

from ..support import certificates
from ..support.databases import PATIENCE_S
from ..support.keys import create_key
from ..support.real_server import free_port, until
from .hostile import Behavior, HostileServer, drips, hangs_up, hostile_server, never_responds, says
from .issuer import AUDIENCE, LocalIssuer, unsigned

Case = tuple[FlaskClient, authentication.Authentication, dict[str, str]]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

ENDLESS: dict[str, tuple[str, Behavior]] = {
    "never responds": ("http", never_responds),
    "drips a status line": ("http", drips()),
    "drips headers": ("http", drips(HEAD, b"X: ")),
    "drips a body": ("http", drips(HEAD, b"Content-Length: 100000\r\n\r\n")),
    "drips a body without a length": ("http", drips(HEAD, b"\r\n")),
    "drips a chunk": ("http", drips(HEAD, b"Transfer-Encoding: chunked\r\n\r\n1000\r\n")),
    "never ends a TLS handshake": ("https", never_responds),
    "drips a TLS record": ("https", drips(b"\x16\x03\x03\x40\x00")),
}
WRONG: dict[str, tuple[str, Behavior]] = {
    "hangs up": ("http", hangs_up),
    "hangs up in a TLS handshake": ("https", hangs_up),
    "speaks no TLS": ("https", says(HEAD + b"\r\n")),
    "speaks no HTTP": ("http", says(b"220 mail.example.edu ESMTP\r\n")),
    "is a page": ("http", says(HEAD + b"Content-Length: 13\r\n\r\n<html></html>")),
    "fails": ("http", says(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")),
    "redirects": ("http", says(b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n")),
    "is huge": ("http", says(HEAD + b"\r\n" + b" " * (issuer_keys.MAX_KEYS_BYTES + 1))),
    "is nested without end": ("http", says(HEAD + b"\r\n" + b"[" * 100_000)),
    "has too many headers": ("http", says(HEAD + b"X: y\r\n" * 1000 + b"\r\n")),
    "breaks off": ("http", says(HEAD + b'Content-Length: 1000\r\n\r\n{"keys": [')),
}


@pytest.fixture
def serve() -> Iterator[Callable[[Behavior], HostileServer]]:
    """Starts servers that are stopped after the test."""
    with ExitStack() as stack:
        yield lambda behavior: stack.enter_context(hostile_server(behavior))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits: requests do not wait for a fetch, and a fetch has half a second."""
    monkeypatch.setattr(issuer_keys, "WAIT_S", 0.05)
    monkeypatch.setattr(issuer_keys, "DEADLINE_S", 0.5)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("scheme", "behavior"), (ENDLESS | WRONG).values(), ids=ENDLESS | WRONG)
def test_a_fetch_ends_however_the_issuer_behaves(
    serve: Callable[[Behavior], HostileServer], scheme: str, behavior: Behavior
) -> None:
    server = serve(behavior)
    service = KeySet(f"{scheme}://127.0.0.1:{server.port}/jwks")

    with pytest.raises(IssuerUnavailable):
        service.find("first")
    if running := service.refresh():
        assert running.done.wait(PATIENCE_S)

    assert service.problem()
    assert server.connections == 1


def test_an_address_without_a_server_is_an_outage() -> None:
    service = KeySet(f"http://127.0.0.1:{free_port()}/jwks")
    with pytest.raises(IssuerUnavailable):
        service.find("first")
    assert "refused" in service.problem()


def test_an_address_that_does_not_respond_leaves_time_for_the_next(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with two addresses, of which the first drops every packet."""
    monkeypatch.setattr(fetching, "CONNECT_S", 0.2)
    with socket.socket() as full, socket.socket() as waiting:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        waiting.connect(full.getsockname())  # fills the backlog: the kernel drops further connections
        until(lambda: _is_dropped(full.getsockname()), "a full queue")
        real = socket.getaddrinfo(*issuer.address, type=socket.SOCK_STREAM)
        first = (*real[0][:4], full.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [first, *real])

        assert KeySet(issuer.jwks_url).find("first")


def _is_dropped(address: Any) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.1)
        try:
            probe.connect(address)
        except TimeoutError:
            return True
        return False


@pytest.mark.usefixtures("short")
def test_a_slow_name_lookup_delays_no_request_and_its_result_is_used(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver cannot be interrupted, so what it finds in the end is used if there is time for the rest."""
    monkeypatch.setattr(issuer_keys, "DEADLINE_S", PATIENCE_S)
    resolves, resolve = threading.Event(), socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *address, **named: resolves.wait(PATIENCE_S) and resolve(*address, **named),
    )
    service = KeySet(issuer.jwks_url)

    for _ in range(5):
        with pytest.raises(IssuerUnavailable) as refusal:
            service.find("first")
        assert refusal.value.headers["Retry-After"] == "1"
    running = service.refresh()
    resolves.set()

    assert running
    assert running.done.wait(PATIENCE_S)
    assert service.find("first")
    assert issuer.fetches == 1


class TestInTheService:
    """Two working threads, tokens with unknown key ids from anybody, and services with keys."""

    @pytest.fixture
    def secured(self, make_app: Callable[..., Flask]) -> Callable[[str], Case]:
        """Makes an app with an issuer at an address, and the credentials of a service."""

        def make(url: str) -> Case:
            app = make_app(
                threads=2, oidc_issuer="https://login.example.edu", oidc_audience=AUDIENCE, oidc_jwks_url=url
            )
            with app.app_context():
                key = create_key("portal", ["courses:read"])
            return app.test_client(), app.extensions["authentication"], {"Authorization": f"Bearer {key}"}

        return make

    @pytest.mark.parametrize(("scheme", "behavior"), ENDLESS.values(), ids=ENDLESS)
    def test_services_with_keys_are_served_while_the_issuer_hangs(
        self,
        secured: Any,
        scheme: str,
        behavior: Behavior,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(issuer_keys, "WAIT_S", 0.05)
        monkeypatch.setattr(
            issuer_keys, "DEADLINE_S", 10 * PATIENCE_S
        )  # a request that waited for the fetch would not return

        def ask(number: int) -> tuple[int, str | None]:
            token = unsigned({"alg": "RS256", "typ": "JWT", "kid": f"key-{number}"}, {}, b"signature")
            headers = {"Authorization": f"Bearer {token}"} if number % 2 else service
            response = client.application.test_client().get("/courses", headers=headers)
            return response.status_code, response.get_json().get("code")

        with ThreadPoolExecutor(2) as threads, hostile_server(behavior) as server:
            client, _, service = secured(f"{scheme}://127.0.0.1:{server.port}/jwks")
            found = list(threads.map(ask, range(40), timeout=PATIENCE_S))
            until(lambda: server.connections == 1, "the one fetch")

        assert found[::2] == [(200, None)] * 20
        assert found[1::2] == [(503, "issuer_unavailable")] * 20

    def test_an_unknown_key_is_401_once_keys_were_fetched(
        self, secured: Any, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, watched, _ = secured(issuer.jwks_url)
        watched.issuer.keys.find("first")
        monkeypatch.setattr(issuer_keys, "COOLDOWN_S", -1)
        monkeypatch.setattr(issuer_keys, "WAIT_S", 0.05)
        hangs = threading.Event()
        monkeypatch.setattr(watched.issuer.keys, "_get", lambda _: hangs.wait(PATIENCE_S) and b"")

        token = unsigned({"alg": "RS256", "typ": "JWT", "kid": "unknown"}, {}, b"signature")
        responses = [client.get("/courses", headers={"Authorization": f"Bearer {token}"}) for _ in range(5)]
        hangs.set()

        assert {response.status_code for response in responses} == {401}

    def test_the_keys_are_fetched_before_the_first_token(self, secured: Any, issuer: LocalIssuer) -> None:
        _, watched, _ = secured(issuer.jwks_url)
        assert issuer.fetches == 0  # a command must not fetch anything

        watched.start()

        until(lambda: issuer.fetches == 1, "a fetch")

    def test_without_an_issuer_nothing_is_fetched(
        self, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched: list[object] = []
        monkeypatch.setattr(KeySet, "refresh", fetched.append)
        authentication = make_app().extensions["authentication"]

        authentication.start()

        assert authentication.issuer is None
        assert fetched == []


def test_a_check_waits_for_a_bounded_time(
    serve: Callable[[Behavior], HostileServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "CHECK_S", 0.05)
    server = serve(never_responds)
    assert KeySet(f"http://127.0.0.1:{server.port}/jwks").problem() == "no response within 0.05 s"


def test_a_fetch_fails_when_its_time_is_over_before_the_connection(issuer: LocalIssuer) -> None:
    """As after a name that took too long to resolve."""
    with pytest.raises(OSError, match="deadline"):
        fetching.fetch(issuer.jwks_url, issuer_keys.MAX_KEYS_BYTES, 0)


def test_an_outage_is_logged_once(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr(issuer_keys, "log", log)
    monkeypatch.setattr(issuer_keys, "COOLDOWN_S", -1)
    service = KeySet(issuer.jwks_url)

    def fetch() -> None:
        running = service.refresh()
        assert running
        assert running.done.wait(PATIENCE_S)
        until(lambda: "issuer-keys" not in {each.name for each in threading.enumerate()}, "the end of the thread")

    issuer.fails = True
    for _ in range(3):
        fetch()
    issuer.fails = False
    for _ in range(3):
        fetch()

    assert [call.args for call in log.calls] == [("issuer.unavailable",), ("issuer.available",)]
    assert log.calls[0].kwargs["why"].startswith("Refused: the response has the status 500")


def test_a_thread_that_cannot_be_started_is_an_outage(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    service = KeySet(issuer.jwks_url)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _cannot_start)
        with pytest.raises(IssuerUnavailable):
            service.find("first")

    assert service.find("first")


def _cannot_start(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_fetch_may_use_all_of_its_time(issuer: LocalIssuer) -> None:
    """The control for the endless responses: the same fetch from a server that works."""
    found = json.loads(fetching.fetch(issuer.jwks_url, issuer_keys.MAX_KEYS_BYTES, PATIENCE_S))
    assert [each["kid"] for each in found["keys"]] == ["first"]


def test_no_proxy_of_the_environment_is_used(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert KeySet(issuer.jwks_url).find("first")


class TestTLS:
    """An issuer with a certificate for `localhost`."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return certificates.certificate(tmp_path, "localhost", 30)

    @pytest.fixture
    def serve_tls(
        self, certificate: Path, serve: Callable[[Behavior], HostileServer]
    ) -> Callable[[Behavior], HostileServer]:
        """Start a server that encrypts what a behavior sends."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

        def start(behavior: Behavior) -> HostileServer:
            def encrypted(client: socket.socket, over: threading.Event) -> None:
                with context.wrap_socket(client, server_side=True) as tls:
                    behavior(tls, over)

            return serve(encrypted)

        return start

    def test_a_document_is_fetched_with_a_trusted_certificate_only(
        self, certificate: Path, serve_tls: Callable[[Behavior], HostileServer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve_tls(says(HEAD + b"Content-Length: 2\r\n\r\n{}"))
        url = f"https://localhost:{server.port}/jwks"
        with pytest.raises(ssl.SSLCertVerificationError):
            fetching.fetch(url, 100, PATIENCE_S)

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetching.fetch(url, 100, PATIENCE_S) == b"{}"
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            fetching.fetch(url.replace("localhost", "127.0.0.1"), 100, PATIENCE_S)

    @pytest.mark.parametrize("length", [b"Content-Length: 100000\r\n", b""], ids=["length", "no length"])
    def test_a_body_that_does_not_end_is_abandoned_at_the_deadline(
        self,
        certificate: Path,
        serve_tls: Callable[[Behavior], HostileServer],
        monkeypatch: pytest.MonkeyPatch,
        length: bytes,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        server = serve_tls(drips(HEAD, length + b"\r\n"))
        with pytest.raises(TimeoutError, match="deadline"):
            fetching.fetch(f"https://localhost:{server.port}/jwks", 100_000, 0.5)
