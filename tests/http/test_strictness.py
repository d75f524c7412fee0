"""Requests that two readers could take for different ones, on the real server, byte by byte.

Behind each of them follows another request on the same connection: that gets its own response, or the connection is
closed.
Responses without a body are those of granian, which refuses what it cannot parse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ..support.real_server import Server, serving

HOST = b"Host: localhost\r\n"
NEXT = b"GET /students/4242 HTTP/1.1\r\n" + HOST + b"\r\n"
JSON = b'{"course_id":1}'
CHUNKED = b"f\r\n" + JSON + b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("strictness"), WORKERS="1") as server:
        server.ask("POST", "/students/1/enroll", {"course_id": 1})
        yield server


def get(target: bytes, *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"%s %s %s\r\n%s%s\r\n" % (method, target, version, HOST, b"".join(each + b"\r\n" for each in headers))


def enroll(*headers: bytes, body: bytes = JSON, version: bytes = b"HTTP/1.1") -> bytes:
    return (
        get(b"/students/1/enroll", b"Content-Type: application/json", *headers, method=b"POST", version=version) + body
    )


def responses(server: Server, request: bytes) -> tuple[int, str, bool]:
    """Return the status and code of the response to a request, and whether the next request got its own response."""
    with server.connect() as connection:
        connection.socket.sendall(request + NEXT)
        status, body = connection.read()
        if status == 100:
            status, body = connection.read()
        second, next_body = connection.read()
        if second == 0:  # the connection was closed
            is_next = False
        else:
            assert (second, json.loads(next_body)["instance"]) == (404, "/students/4242")
            is_next = True
        code = json.loads(body).get("code", "") if body else ""
    assert server.responds()
    return status, code, is_next


TARGETS = {
    b"/students/1": 200,
    b"/students/%31": 200,  # the same address by RFC 3986
    b"http://elsewhere.example/students/1": 200,  # every server has to accept the form that is meant for proxies
    b"//students/1": 404,
    b"///students/1": 404,
    b"//": 404,
    b"/students//1": 404,
    b"/students/1/": 404,
    b"/./students/1": 404,
    b"/students/../students/1": 404,
    b"/students/%2e%2e/students/1": 404,
    b"/students/1;x": 404,
    b"/students/1%00": 404,
    b"/students/1%0d%0aX:%20y": 404,
    b"/students\\1": 404,
    b"/students%5c1": 404,
    b"/students/%zz": 404,
    b"/students/1%252fcourses": 404,
    b"//elsewhere.example/students/1": 404,
    b"*": 404,
}


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_an_address_is_what_it_says(server: Server, target: bytes) -> None:
    status, code, is_next = responses(server, get(target))
    assert (status, is_next) == (TARGETS[target], True)
    assert code == ("" if status == 200 else "not_found")


@pytest.mark.parametrize("method", [b"get", b"Get", b"gET", b"pOST", b"delete", b"head", b"options"])
@pytest.mark.parametrize("target", [b"/students/1", b"/healthz", b"/docs"])
def test_a_method_is_what_it_says(server: Server, method: bytes, target: bytes) -> None:
    assert responses(server, get(target, method=method)) == (405, "method_not_allowed", True)


REFUSED = {
    "codings before chunked": enroll(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "codings before chunked, in a header of their own": enroll(
        b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=CHUNKED
    ),
    "chunked twice": enroll(b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "chunked in two headers": enroll(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED),
    "identity before chunked": enroll(b"Transfer-Encoding: identity, chunked", body=CHUNKED),
    "an empty coding": enroll(b"Transfer-Encoding: , chunked", body=CHUNKED),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_only_chunked_is_accepted_as_a_transfer_encoding(server: Server, request_: bytes) -> None:
    assert responses(server, request_) == (400, "bad_request", True)


NOT_HTTP = {
    "no slash": get(b"students/1"),
    "a space in the target": get(b"/students/1 x"),
    "another version": get(b"/students/1", version=b"HTTP/1.2"),
    "version 2": get(b"/students/1", version=b"HTTP/2.0"),
    "no version": b"GET /students/1\r\n\r\n",
    "another coding": enroll(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "identity": enroll(b"Transfer-Encoding: identity", b"Content-Length: 15"),
    "no coding": enroll(b"Transfer-Encoding:", b"Content-Length: 15"),
    "a coding with a parameter": enroll(b"Transfer-Encoding: chunked;q=1", body=CHUNKED),
    "a control character before the coding": enroll(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "chunked in HTTP/1.0": enroll(b"Transfer-Encoding: chunked", body=CHUNKED, version=b"HTTP/1.0"),
    "two lengths": enroll(b"Content-Length: 15", b"Content-Length: 16"),
    "a list of lengths": enroll(b"Content-Length: 15, 15"),
    "a length with a sign": enroll(b"Content-Length: +15"),
    "a negative length": enroll(b"Content-Length: -1"),
    "a hexadecimal length": enroll(b"Content-Length: 0xf"),
    "an empty length": enroll(b"Content-Length:"),
    "a length with a space": enroll(b"Content-Length: 1 5"),
    "a length beyond 64 bits": enroll(b"Content-Length: 99999999999999999999"),
    "a folded header": enroll(b"X-A: b\r\n c", b"Content-Length: 15"),
    "a folded length": enroll(b"Content-Length:\r\n 15"),
    "a folded first header": b"GET /students/1 HTTP/1.1\r\n X-A: b\r\n" + HOST + b"\r\n",
    "a space before the colon": enroll(b"Content-Length : 15"),
    "a bare CR": enroll(b"X-A: b\rContent-Length: 15"),
    "NUL in a value": get(b"/students/1", b"X-A: a\0b"),
    "NUL in a name": get(b"/students/1", b"X\0A: ab"),
}


@pytest.mark.parametrize("request_", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_not_http_is_refused_and_the_connection_closed(server: Server, request_: bytes) -> None:
    assert responses(server, request_) == (400, "", False)


BROKEN_CHUNKS = {
    "a negative size": b"-f\r\n" + JSON + b"\r\n0\r\n\r\n",
    "a size with a prefix": b"0xf\r\n" + JSON + b"\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"1000000000000000f\r\n" + JSON + b"\r\n0\r\n\r\n",
    "line feeds alone": CHUNKED.replace(b"\r\n", b"\n"),
    "a size that is too small": b"e" + CHUNKED[1:],
    "a long extension": b"f;" + b"a" * 20_000 + CHUNKED[1:],
}


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
def test_broken_chunks_are_refused_and_the_connection_closed(server: Server, body: bytes) -> None:
    assert responses(server, enroll(b"Transfer-Encoding: chunked", body=body)) == (400, "malformed_json", False)


ACCEPTED = {
    "a length": enroll(b"Content-Length: 15"),
    "the same length twice": enroll(b"Content-Length: 15", b"Content-Length: 15"),
    "spaces around a length": enroll(b"Content-Length:    15  "),
    "chunked in capitals": enroll(b"Transfer-Encoding: CHUNKED", body=CHUNKED),
    "chunked behind a tab": enroll(b"Transfer-Encoding:\tchunked", body=CHUNKED),
    "trailers": enroll(b"Transfer-Encoding: chunked", body=CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n"),
    "a short extension": enroll(b"Transfer-Encoding: chunked", body=b"f;a=b" + CHUNKED[1:]),
    "a length with an underscore": enroll(b"Content_Length: 3", b"Content-Length: 15"),
    "a coding with an underscore": enroll(b"Transfer_Encoding: chunked", b"Content-Length: 15"),
    "lines that end without a CR": enroll(b"X-A: b\nContent-Length: 15"),
    "empty lines before the request": b"\r\n\r\n" + enroll(b"Content-Length: 15"),
    "an expectation": enroll(b"Expect: 100-continue", b"Content-Length: 15"),
    "an unknown expectation": enroll(b"Expect: tea", b"Content-Length: 15"),
    "an upgrade": enroll(b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 15"),
}


@pytest.mark.parametrize("request_", ACCEPTED.values(), ids=ACCEPTED)
def test_odd_but_clear_requests_are_served_and_the_next_one_too(server: Server, request_: bytes) -> None:
    assert responses(server, request_) == (200, "", True)


def test_http_1_0_is_taken_for_a_proxy_in_protected_mode_and_the_next_request_is_served(server: Server) -> None:
    request = enroll(b"Connection: keep-alive", b"Content-Length: 15", version=b"HTTP/1.0")
    assert responses(server, request) == (403, "protected_mode", True)


def test_with_both_a_length_and_chunks_the_chunks_count_and_the_connection_closes(server: Server) -> None:
    for headers in (
        (b"Content-Length: 15", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 3"),
    ):
        assert responses(server, enroll(*headers, body=CHUNKED)) == (200, "", False)


@pytest.mark.parametrize(("length", "body", "status"), [(14, JSON[:14], 400), (2, b"{}", 422), (2**40, b"", 413)])
def test_an_expectation_with_another_length_ends_where_it_says(
    server: Server, length: int, body: bytes, status: int
) -> None:
    found, _, is_next = responses(server, enroll(b"Expect: 100-continue", b"Content-Length: %d" % length, body=body))
    assert (found, is_next) == (status, status != 413)
