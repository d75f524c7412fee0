"""The request queue: which requests wait, are refused, or bypass it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from course_management.config import MIB, Settings
from course_management.http import problems
from course_management.server import load_shedding, receiving, request_queue
from course_management.server.application import Application
from course_management.server.receiving import Receiver

from ..support.clock import Clock
from ..support.databases import PATIENCE_S
from ..support.real_server import until

BODY = b'{"course_id":1}'
PROBES = {"/healthz", "/readyz"}
PATIENT_MS = "60000"
"""MAX_WAIT_MS for tests whose result must not depend on the speed of the machine."""


class Transport:
    """Takes one response, like the transport of granian."""

    def __init__(self) -> None:
        self._arrived = threading.Event()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert not self._arrived.is_set(), "a second response"
        self.status, self.headers, self.body = status, dict(headers), body
        self._arrived.set()

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Iterator[bytes]) -> None:
        self.response_bytes(status, headers, b"".join(body))

    def wait(self) -> Transport:
        """Return this transport when it has the response."""
        assert self._arrived.wait(PATIENCE_S), "no response"
        return self

    @property
    def has_response(self) -> bool:
        return self._arrived.is_set()

    @property
    def problem(self) -> Any:
        return json.loads(self.wait().body)


class Stream:
    """A body that arrives when the test says so."""

    def __init__(self, body: bytes) -> None:
        self.body, self.arrives, self.readers = body, threading.Event(), 0

    def read(self, size: int) -> bytes:
        self.readers += 1
        assert self.arrives.wait(PATIENCE_S)
        return self.body[:size]


class App:
    """An application that responds with the body of the request, when the test allows it."""

    def __init__(self) -> None:
        self.may_respond, self.requests = threading.Event(), 0

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] not in PROBES:
            self.requests += 1
            assert self.may_respond.wait(PATIENCE_S)
        start_response("201 CREATED", [("X-Path", environ["PATH_INFO"])])
        return [environ["wsgi.input"].read()]


class Service:
    """A receiver with its queue in front of one application, and its clients."""

    def __init__(self, app: Any, clock: Callable[[], float] = time.monotonic, **settings: str) -> None:
        self.groups: list[int] = []
        """How many requests each group had."""

        def run_group(works: Sequence[Callable[[], object]]) -> None:
            self.groups.append(len(works))
            for work in works:
                work()

        application = Application(app, "/healthz", "/readyz", problems.problem_response, problems.as_problem, run_group)
        self.receiver = Receiver(application, Settings.load(settings, environ={}), clock)

    def send(self, path: str = "/students", *, body: bytes | Stream | None = None, **more: str) -> Transport:
        """Pass a request to the receiver in this thread, like granian. Return the transport for its response."""
        stream = BytesIO(body or b"") if not isinstance(body, Stream) else body
        scope: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", **more}
        if isinstance(body, bytes):
            scope.setdefault("CONTENT_LENGTH", str(len(body)))
        found = Transport()
        self.receiver.receive(found, {**scope, "wsgi.input": stream})
        return found

    def send_slowly(self, stream: Stream, **more: str) -> tuple[threading.Thread, list[Transport]]:
        """Do the same in a new thread, which ends when the body has arrived. Return it and a list for the transport."""
        transports: list[Transport] = []
        thread = threading.Thread(target=lambda: transports.append(self.send(body=stream, **more)), daemon=True)
        thread.start()
        return thread, transports


@pytest.fixture(autouse=True)
def every_line_is_logged() -> Iterator[None]:
    """Undo the configuration of other tests."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.fixture
def app() -> Iterator[App]:
    found = App()
    yield found
    found.may_respond.set()


@pytest.fixture
def service(app: App) -> Service:
    """Return a service with two threads whose requests may wait for a long time."""
    return Service(app, THREADS="2", GROUP_SIZE="1", MAX_WAIT_MS=PATIENT_MS)


