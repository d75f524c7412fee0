"""The request queue: what waits, what is refused, and what bypasses it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from course_management.api import errors
from course_management.config import MIB, Settings
from course_management.server import load_shedding, receiving, request_queue
from course_management.server.receiving import Receiver
from course_management.server.responding import Application

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

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterator[bytes]) -> None:
        self.response_bytes(status, headers, b"".join(body))

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


class Clock:
    """A clock that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """The request queue in front of one application, and its clients."""

    def __init__(self, app: Any, clock: Callable[[], float] = time.monotonic, **settings: str) -> None:
        application = Application(app, "/healthz", "/readyz", errors.problem_response, errors.as_problem)
        self.receiver = Receiver(application, Settings.load(settings, environ={}), clock)

    def ask(self, path: str = "/students", *, body: bytes | Stream | None = None, **more: str) -> Transport:
        """Send a request, in this thread, as one of granian's would; where its answer will be."""
        stream = BytesIO(body or b"") if not isinstance(body, Stream) else body
        scope: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", **more}
        if isinstance(body, bytes):
            scope.setdefault("CONTENT_LENGTH", str(len(body)))
        found = Transport()
        self.receiver.receive(found, {**scope, "wsgi.input": stream})
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
def service(app: App) -> Service:
    """Two threads, and all the patience there is."""
    return Service(app, THREADS="2", MAX_WAIT_MS=PATIENT_MS)


def keep_busy(service: Service, app: App, clock: Clock | None = None) -> list[Transport]:
    """Have a request measured that took long, and then one in work for each of two threads."""
    first = service.ask()
    until(lambda: app.asked == 1, "the first request")
    if clock:
        clock.now += 0.2
    else:
        threading.Event().wait(0.2)
    app.may.set()
    first.wait()
    until(lambda: service.receiver.queue._average_s, "its measure")  # noqa: SLF001
    app.may.clear()
    busy = [service.ask()]
    until(lambda: app.asked == 2, "work in one thread")
    busy.append(service.ask())
    until(lambda: app.asked == 3, "work in both")
    return busy


def make_slow(service: Service) -> None:
    """Have it believe that a request takes an hour."""
    service.receiver.queue._average_s = 3600.0  # noqa: SLF001


def test_an_answer_is_what_the_app_says(service: Service, app: App) -> None:
    app.may.set()
    answer = service.ask("/students/1/enroll", body=BODY).wait()
    assert (answer.status, answer.headers, answer.body) == (201, {"X-Path": "/students/1/enroll"}, BODY)


def test_no_more_are_worked_on_than_there_are_threads(service: Service, app: App) -> None:
    waiting = [service.ask() for _ in range(5)]
    until(lambda: app.asked == 2, "work in both threads")
    assert not threading.Event().wait(0.1)
    assert app.asked == 2
    app.may.set()
    assert {each.wait().status for each in waiting} == {201}


def test_who_would_wait_too_long_is_refused_at_once_and_the_others_are_served(
    service: Service, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_shedding, "LOG_INTERVAL_S", PATIENCE_S)
    served = keep_busy(service, app)
    make_slow(service)
    served.append(service.ask())  # nobody waits yet, so this one may
    with capture_logs() as logs:
        refused = service.ask("/students/\xc3\xa9\xff", HTTP_X_REQUEST_ID="mine").wait()
        assert service.ask(body=BODY).problem["code"] == "overloaded"
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
    service.receiver.queue._average_s = 0.0  # noqa: SLF001
    assert service.ask().wait().status == 201


def test_the_wait_is_estimated_from_the_requests_before(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "WEIGHT", 1)
    clock = Clock()
    service = Service(app, clock, THREADS="2", MAX_WAIT_MS=PATIENT_MS)
    queue = service.receiver.queue
    keep_busy(service, app, clock)
    assert queue.wait_s() == 0
    for number in (1, 2, 3):
        service.ask()
        assert queue.wait_s() == pytest.approx(number * request_queue.SHORTEST_OUTLIER_S / 2)
    clock.now += 1
    assert queue.wait_s() >= 1, "the requests in work have been running for a second, and none has ended"


