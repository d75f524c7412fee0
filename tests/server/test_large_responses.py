"""Large responses: sent at the speed of the client, a few at once, and never in a thread of the request queue."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from course_management.server.large_responses import LARGE, PIECE, LargeResponses

from ..support.databases import PATIENCE_S
from ..support.real_server import until

BODY = bytes(range(256)) * (LARGE // 256) + b"end"


class Reader:
    """A transport whose client starts to read, or disconnects, when the test says so."""

    def __init__(self) -> None:
        self.may, self.ended = threading.Event(), threading.Event()
        self.disconnects = False
        self.pieces: list[bytes] = []

    def response_bytes(self, *_: object) -> None:
        raise AssertionError("a large response in one piece")

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterator[bytes]) -> None:
        assert (status, headers) == (200, [("ETag", "x")])
        assert self.may.wait(PATIENCE_S)
        if self.disconnects:
            raise ConnectionError
        self.pieces.extend(body)
        self.ended.set()


def send(responses: LargeResponses, reader: Reader) -> bool:
    return responses.send(reader, (200, [("ETag", "x")], BODY))


def test_a_large_response_is_sent_completely_in_small_pieces() -> None:
    reader = Reader()
    reader.may.set()
    assert send(LargeResponses(), reader)
    assert reader.ended.wait(PATIENCE_S)
    assert b"".join(reader.pieces) == BODY
    assert {len(piece) for piece in reader.pieces[:-1]} == {PIECE}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the client that disconnects
def test_a_client_that_disconnects_makes_room_for_another_large_response() -> None:
    responses = LargeResponses(at_once=2)
    stuck, gone = Reader(), Reader()
    gone.disconnects = True
    assert [send(responses, each) for each in (stuck, gone, Reader())] == [True, True, False]

    gone.may.set()
    last = Reader()
    until(lambda: send(responses, last), "room for another one")
    assert not send(responses, Reader())

    for each in (last, stuck):
        each.may.set()
        assert each.ended.wait(PATIENCE_S)
        assert b"".join(each.pieces) == BODY


def test_a_thread_that_cannot_be_started_does_not_reduce_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    responses = LargeResponses(at_once=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        assert not send(responses, Reader())
    reader = Reader()
    reader.may.set()

    assert send(responses, reader)

    assert reader.ended.wait(PATIENCE_S)