def keep_busy(service: Service, app: App, clock: Clock | None = None) -> list[Transport]:
    """Serve a request that takes long, then start one in each of the two threads."""
    first = service.send()
    until(lambda: app.requests == 1, "the first request")
    if clock:
        clock.now += 0.2
    else:
        threading.Event().wait(0.2)
    app.may_respond.set()
    first.wait()
    until(lambda: service.receiver.queue._average_s, "its duration")  # noqa: SLF001
    app.may_respond.clear()
    busy = [service.send()]
    until(lambda: app.requests == 2, "a request in one thread")
    busy.append(service.send())
    until(lambda: app.requests == 3, "a request in both threads")
    return busy


def make_slow(service: Service) -> None:
    """Set the average duration of a request to an hour."""
    service.receiver.queue._average_s = 3600.0  # noqa: SLF001


def test_the_response_of_the_application_is_sent(service: Service, app: App) -> None:
    app.may_respond.set()
    response = service.send("/students/1/enroll", body=BODY).wait()
    assert (response.status, response.headers, response.body) == (201, {"X-Path": "/students/1/enroll"}, BODY)


def test_at_most_one_request_per_thread_is_served_at_a_time(service: Service, app: App) -> None:
    waiting = [service.send() for _ in range(5)]
    until(lambda: app.requests == 2, "a request in both threads")
    assert not threading.Event().wait(0.1)
    assert app.requests == 2
    app.may_respond.set()
    assert {each.wait().status for each in waiting} == {201}


def test_a_request_that_would_wait_too_long_is_refused_at_once(
    service: Service, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_shedding, "LOG_INTERVAL_S", PATIENCE_S)
    served = keep_busy(service, app)
    make_slow(service)
    served.append(service.send())  # no request waits yet, so this one may
    with capture_logs() as logs:
        refused = service.send("/students/\xc3\xa9\xff", HTTP_X_REQUEST_ID="mine").wait()
        assert service.send(body=BODY).problem["code"] == "overloaded"
    assert (refused.status, refused.headers["Retry-After"], refused.headers["X-Request-ID"]) == (503, "1", "mine")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert refused.problem["code"] == "overloaded"
    assert refused.problem["request_id"] == "mine"
    assert refused.problem["instance"] == "/students/é\ufffd"
    assert [(each["event"], each["refused"]) for each in logs] == [("overloaded", 1)]
    assert not any(each.has_response for each in served)
    app.may_respond.set()
    assert {each.wait().status for each in served} == {201}
    assert app.requests == 4
    service.receiver.queue._average_s = 0.0  # noqa: SLF001
    assert service.send().wait().status == 201


def test_the_wait_is_estimated_from_the_previous_requests(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "WEIGHT", 1)
    clock = Clock()
    service = Service(app, clock, THREADS="2", MAX_WAIT_MS=PATIENT_MS)
    queue = service.receiver.queue
    keep_busy(service, app, clock)
    assert queue.wait_s() == 0
    for number in (1, 2, 3):
        service.send()
        assert queue.wait_s() == pytest.approx(number * request_queue.SHORTEST_OUTLIER_S / 2)
    clock.now += 1
    assert queue.wait_s() >= 1, "the present requests have taken a second so far"


def test_one_slow_request_does_not_cause_refusals(app: App) -> None:
    service = Service(app, THREADS="2")
    keep_busy(service, app)
    service.receiver.queue._average_s = 0.2 * request_queue.WEIGHT  # noqa: SLF001 - on any machine
    many = [service.send() for _ in range(1000)]
    service.receiver.queue._max_wait_s = 60.0  # noqa: SLF001 - they were accepted; the time they take now does not matter
    app.may_respond.set()
    assert {each.wait().status for each in many} == {201}


@pytest.mark.parametrize(
    ("methods", "groups"),
    [
        (["POST"] * 4, [3]),  # and one that is left over
        (["POST", "GET", "DELETE"], [3]),
        (["GET"] * 4, []),
        (["GET", "PUT", "GET"], [2]),
    ],
)
def test_waiting_requests_are_a_group_if_the_first_is_a_change(app: App, methods: list[str], groups: list[int]) -> None:
    service = Service(app, THREADS="1", GROUP_SIZE="3", MAX_WAIT_MS=PATIENT_MS)
    sent = [service.send()]
    until(lambda: app.requests == 1, "a request in the only thread")
    sent += [service.send(REQUEST_METHOD=method) for method in methods]
    app.may_respond.set()

    assert {transport.wait().status for transport in sent} == {201}
    assert service.groups == groups


