"""The queue in front of the app, and its end: who waits, who is refused, and who never has to wait."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from course_management.config import MIB, Settings
from course_management.server import admission
from course_management.server.admission import Admission

from .databases import PATIENCE_S
from .real_server import until

BODY = b'{"course_id":1}'
PROBES = {"/healthz", "/readyz"}
PATIENT_MS = "60000"
"""Milliseconds to wait in the queue, if nothing is to depend on how fast the machine is."""


class Transport:
    """Takes one answer, as granian does."""

    def __init__(self) -> None:
        self._there = threading.Event()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert not self._there.is_set(), "a second answer"
        self.status, self.headers, self.body = status, dict(headers), body
        self._there.set()

    def wait(self) -> Transport:
        """This one, once the answer is there."""
        assert self._there.wait(PATIENCE_S), "no answer"
        return self

    @property
    def is_answered(self) -> bool:
        return self._there.is_set()

    @property
    def problem(self) -> Any:
        return json.loads(self.wait().body)


class Stream:
    """A body that is there when it is let go, and perhaps not all of it."""

    def __init__(self, body: bytes) -> None:
        self.body, self.there, self.readers = body, threading.Event(), 0

    def read(self, size: int) -> bytes:
        self.readers += 1
        assert self.there.wait(PATIENCE_S)
        return self.body[:size]


class App:
    """Answers a request with its body, when it may."""

    def __init__(self) -> None:
        self.may, self.asked = threading.Event(), 0

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] not in PROBES:
            self.asked += 1
            assert self.may.wait(PATIENCE_S)
        start_response("201 CREATED", [("X-Path", environ["PATH_INFO"])])
        return [environ["wsgi.input"].read()]


class Doors:
    """The admission of one app, and those who ask at it."""

    def __init__(self, app: Any, **settings: str) -> None:
        self.admission = Admission(app, Settings.load(settings, environ={}))

    def ask(self, path: str = "/students", *, body: bytes | Stream | None = None, **more: str) -> Transport:
        """Send a request, in this thread, as one of granian's would; where its answer will be."""
        stream = BytesIO(body or b"") if not isinstance(body, Stream) else body
        scope: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", **more}
        if isinstance(body, bytes):
            scope.setdefault("CONTENT_LENGTH", str(len(body)))
        found = Transport()
        self.admission.receive(found, {**scope, "wsgi.input": stream})
        return found

    def ask_slowly(self, stream: Stream, **more: str) -> tuple[threading.Thread, list[Transport]]:
        """The same, in a thread of its own, which ends when the body is there."""
        answers: list[Transport] = []
        thread = threading.Thread(target=lambda: answers.append(self.ask(body=stream, **more)), daemon=True)
        thread.start()
        return thread, answers


