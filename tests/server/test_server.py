"""The server as a real process on a real port: what a test client cannot show."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from course_management import create_app
from course_management.database import db

from ..support.databases import PATIENCE_S, migrate
from ..support.keys import create_key
from ..support.real_server import COMMAND, MIB, Server, environment, serving, sqlite, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Return a server that the test stops."""
    with serving(tmp_path) as server:
        yield server


# --- requests ---------------------------------------------------------------------------------------------


def test_the_command_in_the_banner_enrolls_a_student(server: Server) -> None:
    banner = server.log.read_text()
    address = f"http://127.0.0.1:{server.port}"
    assert f"{address}\n" in banner
    assert f"{address}/docs\n" in banner
    call = re.search(rf"curl -X POST {address}(\S+) .*?-d '(.+?)'", banner, re.DOTALL)
    assert call, banner
    assert server.ask("POST", call[1], json.loads(call[2]))[0] == 201


@pytest.mark.parametrize(
    ("head", "status"),
    [
        # What nginx sends with only `proxy_pass http://127.0.0.1:8000;`: no header contains the address of the client.
        ("GET /courses HTTP/1.0\r\nHost: 127.0.0.1:8000\r\nConnection: close\r\n\r\n", b"403"),
        ("GET /courses HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n", b"403"),
        ("GET /courses HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nX-Real-IP: 127.0.0.1\r\n\r\n", b"403"),
        ("GET /courses HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: close\r\n\r\n", b"200"),
    ],
)
def test_protected_mode_refuses_requests_through_a_proxy(server: Server, head: str, status: bytes) -> None:
    with server.connect() as connection:
        connection.socket.sendall(head.encode())
        assert connection.file.readline().split()[1] == status


# --- limits -----------------------------------------------------------------------------------------------


def test_a_body_with_too_large_a_length_is_refused_before_it_arrives(server: Server) -> None:
    with server.connect() as connection:
        connection.send("POST /students", f"Content-Length: {MIB + 1}", body=b"{")
        status, body = connection.read()
    assert (status, json.loads(body)["code"]) == (413, "payload_too_large")


def test_a_chunked_body_is_refused_when_it_exceeds_the_limit(server: Server) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with server.connect() as connection:
        connection.send("POST /students", "Transfer-Encoding: chunked", body=chunk * 16 + b"1\r\n \r\n")
        status, body = connection.read()
    assert (status, json.loads(body)["code"]) == (413, "payload_too_large")


def test_a_chunked_body_within_the_limit_is_accepted(server: Server) -> None:
    with server.connect() as connection:
        connection.send(
            "POST /students/1/enroll", "Transfer-Encoding: chunked", body=b'f\r\n{"course_id":1}\r\n0\r\n\r\n'
        )
        assert connection.read()[0] in {200, 201}
        connection.send(
            "DELETE /students/1/unenroll", "Transfer-Encoding: chunked", body=b'f\r\n{"course_id":9}\r\n0\r\n\r\n'
        )
        assert connection.read()[0] == 404


@pytest.mark.parametrize("length", [9_000, 300_000])
def test_a_header_over_8_kb_is_431(server: Server, length: int) -> None:
    with server.connect() as connection:
        connection.send("GET /students", "X-Long: " + "x" * length)
        assert connection.read()[0] == 431


@pytest.mark.parametrize("length", [9_000, 60_000])
@pytest.mark.parametrize("path", ["/", "/students?"])
def test_a_target_over_8_kb_is_414(server: Server, path: str, length: int) -> None:
    with server.connect() as connection:
        connection.send("GET " + path + "x" * length)
        assert connection.read()[0] == 414


def test_trace_reveals_no_headers(server: Server) -> None:
    with server.connect() as connection:
        connection.send("TRACE /students", "Cookie: secret")
        status, body = connection.read()
    assert status == 405
    assert b"secret" not in body


# --- requests on one connection do not mix ----------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 12"),
        ("Transfer-Encoding: xchunked", "Content-Length: 5"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: chunked, identity",),
    ],
)
def test_conflicting_lengths_do_not_smuggle_a_request(server: Server, headers: tuple[str, ...]) -> None:
    with server.connect() as connection:
        connection.send("POST /students", *headers, body=b"2\r\n{}\r\n0\r\n\r\nGET /students/4242 HTTP/1.1\r\n")
        status, body = connection.read()
        assert status in {400, 422}
        assert b"4242" not in body
        # Wherever the server takes the body to end, it must not continue after it.
        assert connection.read() == (0, b"")


