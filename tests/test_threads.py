"""The threads that a worker process depends on continue after exceptions."""

from __future__ import annotations

import contextlib
import threading

import pytest

from course_management import threads

from .support.real_server import until


def test_an_exception_in_a_step_does_not_end_the_thread() -> None:
    seen: list[threading.Thread] = []
    may_end = threading.Event()

    def step() -> None:
        seen.append(threading.current_thread())
        if len(seen) < 3:
            raise SystemExit
        may_end.wait()

    threads.run_forever("steps", step)

    until(lambda: len(seen) == 3, "a third step")
    assert len(set(seen)) == 1
    assert (seen[0].name, seen[0].daemon) == ("steps", True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the thread that ends
def test_a_thread_that_ends_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "suppress", lambda *_: contextlib.nullcontext())  # as if it came between two steps
    seen: list[threading.Thread] = []

    def step() -> None:
        seen.append(threading.current_thread())
        if len(seen) == 1:
            raise RuntimeError("an exception that another thread has sent")
        threading.Event().wait()

    threads.run_forever("steps", step)

    until(lambda: len(seen) == 2, "a second step")
    seen[0].join()  # pytest reports its exception here, where it is expected, and not in the next test
    assert len(set(seen)) == 2
    assert {each.name for each in seen} == {"steps"}
