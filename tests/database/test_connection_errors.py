"""Commands that cannot reach the database report the driver's reason, and never a secret."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from click.testing import CliRunner

from course_management.cli import cli

SECRET = "s3cr/t pass"  # noqa: S105 - no real one
IN_URL = "s3cr%2Ft%20pass"


@contextmanager
def server(response: Callable[[bytes], bytes]) -> Iterator[int]:
    """Run a server that responds to the first message of each connection, and closes it. Return its port."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.sendall(response(client.recv(4096)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def speaks_tls(_: bytes) -> bytes:
    return b"S"


def refuses(_: bytes) -> bytes:
    """Return an error that repeats the password of the client, as some poolers do."""
    fields = b"SFATAL\0C28P01\0Mno entry for user=school password=" + SECRET.encode() + b"\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


def said(monkeypatch: pytest.MonkeyPatch, command: str, url: str) -> str:
    """Return the output of a command about a database that it cannot reach."""
    monkeypatch.setenv("DATABASE_URL", url)
    result = CliRunner().invoke(cli, [command])
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert SECRET not in result.output
    assert IN_URL not in result.output
    return result.output


COMMANDS = ("status", "check", "promote", "verify", "migrate")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_root_certificate_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, command: str
) -> None:
    missing = tmp_path_factory.getbasetemp() / "root.crt"
    with server(speaks_tls) as port:
        url = f"postgresql://school:{IN_URL}@127.0.0.1:{port}/school?sslmode=verify-full&sslrootcert={missing}"
        assert f'root certificate file "{missing}" does not exist' in said(monkeypatch, command, url)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_password_in_the_reason_is_not_shown(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    with server(refuses) as port:
        url = f"postgresql://school:{IN_URL}@127.0.0.1:{port}/school?sslmode=disable"
        assert "no entry for user=school password=***" in said(monkeypatch, command, url)


def test_a_port_without_a_listener_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        found = said(monkeypatch, "status", f"postgresql://school:{IN_URL}@127.0.0.1:{port}/school")
    assert f"port {port} failed: Connection refused" in found


def test_a_wrong_parameter_of_the_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://school:{IN_URL}@127.0.0.1:1/school?sslmode=sometimes&sslpassword={IN_URL}"
    assert 'invalid sslmode value: "sometimes"' in said(monkeypatch, "status", url)