def test_one_who_took_long_does_not_have_a_crowd_refused(app: App) -> None:
    service = Service(app, THREADS="2")
    keep_busy(service, app)
    service.receiver.queue._average_s = 0.2 * request_queue.WEIGHT  # noqa: SLF001 - and not longer, on any machine
    crowd = [service.ask() for _ in range(1000)]
    service.receiver.queue._max_wait_s = 60.0  # noqa: SLF001 - they were let in: how long it takes now is not asked here
    app.may.set()
    assert {each.wait().status for each in crowd} == {201}


def test_who_asks_whether_the_service_lives_never_waits(service: Service, app: App) -> None:
    keep_busy(service, app)
    make_slow(service)
    service.ask()
    assert service.ask().wait().status == 503
    assert {service.ask(path).wait().status for path in PROBES} == {201}


def test_who_asks_whether_the_service_is_ready_keeps_nobody_from_asking_whether_it_lives(app: App) -> None:
    let = threading.Event()

    def hung(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/readyz":
            assert let.wait(PATIENCE_S)
        return app(environ, start_response)

    service = Service(hung, MAX_WAIT_MS=PATIENT_MS)
    probes = [service.ask("/readyz")]
    until(lambda: service.receiver._probes.waiting() == 0, "the first probe at work")  # noqa: SLF001
    probes += [service.ask("/readyz") for _ in range(receiving.MAX_PROBES)]
    assert service.ask("/readyz").problem["code"] == "overloaded"
    assert service.ask("/healthz", CONTENT_LENGTH="5").wait().status == 201
    let.set()
    assert {each.wait().status for each in probes} == {201}


def test_who_has_waited_too_long_already_is_refused_as_well(app: App) -> None:
    service = Service(app, THREADS="1", MAX_WAIT_MS=PATIENT_MS)
    first, *others = (service.ask(body=BODY) for _ in range(4))
    until(lambda: app.asked == 1, "the first at work")
    service.receiver.queue._max_wait_s = 0.0  # noqa: SLF001 - too late for those who are in the queue by now
    app.may.set()
    assert first.wait().status == 201
    assert {each.problem["code"] for each in others} == {"overloaded"}
    assert app.asked == 1


@pytest.mark.usefixtures("broken_log")
def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise RuntimeError

    service = Service(broken, THREADS="1", MAX_WAIT_MS=PATIENT_MS)
    for path in ("/students", "/students", "/readyz", "/readyz", "/healthz"):
        assert service.ask(path).problem["code"] == "internal_error"
    refusals = service.receiver._load_shedder  # noqa: SLF001
    for _ in range(2):
        refused = Transport()
        refusals.put(refused, {"PATH_INFO": "/"})
        assert refused.problem["code"] == "overloaded"


@pytest.fixture
def broken_log() -> None:
    def fail(*_: Any) -> Any:
        raise BrokenPipeError

    structlog.configure(processors=[fail])


# --- requests that do not end -----------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stuck(app: App, clock: Clock) -> Service:
    """Both threads work on requests that do not end; the usual three seconds may be waited."""
    service = Service(app, clock, THREADS="2")
    for number in (1, 2):
        service.ask(body=BODY)
        until(lambda number=number: app.asked == number, "work")  # type: ignore[misc]
    return service


def test_waiting_requests_are_refused_when_their_time_is_over_though_no_thread_becomes_free(
    stuck: Service, clock: Clock, app: App
) -> None:
    early = [stuck.ask(body=BODY) for _ in range(5)]
    clock.now += 2
    late = [stuck.ask() for _ in range(5)]
    clock.now += 0.9
    assert stuck.receiver.queue.refuse_overdue() == pytest.approx(0.1)
    assert not any(each.is_answered for each in early + late)
    clock.now += 0.1
    assert stuck.receiver.queue.refuse_overdue() == pytest.approx(2)
    assert {(each.wait().status, each.headers["Retry-After"]) for each in early} == {(503, "1")}
    assert not any(each.is_answered for each in late)
    clock.now += 2
    stuck.receiver.queue.refuse_overdue()
    assert {each.problem["code"] for each in late} == {"overloaded"}
    assert app.asked == 2


def test_the_queue_has_a_clock_of_its_own(app: App) -> None:
    service = Service(app, THREADS="2", MAX_WAIT_MS="300")
    requests = [service.ask(body=BODY) for _ in range(10)]
    until(lambda: sum(each.is_answered for each in requests) == 8, "the refusal of all but the two in work")
    refused = [each for each in requests if each.is_answered]
    assert {each.problem["code"] for each in refused} == {"overloaded"}
    app.may.set()
    assert sorted(each.wait().status for each in requests) == [201] * 2 + [503] * 8


@pytest.mark.parametrize("seed", range(20))
def test_no_request_waits_longer_than_it_may_whenever_it_arrives(
    stuck: Service, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that refuses sleeps for as long as `refuse_overdue` says: here it is played, on the test's clock."""
    monkeypatch.setattr(stuck.receiver.queue, "wait_s", lambda: 0.0)  # all are let in
    chance, queue = random.Random(seed), stuck.receiver.queue  # noqa: S311 - no secret
    wakes, waits, waiting = clock.now, [], dict[Transport, float]()
    for _ in range(200):
        arrives = clock.now + chance.expovariate(1)
        while wakes <= arrives:
            clock.now = wakes
            wakes += queue.refuse_overdue()
            waits += [clock.now - waiting.pop(each) for each in list(waiting) if each.is_answered]
            assert all(clock.now - since < 3.001 for since in waiting.values())
        clock.now = arrives
        waiting[stuck.ask()] = arrives
    assert len(waits) > 100
    assert waits == pytest.approx([3] * len(waits))


def test_while_no_thread_is_free_the_service_is_not_ready_but_alive(stuck: Service, clock: Clock, app: App) -> None:
    clock.now += 2.9
    assert stuck.ask("/readyz").wait().status == 201
    clock.now += 0.2
    assert stuck.ask("/readyz").problem["code"] == "overloaded"
    assert stuck.ask("/healthz").wait().status == 201
    assert stuck.ask().problem["code"] == "overloaded", "a request that must wait too long is refused at once"
    app.may.set()
    until(lambda: not stuck.receiver.queue.is_stuck(), "a free thread")
    assert {stuck.ask(path).wait().status for path in ("/readyz", "/healthz", "/students")} == {201}


def test_after_requests_that_did_not_end_a_crowd_is_let_in(stuck: Service, clock: Clock, app: App) -> None:
    queue = stuck.receiver.queue
    clock.now += 600
    app.may.set()
    until(lambda: not queue.is_stuck(), "free threads")
    app.may.clear()
    crowd = [stuck.ask() for _ in range(1000)]
    app.may.set()
    assert {each.wait().status for each in crowd} == {201}


def test_one_request_that_does_not_end_leaves_the_other_thread_to_the_others(app: App, clock: Clock) -> None:
    def sticky(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] != "/stuck":
            start_response("201 CREATED", [])
            return []
        found: list[bytes] = app(environ, start_response)
        return found

    service = Service(sticky, clock, THREADS="2")
    held = service.ask("/stuck")
    until(lambda: app.asked, "work")
    clock.now += 600
    assert [service.ask().wait().status for _ in range(20)] == [201] * 20
    assert service.ask("/readyz").wait().status == 201
    assert not held.is_answered


class Panic(BaseException):
    """As a panic of a library in Rust comes out."""


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, Panic, MemoryError])
@pytest.mark.parametrize("path", ["/students", "/readyz", "/healthz"])
def test_no_exception_ends_a_thread_of_the_queue(error: type[BaseException], path: str) -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise error

    service = Service(broken, THREADS="1")
    assert [service.ask(path).problem["code"] for _ in range(3)] == ["internal_error"] * 3