@pytest.mark.parametrize("line", ["GET /healthz", "POST /nowhere", "POST /students/1", "DELETE /students/4242"])
@pytest.mark.parametrize(
    ("length", "body"), [("Content-Length: 5", b"{bad}"), ("Transfer-Encoding: chunked", b"5\r\n{bad}\r\n0\r\n\r\n")]
)
def test_an_unread_body_is_not_parsed_as_the_next_request(server: Server, line: str, length: str, body: bytes) -> None:
    with server.connect() as connection:
        connection.send(line, length, body=body)
        assert connection.read()[0] in {200, 400, 404, 405, 411}
        connection.send("GET /healthz")
        assert connection.read() in {(200, b'{"status":"ok"}'), (0, b"")}


# --- stopping and replacing -------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_without_an_interruption(server: Server) -> None:
    def started() -> int:
        return server.log.read_text().count("Started worker-")

    until(lambda: started() == 2, "the start of both workers")  # one is enough for a response
    first, second = server.workers()
    os.kill(first, signal.SIGKILL)
    until(lambda: len(server.workers()) == 3, "a new worker")
    until(lambda: started() == 3, "its start")
    assert all(server.responds() for _ in range(20))
    os.kill(second, 0)  # the other worker still runs


def test_a_request_in_progress_gets_its_response_before_the_server_ends(own_server: Server) -> None:
    with own_server.connect() as connection:
        connection.send("POST /students/1/enroll", "Content-Length: 15", "Expect: 100-continue")
        assert connection.read()[0] == 100  # the server waits for the body

        own_server.process.terminate()
        until(lambda: not own_server.responds(), "the closing of the port")
        connection.socket.sendall(b'{"course_id":1}')

        assert connection.read()[0] == 201
    assert own_server.process.wait(PATIENCE_S) == 0
    with sqlite3.connect(own_server.folder / "enrollment.db") as database:
        assert database.execute("SELECT student_id, course_id FROM student_courses").fetchall() == [(1, 1)]
    database.close()


# --- errors at the start ----------------------------------------------------------------------------------


def fail_to_serve(folder: Path, port: int, **settings: str) -> list[str]:
    """Start a server with wrong settings. Return its error messages."""
    done = subprocess.run(  # noqa: S603 - a fixed command
        COMMAND,
        env=environment(sqlite(folder), port, **settings),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stdout
    return done.stderr.splitlines()


def test_the_message_names_every_wrong_setting(tmp_path: Path) -> None:
    assert fail_to_serve(tmp_path, 8000, PORT="abc", DATABASE_URL="mysql://x") == [
        "DATABASE_URL names the unknown database 'mysql'; use sqlite or postgresql.",
        "PORT is 'abc', which is not a whole number.",
    ]


def test_a_second_server_on_the_same_port_does_not_start(server: Server, tmp_path: Path) -> None:
    messages = fail_to_serve(tmp_path, server.port)
    assert messages[-1].startswith(f"Port {server.port} of HOST=127.0.0.1 is in use by another program.")
    assert messages[-1].endswith(".")
    assert server.responds()


has_ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")


@pytest.mark.parametrize("host", ["LOCALHOST.", "*", pytest.param("[::1]", marks=has_ipv6)])
def test_the_address_in_the_banner_works_for_every_form_of_host(tmp_path: Path, host: str) -> None:
    """A server that other machines can reach needs a key, so one is created."""
    url = sqlite(tmp_path)
    migrate(url)
    with create_app({"DATABASE_URL": url.render_as_string(), "LOG_LEVEL": "error"}).app_context():
        create_key("portal", ("admin",), None)
        db.engine.dispose()
    server = Server(tmp_path, url, HOST=host, WORKERS="1")
    try:
        banner = until(lambda: re.search(r"^Serving on +(\S+)$", server.log.read_text(), re.MULTILINE), "the banner")
        until(lambda: server.process.poll() is not None or "Started worker-" in server.log.read_text(), "the worker")
        with urlopen(f"{banner[1]}/healthz", timeout=PATIENCE_S) as response:  # noqa: S310 - our own server
            assert response.status == 200
    finally:
        server.end()


@pytest.mark.parametrize("host", ["localhost:8000", "192.0.2.1"])
def test_the_message_names_a_host_that_cannot_be_used(tmp_path: Path, host: str) -> None:
    (message,) = fail_to_serve(tmp_path, 8000, HOST=host)
    assert message.startswith(f"HOST is '{host}', ")