@pytest.fixture(autouse=True)
def every_line_is_logged() -> Iterator[None]:
    """Whatever an app of another test has set."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.fixture
def app() -> Iterator[App]:
    found = App()
    yield found
    found.may.set()


@pytest.fixture
def doors(app: App) -> Doors:
    """Two threads, and all the patience there is."""
    return Doors(app, THREADS="2", MAX_WAIT_MS=PATIENT_MS)


def keep_busy(doors: Doors, app: App) -> list[Transport]:
    """Have a request measured that took long, and then one in work for each thread."""
    first = doors.ask()
    until(lambda: app.asked == 1, "the first request")
    threading.Event().wait(0.2)
    app.may.set()
    first.wait()
    until(lambda: doors.admission._usual._each_s, "its measure")  # noqa: SLF001
    app.may.clear()
    busy = [doors.ask()]
    until(lambda: app.asked == 2, "work in one thread")
    busy.append(doors.ask())
    until(lambda: app.asked == 3, "work in both")
    return busy


def make_slow(doors: Doors) -> None:
    """Have it believe that a request takes an hour."""
    doors.admission._usual._each_s = 3600.0  # noqa: SLF001


def test_an_answer_is_what_the_app_says(doors: Doors, app: App) -> None:
    app.may.set()
    answer = doors.ask("/students/1/enroll", body=BODY).wait()
    assert (answer.status, answer.headers, answer.body) == (201, {"X-Path": "/students/1/enroll"}, BODY)


def test_no_more_are_worked_on_than_there_are_threads(doors: Doors, app: App) -> None:
    waiting = [doors.ask() for _ in range(5)]
    until(lambda: app.asked == 2, "work in both threads")
    assert not threading.Event().wait(0.1)
    assert app.asked == 2
    app.may.set()
    assert {each.wait().status for each in waiting} == {201}


def test_who_would_wait_too_long_is_refused_at_once_and_the_others_are_served(
    doors: Doors, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TELL_S", PATIENCE_S)
    served = keep_busy(doors, app)
    make_slow(doors)
    served.append(doors.ask())  # nobody waits yet, so this one may
    with capture_logs() as logs:
        refused = doors.ask("/students/\xc3\xa9\xff", HTTP_X_REQUEST_ID="mine").wait()
        assert doors.ask(body=BODY).problem["code"] == "overloaded"
    assert (refused.status, refused.headers["Retry-After"], refused.headers["X-Request-ID"]) == (503, "1", "mine")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert refused.problem["code"] == "overloaded"
    assert refused.problem["request_id"] == "mine"
    assert refused.problem["instance"] == "/students/é\ufffd"
    assert [(each["event"], each["refused"]) for each in logs] == [("overloaded", 1)]
    assert not any(each.is_answered for each in served)
    app.may.set()
    assert {each.wait().status for each in served} == {201}
    assert app.asked == 4
    doors.admission._usual._each_s = 0.0  # noqa: SLF001
    assert doors.ask().wait().status == 201


def test_how_long_one_would_wait_is_known_from_those_before(
    doors: Doors, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "WEIGHT", 1)
    keep_busy(doors, app)
    lane = doors.admission._usual  # noqa: SLF001
    assert lane.wait_s() == 0
    for number in (1, 2, 3):
        doors.ask()
        assert lane.wait_s() >= number * 0.2 / 2


def test_one_who_took_long_does_not_have_a_crowd_refused(app: App) -> None:
    doors = Doors(app, THREADS="2")
    keep_busy(doors, app)
    doors.admission._usual._each_s = 0.2 * admission.WEIGHT  # noqa: SLF001 - and not longer, on any machine
    crowd = [doors.ask() for _ in range(1000)]
    doors.admission._usual._max_wait_s = 60.0  # noqa: SLF001 - they were let in: how long it takes now is not asked here
    app.may.set()
    assert {each.wait().status for each in crowd} == {201}


def test_who_asks_whether_the_service_lives_never_waits(doors: Doors, app: App) -> None:
    keep_busy(doors, app)
    make_slow(doors)
    doors.ask()
    assert doors.ask().wait().status == 503
    assert {doors.ask(path).wait().status for path in PROBES} == {201}


def test_who_asks_whether_the_service_is_ready_keeps_nobody_from_asking_whether_it_lives(app: App) -> None:
    let = threading.Event()

    def hung(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/readyz":
            assert let.wait(PATIENCE_S)
        return app(environ, start_response)

    doors = Doors(hung, MAX_WAIT_MS=PATIENT_MS)
    probes = [doors.ask("/readyz")]
    until(lambda: doors.admission._probes.waiting() == 0, "the first probe at work")  # noqa: SLF001
    probes += [doors.ask("/readyz") for _ in range(admission.MAX_PROBES)]
    assert doors.ask("/readyz").problem["code"] == "overloaded"
    assert doors.ask("/healthz", CONTENT_LENGTH="5").wait().status == 201
    let.set()
    assert {each.wait().status for each in probes} == {201}


def test_who_has_waited_too_long_already_is_refused_as_well(app: App) -> None:
    doors = Doors(app, THREADS="1", MAX_WAIT_MS=PATIENT_MS)
    first, *others = (doors.ask(body=BODY) for _ in range(4))
    until(lambda: app.asked == 1, "the first at work")
    doors.admission._usual._max_wait_s = 0.0  # noqa: SLF001 - too late for those who are in the queue by now
    app.may.set()
    assert first.wait().status == 201
    assert {each.problem["code"] for each in others} == {"overloaded"}
    assert app.asked == 1


@pytest.mark.usefixtures("broken_log")
def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise RuntimeError

    doors = Doors(broken, THREADS="1", MAX_WAIT_MS=PATIENT_MS)
    for path in ("/students", "/students", "/readyz", "/readyz", "/healthz"):
        assert doors.ask(path).problem["code"] == "internal_error"
    refusals = doors.admission._refusals  # noqa: SLF001
    for _ in range(2):
        refused = Transport()
        refusals.put(refused, {"PATH_INFO": "/"})
        assert refused.problem["code"] == "overloaded"


@pytest.fixture
def broken_log() -> None:
    def fail(*_: Any) -> Any:
        raise BrokenPipeError

    structlog.configure(processors=[fail])


# --- bodies -----------------------------------------------------------------------------------------------


def test_slow_bodies_hold_no_thread_that_works(doors: Doors, app: App) -> None:
    app.may.set()
    stream = Stream(BODY)
    slow = [doors.ask_slowly(stream, CONTENT_LENGTH=str(len(BODY))) for _ in range(20)]
    assert doors.ask(body=BODY).wait().status == 201
    assert app.asked == 1
    stream.there.set()
    for thread, _ in slow:
        thread.join(PATIENCE_S)
    assert {answers[0].wait().body for _, answers in slow} == {BODY}


@pytest.mark.parametrize("cut", [0, 5, len(BODY) - 1])
def test_a_body_that_ends_before_its_length_is_not_taken_for_a_shorter_one(doors: Doors, app: App, cut: int) -> None:
    app.may.set()
    answer = doors.ask(body=BODY[:cut], CONTENT_LENGTH=str(len(BODY)))
    assert answer.problem["code"] == "bad_request"
    assert app.asked == 0


@pytest.mark.parametrize("body", [b"", b"{", BODY[:-1], BODY + b"{", b"\xff"])
def test_of_a_chunked_body_nothing_comes_unless_it_is_a_whole_document(doors: Doors, app: App, body: bytes) -> None:
    app.may.set()
    stream = Stream(body)
    stream.there.set()
    answer = doors.ask(body=stream, HTTP_TRANSFER_ENCODING="chunked")
    assert (answer.problem["code"], answer.status, app.asked) == ("malformed_json", 400, 0)


def test_a_body_that_is_declared_too_large_is_for_the_app_to_refuse(doors: Doors, app: App) -> None:
    app.may.set()
    assert doors.ask(body=b"x", CONTENT_LENGTH=str(MIB + 1)).wait().status == 201


def test_of_a_chunked_body_one_byte_too_many_is_read(doors: Doors, app: App) -> None:
    app.may.set()
    stream = Stream(b" " * (2 * MIB))
    stream.there.set()
    assert len(doors.ask(body=stream, HTTP_TRANSFER_ENCODING="chunked").wait().body) == MIB + 1


@pytest.mark.parametrize(
    ("limit", "figure", "length"), [("MAX_SMALL", 4, 15), ("MAX_LARGE", 4, 20_000), ("MAX_HELD", 0, MIB)]
)
def test_there_is_an_end_to_the_bodies_that_are_waited_for(
    app: App, monkeypatch: pytest.MonkeyPatch, limit: str, figure: int, length: int
) -> None:
    monkeypatch.setattr(admission, limit, figure)
    doors = Doors(app)
    app.may.set()
    body, declared = BODY.ljust(length), {"CONTENT_LENGTH": str(length)}
    stream = Stream(body)
    slow = [doors.ask_slowly(stream, **declared) for _ in range(4)]
    until(lambda: stream.readers == 4, "the end of the room")
    assert doors.ask(body=body).problem["code"] == "overloaded"
    assert doors.ask().wait().status == 201, "who brings no body needs no room"
    other = BODY if length > admission.SMALL else BODY.ljust(admission.SMALL + 1)
    assert doors.ask(body=other).wait().status == 201, "the large leave room for the small, and they for the large"
    stream.there.set()
    for thread, answers in slow:
        thread.join(PATIENCE_S)
        assert answers[0].wait().status == 201
    until(lambda: doors.ask(body=body).wait().status == 201, "room again")
    for _ in range(5):  # and whoever goes away in the middle gives the room back
        doors.ask(body=body[:3], **declared)
    assert [doors.ask(body=body).wait().status for _ in range(5)] == [201] * 5


# --- whatever the app does --------------------------------------------------------------------------------


def test_a_fault_around_the_app_is_a_500_and_its_thread_goes_on() -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise RuntimeError("ada@example.edu")

    doors = Doors(broken, THREADS="1")
    with capture_logs() as logs:
        for _ in range(3):
            answer = doors.ask().wait()
            assert (answer.status, answer.problem["code"]) == (500, "internal_error")
            assert b"ada@" not in answer.body
        until(lambda: len(logs) == 3, "the last line")
    assert [each["event"] for each in logs] == ["internal_error"] * 3
    assert "ada@" not in str(logs)


def test_what_an_app_writes_streams_and_closes_comes_in_order() -> None:
    closed: list[bool] = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            yield b"b"
            yield b"c"

        def close(self) -> None:
            closed.append(True)

    def old_fashioned(_: Any, start_response: Callable[..., Callable[[bytes], object]]) -> Parts:
        start_response("200 OK", [])(b"a")
        return Parts()

    assert Doors(old_fashioned).ask().wait().body == b"abc"
    until(lambda: closed, "its end")