def test_an_exception_while_responding_ends_no_thread(app: App) -> None:
    class Gone(Transport):
        def response_bytes(self, *_: Any) -> None:
            self._there.set()
            raise Panic

    app.may.set()
    service = Service(app, THREADS="1")
    for put in (service.receiver.queue.put, service.receiver._load_shedder.put) * 2:  # noqa: SLF001
        gone = Gone()
        put(gone, {"PATH_INFO": "/students", "wsgi.input": BytesIO()})
        gone.wait()
    assert service.ask().wait().status == 201


# --- bodies -----------------------------------------------------------------------------------------------


def test_slow_bodies_hold_no_thread_that_works(service: Service, app: App) -> None:
    app.may.set()
    stream = Stream(BODY)
    slow = [service.ask_slowly(stream, CONTENT_LENGTH=str(len(BODY))) for _ in range(20)]
    assert service.ask(body=BODY).wait().status == 201
    assert app.asked == 1
    stream.there.set()
    for thread, _ in slow:
        thread.join(PATIENCE_S)
    assert {answers[0].wait().body for _, answers in slow} == {BODY}


@pytest.mark.parametrize("cut", [0, 5, len(BODY) - 1])
def test_a_body_that_ends_before_its_length_is_not_taken_for_a_shorter_one(
    service: Service, app: App, cut: int
) -> None:
    app.may.set()
    answer = service.ask(body=BODY[:cut], CONTENT_LENGTH=str(len(BODY)))
    assert answer.problem["code"] == "bad_request"
    assert app.asked == 0


