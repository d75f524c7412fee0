"""The circuit breaker for calls to other services."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from structlog.testing import CapturingLogger

from course_management import circuit_breaker
from course_management.circuit_breaker import FAILURES, CallFailed, CircuitBreaker

from .support.databases import PATIENCE_S
from .support.real_server import until


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """Return what the circuit breaker logs."""
    found = CapturingLogger()
    monkeypatch.setattr(circuit_breaker, "log", found)
    return found


def test_while_the_circuit_is_open_one_call_is_tried_after_each_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, made = SimpleNamespace(now=0.0), []
    monkeypatch.setattr(circuit_breaker, "WAIT_S", PATIENCE_S)
    monkeypatch.setattr(circuit_breaker, "time", SimpleNamespace(monotonic=lambda: clock.now))
    breaker = CircuitBreaker("test", 2)

    def record() -> None:
        made.append(clock.now)
        raise ConnectionError

    for clock.now in (*[0.0] * FAILURES, 1.0, 4.9, 5.1, 5.2, 10.0, 10.2):
        with pytest.raises(CallFailed):
            breaker.call(record)

    assert made == [*[0.0] * FAILURES, 5.1, 10.2]


def test_a_few_failures_do_not_open_the_circuit(log: CapturingLogger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "WAIT_S", PATIENCE_S)
    breaker = CircuitBreaker("test", 1)
    for _ in range(5):
        for _ in range(FAILURES - 1):
            with pytest.raises(CallFailed):
                breaker.call(lambda: 1 / 0)
        assert breaker.call(lambda: 1) == 1
    assert log.calls == []


def test_during_a_trial_call_other_calls_fail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "WAIT_S", PATIENCE_S)
    breaker, tries, tried = CircuitBreaker("test", 4), threading.Event(), threading.Event()
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 0)
    fail(breaker)
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", PATIENCE_S)

    def probe() -> str:
        tries.set()
        tried.wait(PATIENCE_S)
        return "back"

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(breaker.call, probe)
        assert tries.wait(PATIENCE_S)
        with pytest.raises(CallFailed):
            breaker.call(lambda: "a second try")
        tried.set()
        assert first.result() == "back"

    assert breaker.call(lambda: "as before") == "as before"


def test_calls_that_never_return_occupy_a_bounded_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "WAIT_S", 0.01)
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 0)
    over, breaker = threading.Event(), CircuitBreaker("stuck", 2)
    for _ in range(2 * FAILURES):
        with pytest.raises(CallFailed):
            breaker.call(over.wait)

    assert [each.name for each in threading.enumerate()].count("stuck") == 2 + FAILURES

    over.set()
    monkeypatch.setattr(circuit_breaker, "WAIT_S", PATIENCE_S)
    until(lambda: _returns(breaker), "the end of the outage")


def test_a_thread_that_cannot_be_started_is_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = CircuitBreaker("test", 2)

    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        with pytest.raises(CallFailed):
            breaker.call(lambda: 1)

    monkeypatch.setattr(circuit_breaker, "WAIT_S", PATIENCE_S)
    assert breaker.call(lambda: 1) == 1


def test_the_end_of_an_outage_is_logged_once(log: CapturingLogger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "WAIT_S", PATIENCE_S)
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 0)
    breaker, both = CircuitBreaker("test", 2), threading.Barrier(2)
    fail(breaker)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: breaker.call(both.wait), range(2)))
    breaker._close()  # noqa: SLF001 - the second of the two, if it comes later

    assert [call.args[0] for call in log.calls] == ["test.unavailable", "test.available"]


def fail(breaker: CircuitBreaker) -> None:
    """Begin an outage."""
    for _ in range(FAILURES):
        with pytest.raises(CallFailed):
            breaker.call(lambda: 1 / 0)


def _returns(breaker: CircuitBreaker) -> bool:
    try:
        return breaker.call(lambda: True)
    except CallFailed:
        return False
