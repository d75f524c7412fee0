"""Slow, idle, disconnecting and many clients of a real server: other requests are served nevertheless."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from socket import MSG_PEEK

import pytest

from course_management.server import slow_clients
from course_management.server.large_responses import MAX_SENDING
from course_management.server.slow_clients import SlowClients
from course_management.server.spooled_responses import MAX_SENDING as MAX_SENDING_EXPORTS

from ..support.databases import PATIENCE_S
from ..support.real_server import Connection, Server, serving, until

MANY = 100
HEAD = b"POST /students HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("overload")) as server:
        yield server


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server whose clients have one second for the header, and one for progress with body or response."""
    with serving(tmp_path_factory.mktemp("impatient"), CLIENT_TIMEOUT_S="1") as server:
        yield server


def serves(server: Server) -> None:
    """Assert that the server responds to requests with a body, with database work, and with neither."""
    assert server.responds()
    assert server.ask("GET", "/students/1/courses")[0] == 200
    assert server.ask("POST", "/students/1/enroll", {"course_id": 1})[0] in {200, 201}


def test_granian_passes_requests_to_the_receiver(server: Server) -> None:
    """`granian_internals.call_with_requests` replaces a private function."""
    with server.connect() as connection:
        connection.send("POST /students/1/enroll", "Content-Length: 15", body=b'{"course_id":1}')
        assert connection.read()[0] in {200, 201}
        connection.send("POST /students/1/enroll", "Content-Length: 16", body=b'{"course_id":1}')
        connection.socket.shutdown(1)
        status, body = connection.read()
    # Only the receiver checks whether the body has the declared length.
    assert status == 0 or b"bad_request" in body


# --- slow -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [1, 2, 4, 5, MANY])
@pytest.mark.parametrize(
    ("line", "header", "body"),
    [
        ("POST /students/1/enroll", "Content-Length: 15", b"{"),
        ("POST /students/1/enroll", "Transfer-Encoding: chunked", b"1\r\n{\r\n"),
        ("DELETE /students/1/unenroll", "Content-Length: 15", b""),
        ("GET /healthz", "Content-Length: 15", b""),
    ],
)
def test_other_requests_are_served_during_slow_bodies(
    server: Server, many: int, line: str, header: str, body: bytes
) -> None:
    with ExitStack() as stack:
        for _ in range(many):
            stack.enter_context(server.connect()).send(line, header, body=body)
        serves(server)
    serves(server)


def test_a_slow_body_gets_its_response_when_it_is_complete(server: Server) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(MANY)]
        for each in slow:
            each.send("POST /students/1/enroll", "Content-Length: 15", body=b'{"course')
        serves(server)
        for each in slow:
            each.socket.sendall(b'_id":1}')
        assert {each.read()[0] for each in slow} <= {200, 201}
        for each in slow:
            each.send("GET /students/1/courses")
        assert {each.read()[0] for each in slow} == {200}


def test_other_requests_are_served_during_slow_headers(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(server.connect()).socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX")
        serves(server)


def test_other_requests_are_served_beside_idle_connections(server: Server) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(2 * MANY)]
        for each in idle:
            each.send("GET /students/1/courses")
            assert each.read()[0] == 200
        serves(server)
        for each in idle:
            each.send("GET /students/1/courses")
        assert {each.read()[0] for each in idle} == {200}


def test_the_largest_asset_is_sent_to_a_limited_number_of_clients_at_once(server: Server) -> None:
    size = len(get_asset(server))
    request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        readers = [stack.enter_context(server.connect()) for _ in range(MANY)]
        for each in readers:
            each.socket.sendall(request)
        statuses = [each.socket.recv(12, MSG_PEEK)[9:12] for each in readers]
        serves(server)
        assert statuses.count(b"200") == 2 * MAX_SENDING
        assert statuses.count(b"503") == MANY - 2 * MAX_SENDING
        # a client that starts to read late gets all of it
        found = [each.read() for each in readers]
    assert {(status, len(body)) for status, body in found if status == 200} == {(200, size)}
    until(lambda: len(get_asset(server)) == size, "room for another reader")


def get_asset(server: Server) -> bytes:
    with server.connect() as connection:
        connection.send("GET /docs/swagger-ui-bundle.js")
        return connection.read()[1]


def test_other_requests_are_served_beside_slow_readers(server: Server) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(server.connect()).socket.sendall(request * 10)
        serves(server)