@pytest.mark.parametrize("body", [b"", b"{", BODY[:-1], b"a,b\r\n1,2\r\n", b"\xff", b"[" * MIB])
def test_nothing_of_a_chunked_body_is_looked_at_before_the_application_has_it(
    service: Service, app: App, body: bytes
) -> None:
    app.may.set()
    stream = Stream(body)
    stream.there.set()
    answer = service.ask(body=stream, HTTP_TRANSFER_ENCODING="chunked").wait()
    assert (answer.status, answer.body, app.asked) == (201, body, 1)


def test_a_body_that_is_declared_too_large_is_for_the_app_to_refuse(service: Service, app: App) -> None:
    app.may.set()
    assert service.ask(body=b"x", CONTENT_LENGTH=str(MIB + 1)).wait().status == 201


def test_of_a_chunked_body_one_byte_too_many_is_read(service: Service, app: App) -> None:
    app.may.set()
    stream = Stream(b" " * (2 * MIB))
    stream.there.set()
    assert len(service.ask(body=stream, HTTP_TRANSFER_ENCODING="chunked").wait().body) == MIB + 1


@pytest.mark.parametrize(
    ("limit", "figure", "length"), [("MAX_SMALL", 4, 15), ("MAX_LARGE", 4, 20_000), ("MAX_HELD", 0, MIB)]
)
def test_there_is_an_end_to_the_bodies_that_are_waited_for(
    app: App, monkeypatch: pytest.MonkeyPatch, limit: str, figure: int, length: int
) -> None:
    monkeypatch.setattr(receiving, limit, figure)
    service = Service(app)
    app.may.set()
    body, declared = BODY.ljust(length), {"CONTENT_LENGTH": str(length)}
    stream = Stream(body)
    slow = [service.ask_slowly(stream, **declared) for _ in range(4)]
    until(lambda: stream.readers == 4, "the end of the room")
    assert service.ask(body=body).problem["code"] == "overloaded"
    assert service.ask().wait().status == 201, "who brings no body needs no room"
    other = BODY if length > receiving.SMALL else BODY.ljust(receiving.SMALL + 1)
    assert service.ask(body=other).wait().status == 201, "the large leave room for the small, and they for the large"
    stream.there.set()
    for thread, answers in slow:
        thread.join(PATIENCE_S)
        assert answers[0].wait().status == 201
    until(lambda: service.ask(body=body).wait().status == 201, "room again")
    for _ in range(5):  # and whoever goes away in the middle gives the room back
        service.ask(body=body[:3], **declared)
    assert [service.ask(body=body).wait().status for _ in range(5)] == [201] * 5


# --- whatever the app does --------------------------------------------------------------------------------


def test_a_fault_around_the_app_is_a_500_and_its_thread_goes_on() -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise RuntimeError("ada@example.edu")

    service = Service(broken, THREADS="1")
    with capture_logs() as logs:
        for _ in range(3):
            answer = service.ask().wait()
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

    assert Service(old_fashioned).ask().wait().body == b"abc"
    until(lambda: closed, "its end")
