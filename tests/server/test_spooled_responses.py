"""Exports: written in a thread of their own, one at a time, and sent at the speed of the client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import IO, Any

import pytest

from course_management.errors import DatabaseUnavailable, Problem
from course_management.server.application import Application
from course_management.server.spooled_responses import SpooledResponse, SpooledResponses
from course_management.spooled_body import SpooledBody

from ..support.databases import PATIENCE_S
from ..support.real_server import until

DATA = bytes(range(256)) * 1000


class Client:
    """A transport whose client reads at once or, with `reads` false, when the test says so."""

    def __init__(self, *, reads: bool = True) -> None:
        self.may_read, self.ended = threading.Event(), threading.Event()
        if reads:
            self.may_read.set()
        self.status, self.headers, self.data = 0, dict[str, str](), b""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.data = status, dict(headers), body
        self.ended.set()

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterator[bytes]) -> None:
        assert self.may_read.wait(PATIENCE_S)
        self.status, self.headers, self.data = status, dict(headers), b"".join(body)
        self.ended.set()


def write(file: IO[bytes]) -> None:
    file.write(DATA)


def send(responses: SpooledResponses, client: Client, write_to: Any = write) -> bool:
    def error_response(error: BaseException) -> tuple[int, list[tuple[str, str]], bytes]:
        return 503, [], repr(error).encode()

    return responses.send(client, SpooledResponse(200, [("A", "b")], SpooledBody(write_to)), error_response)


def test_an_export_is_sent_whole_with_its_length() -> None:
    client = Client()
    assert send(SpooledResponses(), client)
    assert client.ended.wait(PATIENCE_S)
    assert (client.status, client.headers) == (200, {"A": "b", "Content-Length": str(len(DATA))})
    assert client.data == DATA


def test_clients_that_do_not_read_stop_only_as_many_exports() -> None:
    responses = SpooledResponses(at_once=2)
    slow = [Client(reads=False), Client(reads=False)]
    for each in slow:
        until(lambda each=each: send(responses, each), "the end of the last export")  # type: ignore[misc]
    assert not send(responses, Client())
    for each in slow:
        each.may_read.set()
        assert each.ended.wait(PATIENCE_S)
    until(lambda: send(responses, Client()), "room for another one")


def test_one_export_is_written_at_a_time() -> None:
    responses, may_write = SpooledResponses(), threading.Event()
    assert send(responses, Client(), lambda _: may_write.wait(PATIENCE_S))
    assert not send(responses, Client())
    may_write.set()
    until(lambda: send(responses, Client()), "the end of the first export")


def test_an_export_that_cannot_be_written_is_an_error_and_makes_room_for_another() -> None:
    def fail(_: IO[bytes]) -> None:
        raise OSError(28, "No space left on device")

    responses, client = SpooledResponses(at_once=1), Client()
    assert send(responses, client, fail)
    assert client.ended.wait(PATIENCE_S)
    assert (client.status, b"No space" in client.data) == (503, True)
    until(lambda: send(responses, Client()), "room for another one")


def test_a_thread_that_cannot_be_started_does_not_reduce_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    responses = SpooledResponses(at_once=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        assert not send(responses, Client())
    assert send(responses, Client())


@pytest.mark.parametrize("as_problem", [DatabaseUnavailable, ZeroDivisionError])
def test_the_application_does_not_write_an_export_in_the_thread_of_the_request(as_problem: Any) -> None:
    threads: list[str] = []

    def wsgi(_: Any, start: Any) -> Any:
        start("200 OK", [])

        def fail(_: IO[bytes]) -> None:
            threads.append(threading.current_thread().name)
            raise LookupError

        return SpooledBody(fail)

    def problem_of(_: BaseException) -> Problem:
        found = as_problem()
        if isinstance(found, Problem):
            return found
        raise found

    client = Client()
    application = Application(wsgi, "", "", lambda problem, _: (problem.status, [], b""), problem_of)
    application.respond(client, {})
    assert client.ended.wait(PATIENCE_S)
    assert (threads, client.status) == (["export"], 503 if as_problem is DatabaseUnavailable else 500)