def test_health_checks_bypass_the_queue(service: Service, app: App) -> None:
    keep_busy(service, app)
    make_slow(service)
    service.send()
    assert service.send().wait().status == 503
    assert {service.send(path).wait().status for path in PROBES} == {201}


def test_readiness_checks_do_not_delay_liveness_checks(app: App) -> None:
    may_respond = threading.Event()

    def hung(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/readyz":
            assert may_respond.wait(PATIENCE_S)
        return app(environ, start_response)

    service = Service(hung, MAX_WAIT_MS=PATIENT_MS)
    probes = [service.send("/readyz")]
    until(lambda: service.receiver._probes.waiting() == 0, "the start of the first check")  # noqa: SLF001
    probes += [service.send("/readyz") for _ in range(receiving.MAX_PROBES)]
    assert service.send("/readyz").problem["code"] == "overloaded"
    assert service.send("/healthz", CONTENT_LENGTH="5").wait().status == 201
    may_respond.set()
    assert {each.wait().status for each in probes} == {201}


def test_a_request_that_has_waited_too_long_is_refused_when_a_thread_takes_it(app: App) -> None:
    service = Service(app, THREADS="1", MAX_WAIT_MS=PATIENT_MS)
    first, *others = (service.send(body=BODY) for _ in range(4))
    until(lambda: app.requests == 1, "the start of the first request")
    service.receiver.queue._max_wait_s = 0.0  # noqa: SLF001 - the queued requests have waited longer
    app.may_respond.set()
    assert first.wait().status == 201
    assert {each.problem["code"] for each in others} == {"overloaded"}
    assert app.requests == 1


@pytest.mark.usefixtures("broken_log")
def test_a_broken_log_ends_no_thread() -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise RuntimeError

    service = Service(broken, THREADS="1", MAX_WAIT_MS=PATIENT_MS)
    for path in ("/students", "/students", "/readyz", "/readyz", "/healthz"):
        assert service.send(path).problem["code"] == "internal_error"
    load_shedder = service.receiver._load_shedder  # noqa: SLF001
    for _ in range(2):
        refused = Transport()
        load_shedder.put(refused, {"PATH_INFO": "/"})
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
    """Return a service whose two threads serve requests that do not end; MAX_WAIT_MS is the default, three seconds."""
    service = Service(app, clock, THREADS="2")
    for number in (1, 2):
        service.send(body=BODY)
        until(lambda number=number: app.requests == number, "its start")  # type: ignore[misc]
    return service


def test_waiting_requests_are_refused_on_time_while_all_threads_are_stuck(
    stuck: Service, clock: Clock, app: App
) -> None:
    early = [stuck.send(body=BODY) for _ in range(5)]
    clock.now += 2
    late = [stuck.send() for _ in range(5)]
    clock.now += 0.9
    assert stuck.receiver.queue.refuse_overdue() == pytest.approx(0.1)
    assert not any(each.has_response for each in early + late)
    clock.now += 0.1
    assert stuck.receiver.queue.refuse_overdue() == pytest.approx(2)
    assert {(each.wait().status, each.headers["Retry-After"]) for each in early} == {(503, "1")}
    assert not any(each.has_response for each in late)
    clock.now += 2
    stuck.receiver.queue.refuse_overdue()
    assert {each.problem["code"] for each in late} == {"overloaded"}
    assert app.requests == 2


def test_a_thread_of_the_queue_refuses_overdue_requests(app: App) -> None:
    service = Service(app, THREADS="2", GROUP_SIZE="1", MAX_WAIT_MS="300")
    requests = [service.send(body=BODY) for _ in range(10)]
    until(lambda: sum(each.has_response for each in requests) == 8, "the refusal of all but two requests")
    refused = [each for each in requests if each.has_response]
    assert {each.problem["code"] for each in refused} == {"overloaded"}
    app.may_respond.set()
    assert sorted(each.wait().status for each in requests) == [201] * 2 + [503] * 8


@pytest.mark.parametrize("seed", range(20))
def test_no_request_waits_longer_than_allowed_whenever_it_arrives(
    stuck: Service, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulate the thread that sleeps for as long as `refuse_overdue` says, on the clock of the test."""
    monkeypatch.setattr(stuck.receiver.queue, "wait_s", lambda: 0.0)  # all are accepted
    chance, queue = random.Random(seed), stuck.receiver.queue  # noqa: S311 - no secret
    wakes, waits, waiting = clock.now, [], dict[Transport, float]()
    for _ in range(200):
        arrives = clock.now + chance.expovariate(1)
        while wakes <= arrives:
            clock.now = wakes
            wakes += queue.refuse_overdue()
            waits += [clock.now - waiting.pop(each) for each in list(waiting) if each.has_response]
            assert all(clock.now - since < 3.001 for since in waiting.values())
        clock.now = arrives
        waiting[stuck.send()] = arrives
    assert len(waits) > 100
    assert waits == pytest.approx([3] * len(waits))


def test_while_all_threads_are_stuck_the_service_is_alive_but_not_ready(stuck: Service, clock: Clock, app: App) -> None:
    clock.now += 2.9
    assert stuck.send("/readyz").wait().status == 201
    clock.now += 0.2
    assert stuck.send("/readyz").problem["code"] == "overloaded"
    assert stuck.send("/healthz").wait().status == 201
    assert stuck.send().problem["code"] == "overloaded", "a request that must wait too long is refused at once"
    app.may_respond.set()
    until(lambda: not stuck.receiver.queue.is_stuck(), "a free thread")
    assert {stuck.send(path).wait().status for path in ("/readyz", "/healthz", "/students")} == {201}


def test_many_requests_are_accepted_after_stuck_ones_have_ended(stuck: Service, clock: Clock, app: App) -> None:
    queue = stuck.receiver.queue
    clock.now += 600
    app.may_respond.set()
    until(lambda: not queue.is_stuck(), "free threads")
    app.may_respond.clear()
    many = [stuck.send() for _ in range(1000)]
    app.may_respond.set()
    assert {each.wait().status for each in many} == {201}


def test_one_stuck_request_does_not_stop_the_other_thread(app: App, clock: Clock) -> None:
    def sticky(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] != "/stuck":
            start_response("201 CREATED", [])
            return []
        found: list[bytes] = app(environ, start_response)
        return found

    service = Service(sticky, clock, THREADS="2")
    stuck = service.send("/stuck")
    until(lambda: app.requests, "its start")
    clock.now += 600
    assert [service.send().wait().status for _ in range(20)] == [201] * 20
    assert service.send("/readyz").wait().status == 201
    assert not stuck.has_response


class Panic(BaseException):
    """Like the exception for a panic of a library in Rust."""


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, Panic, MemoryError])
@pytest.mark.parametrize("path", ["/students", "/readyz", "/healthz"])
def test_no_exception_ends_a_thread_of_the_queue(error: type[BaseException], path: str) -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise error

    service = Service(broken, THREADS="1")
    assert [service.send(path).problem["code"] for _ in range(3)] == ["internal_error"] * 3


def test_an_exception_while_responding_ends_no_thread(app: App) -> None:
    class Gone(Transport):
        def response_bytes(self, *_: Any) -> None:
            self._arrived.set()
            raise Panic

    app.may_respond.set()
    service = Service(app, THREADS="1")
    for put in (service.receiver.queue.put, service.receiver._load_shedder.put) * 2:  # noqa: SLF001
        gone = Gone()
        put(gone, {"PATH_INFO": "/students", "wsgi.input": BytesIO()})
        gone.wait()
    assert service.send().wait().status == 201


# --- bodies -----------------------------------------------------------------------------------------------


def test_slow_bodies_occupy_no_thread_of_the_queue(service: Service, app: App) -> None:
    app.may_respond.set()
    stream = Stream(BODY)
    slow = [service.send_slowly(stream, CONTENT_LENGTH=str(len(BODY))) for _ in range(20)]
    assert service.send(body=BODY).wait().status == 201
    assert app.requests == 1
    stream.arrives.set()
    for thread, _ in slow:
        thread.join(PATIENCE_S)
    assert {transports[0].wait().body for _, transports in slow} == {BODY}


@pytest.mark.parametrize("cut", [0, 5, len(BODY) - 1])
def test_a_body_shorter_than_its_length_is_400(service: Service, app: App, cut: int) -> None:
    app.may_respond.set()
    response = service.send(body=BODY[:cut], CONTENT_LENGTH=str(len(BODY)))
    assert response.problem["code"] == "bad_request"
    assert app.requests == 0


@pytest.mark.parametrize("body", [b"", b"{", BODY[:-1], b"a,b\r\n1,2\r\n", b"\xff", b"[" * MIB])
def test_a_chunked_body_is_passed_to_the_application_unchecked(service: Service, app: App, body: bytes) -> None:
    app.may_respond.set()
    stream = Stream(body)
    stream.arrives.set()
    response = service.send(body=stream, HTTP_TRANSFER_ENCODING="chunked").wait()
    assert (response.status, response.body, app.requests) == (201, body, 1)


def test_a_body_with_too_large_a_length_is_left_to_the_application(service: Service, app: App) -> None:
    app.may_respond.set()
    assert service.send(body=b"x", CONTENT_LENGTH=str(MIB + 1)).wait().status == 201


def test_a_chunked_body_is_read_up_to_one_byte_over_the_limit(service: Service, app: App) -> None:
    app.may_respond.set()
    stream = Stream(b" " * (2 * MIB))
    stream.arrives.set()
    assert len(service.send(body=stream, HTTP_TRANSFER_ENCODING="chunked").wait().body) == MIB + 1


@pytest.mark.parametrize(
    ("limit", "figure", "length"), [("MAX_SMALL", 4, 15), ("MAX_LARGE", 4, 20_000), ("MAX_LARGE_BYTES", 0, MIB)]
)
def test_the_bodies_that_are_received_at_once_are_limited(
    app: App, monkeypatch: pytest.MonkeyPatch, limit: str, figure: int, length: int
) -> None:
    monkeypatch.setattr(receiving, limit, figure)
    service = Service(app)
    app.may_respond.set()
    body, declared = BODY.ljust(length), {"CONTENT_LENGTH": str(length)}
    stream = Stream(body)
    slow = [service.send_slowly(stream, **declared) for _ in range(4)]
    until(lambda: stream.readers == 4, "the maximum of bodies")
    assert service.send(body=body).problem["code"] == "overloaded"
    assert service.send().wait().status == 201, "a request without a body is not limited"
    other = BODY if length > receiving.SMALL else BODY.ljust(receiving.SMALL + 1)
    assert service.send(body=other).wait().status == 201, "small and large bodies have separate limits"
    stream.arrives.set()
    for thread, transports in slow:
        thread.join(PATIENCE_S)
        assert transports[0].wait().status == 201
    until(lambda: service.send(body=body).wait().status == 201, "the release of the memory")
    for _ in range(5):  # incomplete bodies release their memory, too
        service.send(body=body[:3], **declared)
    assert [service.send(body=body).wait().status for _ in range(5)] == [201] * 5


# --- applications -----------------------------------------------------------------------------------------


def test_an_exception_of_the_application_is_500_and_its_thread_continues() -> None:
    def broken(_: Any, __: Any) -> list[bytes]:
        raise RuntimeError("ada@example.edu")

    service = Service(broken, THREADS="1")
    with capture_logs() as logs:
        for _ in range(3):
            response = service.send().wait()
            assert (response.status, response.problem["code"]) == (500, "internal_error")
            assert b"ada@" not in response.body
        until(lambda: len(logs) == 3, "the last line")
    assert [each["event"] for each in logs] == ["internal_error"] * 3
    assert "ada@" not in str(logs)


def test_the_parts_of_a_response_are_sent_in_order() -> None:
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

    assert Service(old_fashioned).send().wait().body == b"abc"
    until(lambda: closed, "its end")
