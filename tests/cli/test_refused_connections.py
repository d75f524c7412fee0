"""A database that cannot be reached: every command says why in the driver's words, and never says the password."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import URL

from course_management import cli, create_app
from course_management.config import Settings
from course_management.maintenance import checks

from ..support.certificates import certificate
from ..support.databases import PATIENCE_S

NAME = "db.example.edu"
COMMANDS = (["status"], ["check"], ["migrate"], ["verify"], ["keys", "list"])
PROTOCOL, SSL_REQUEST = 3 << 16, 80877103


class Endpoint:
    """Responds as PostgreSQL does until a connection is accepted: TLS with a certificate, then a refusal."""

    def __init__(self, context: ssl.SSLContext | None, refusal: tuple[str, str]) -> None:
        self.context, self.refusal = context, refusal
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # closed by the test
            while True:
                client, _ = self.listener.accept()
                client.settimeout(PATIENCE_S)
                with suppress(OSError), client:
                    self._respond(client)

    def _respond(self, client: socket.socket) -> None:
        while (code := self._startup(client)) != PROTOCOL:
            if code == SSL_REQUEST and self.context:
                client.sendall(b"S")
                with self.context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as encrypted:
                    encrypted.do_handshake()
                    self._respond(encrypted)
                return
            client.sendall(b"N")
        fields = {b"S": "FATAL", b"V": "FATAL", b"C": self.refusal[0], b"M": self.refusal[1]}
        body = b"".join(name + text.encode() + b"\0" for name, text in fields.items()) + b"\0"
        client.sendall(b"E" + struct.pack("!i", len(body) + 4) + body)
        client.recv(1)

    @staticmethod
    def _startup(client: socket.socket) -> int:
        """Read a start-up packet; the number that says what it is."""
        head = client.recv(8)
        if len(head) < 8:
            raise ConnectionError  # the client has gone
        length, code = struct.unpack("!ii", head)
        if length > 8:
            client.recv(length - 8)
        return int(code)


Start = Callable[..., Endpoint]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts an endpoint; with a certificate it speaks TLS."""
    started: list[Endpoint] = []

    def call(file: Path | None = None, refusal: tuple[str, str] = ("28P01", "not reached")) -> Endpoint:
        context = None
        if file:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
        started.append(Endpoint(context, refusal))
        return started[-1]

    yield call
    for each in started:
        each.listener.close()


def everything_said(monkeypatch: pytest.MonkeyPatch, url: str) -> dict[str, str]:
    """Return the output of each command with this DATABASE_URL; each must exit with code 1 and no traceback."""
    monkeypatch.setenv("DATABASE_URL", url)
    said = {}
    for arguments in COMMANDS:
        result = CliRunner().invoke(cli.cli, arguments)
        assert (result.exit_code, type(result.exception)) == (1, SystemExit), (arguments, result.output)
        said[" ".join(arguments)] = result.output
    with create_app({"LOG_LEVEL": "error"}).app_context():
        said["serve"] = "\n".join(each.sentence for each in checks.find(Settings.load()))  # it warns of these
    return said


def assert_all_say(said: dict[str, str], reason: str) -> None:
    assert {command: text for command, text in said.items() if reason not in text} == {}
    assert {command: text for command, text in said.items() if "PASSWORD" in text} == {}


def test_verify_full_without_a_root_certificate(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = start(certificate(tmp_path, NAME, 30)).port
    monkeypatch.setenv("HOME", str(tmp_path))

    query = f"hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={tmp_path}/none.pem"
    said = everything_said(monkeypatch, f"postgresql://ada:PASSWORD@{NAME}:{port}/school?{query}")

    assert_all_say(said, f'root certificate file "{tmp_path}/none.pem" does not exist')


@pytest.mark.parametrize(
    ("name", "days", "known", "reason"),
    [
        ("other.example.edu", 30, True, f'certificate for "other.example.edu" does not match host name "{NAME}"'),
        (NAME, -1, True, "certificate verify failed"),
        (NAME, 30, False, "certificate verify failed"),
    ],
    ids=["of another name", "expired", "of an unknown authority"],
)
def test_a_certificate_that_does_not_prove_the_server(
    start: Start, name: str, days: int, known: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate(tmp_path, name, days)
    trusted = file if known else certificate(tmp_path, "unrelated.example.edu", 30)

    query = f"hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={trusted}"
    said = everything_said(monkeypatch, f"postgresql://ada:PASSWORD@{NAME}:{start(file).port}/school?{query}")

    assert_all_say(said, reason)


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [
        ("28P01", 'password authentication failed for user "ada"'),
        ("3D000", 'database "school" does not exist'),
        ("28000", 'no pg_hba.conf entry for host "127.0.0.1", user "ada", database "school", no encryption'),
        ("57P03", "the database system is starting up"),
        ("53300", "sorry, too many clients already"),
    ],
)
def test_a_server_that_refuses_the_connection(
    start: Start, sqlstate: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = start(refusal=(sqlstate, message)).port

    said = everything_said(monkeypatch, f"postgresql://ada:PASSWORD@127.0.0.1:{port}/school?sslmode=disable")

    assert_all_say(said, message)


def test_a_server_without_tls_when_tls_is_required(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    said = everything_said(monkeypatch, f"postgresql://ada:PASSWORD@127.0.0.1:{start().port}/school?sslmode=require")

    assert_all_say(said, "server does not support SSL, but SSL was required")


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    said = everything_said(monkeypatch, "postgresql://ada:PASSWORD@db.invalid/school")

    assert_all_say(said, "db.invalid")


def test_a_value_that_the_driver_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    said = everything_said(monkeypatch, "postgresql://ada:PASSWORD@127.0.0.1:1/school?sslmode=verify_full")

    assert_all_say(said, 'invalid sslmode value: "verify_full"')


def test_a_database_that_a_real_server_does_not_have(postgresql_server: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    said = everything_said(monkeypatch, postgresql_server.set(database="nothere").render_as_string(hide_password=False))

    assert_all_say(said, 'database "nothere" does not exist')