def test_other_requests_are_served_beside_slow_readers_of_large_exports(server: Server) -> None:
    with closing(sqlite3.connect(server.folder / "enrollment.db", timeout=PATIENCE_S)) as database, database:
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        database.execute(
            f"{numbers} INSERT INTO students (name, external_id) SELECT 'Student with a long name ' || i, i FROM n"
        )
    with ExitStack() as stack:
        readers = [stack.enter_context(server.connect()) for _ in range(4 * MAX_SENDING_EXPORTS)]
        for each in readers:
            each.send("GET /exports/students.csv")
        serves(server)
        statuses = [each.socket.recv(12, MSG_PEEK)[9:12] for each in readers]
        serves(server)
        assert {*statuses} <= {b"200", b"503"}
        assert 2 <= statuses.count(b"200") <= 2 * MAX_SENDING_EXPORTS
        # a client that starts to read late gets all of it
        found = [each.read() for each in readers]
    assert {body.count(b"\n") for status, body in found if status == 200} == {20_002}
    serves(server)


# --- disconnecting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b'{"course_id"', b'{"course_id":1'])
@pytest.mark.parametrize(
    "line",
    ["POST /students/2/enroll", "PUT /students/1/enroll", "DELETE /students/1/unenroll", "DELETE /students/2"],
)
@pytest.mark.parametrize("header", ["Content-Length: 15", "Transfer-Encoding: chunked"])
def test_a_request_with_an_incomplete_body_changes_nothing(server: Server, line: str, header: str, sent: bytes) -> None:
    server.ask("POST", "/students", {"name": "Grace", "email": "grace@example.edu"})
    server.ask("POST", "/students/1/enroll", {"course_id": 1})
    paths = ["/students/1/courses", "/students/2/courses", "/students/1/history", "/students/2"]
    before = [server.ask("GET", each) for each in paths]
    assert {status for status, _ in before} == {200}
    with server.connect() as connection:
        body = sent if "Length" in header else b"%x\r\n%s\r\n" % (len(sent), sent) if sent else b""
        connection.send(line, header, body=body)
        connection.socket.shutdown(1)
        assert connection.read()[0] not in {200, 201, 204}
    serves(server)
    assert [server.ask("GET", each) for each in paths] == before


# --- connections without progress -------------------------------------------------------------------------

on_linux = pytest.mark.skipif(
    not slow_clients.DESCRIPTORS.is_dir(), reason="only Linux reports the progress of a connection"
)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hea",
        b"PRI * HTTP/2.0\r\n",
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\n{", marks=on_linux),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", marks=on_linux),
    ],
    ids=["nothing", "half a header", "half of HTTP/2", "half a body", "half a chunked body"],
)
def test_a_connection_without_progress_is_ended(impatient: Server, sent: bytes) -> None:
    with impatient.connect() as connection:
        connection.socket.sendall(sent)
        ended = connection.file.read()  # until the server ends it
        assert ended == b"" or ended.startswith(b"HTTP/1.1 4")
    serves(impatient)


@on_linux
def test_a_connection_whose_response_is_not_read_is_ended(impatient: Server) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with impatient.connect() as connection:
        connection.socket.settimeout(0.1)
        until(lambda: is_ended(connection, request), "the end of the connection")
    serves(impatient)


@on_linux
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_checking_the_connections_releases_no_lock_of_sqlite(tmp_path: Path, mode: str) -> None:
    """Locks belong to the process: closing a duplicate of a descriptor of the file would release them."""
    path = tmp_path / "locked.db"
    attempt = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute("CREATE TABLE t (x)")
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO t VALUES (1)")
        SlowClients(port=1, client_timeout_s=0).end(now=0)
        done = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=False)  # noqa: S603
        assert "database is locked" in done.stderr


def is_ended(connection: Connection, request: bytes) -> bool:
    """Return whether the server has ended the connection, on which the client sends and never reads."""
    try:
        connection.socket.sendall(request)
    except TimeoutError:
        return False  # the server reads no more because the client does not
    except OSError:
        return True
    return False


# --- many -------------------------------------------------------------------------------------------------


def test_many_simultaneous_requests_all_get_responses(server: Server) -> None:
    with ExitStack() as stack:
        many = [stack.enter_context(server.connect()) for _ in range(MANY)]
        for each in many:
            each.send("GET /students/1/courses")
        assert {each.read()[0] for each in many} == {200}
    serves(server)


def test_the_limit_of_connections_is_adapted_to_the_limit_on_open_files(tmp_path: Path) -> None:
    with serving(tmp_path, CONNECTIONS="60000") as server:
        serves(server)


def test_a_connection_over_the_limit_waits_until_another_one_ends(tmp_path: Path) -> None:
    with serving(tmp_path, CONNECTIONS="2", WORKERS="1") as server, ExitStack() as stack:
        first, second, third = (stack.enter_context(server.connect()) for _ in range(3))
        for each in (first, second, third):
            each.send("GET /healthz")
        assert (first.read()[0], second.read()[0]) == (200, 200)
        third.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            third.socket.recv(1)
        first.socket.close()
        first.file.close()
        third.socket.settimeout(PATIENCE_S)
        assert third.socket.recv(12) == b"HTTP/1.1 200"
