"""Where log lines go: a write never raises and never waits, so that no log can change a response or stop work.

Lines for a real file, pipe or terminal are queued and written by a thread. A disk may be full, the reader of a pipe may
be gone or may not read, a terminal may be closed: lines are lost then, counted, and the count is logged as soon as a
line can be written again.
"""

from __future__ import annotations

import functools
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.util import Finalize
from queue import Empty, SimpleQueue
from typing import Protocol, TextIO

MAX_LINES = 10_000
"""Lines that wait to be written; further ones are lost. Several seconds of full load."""
GATHER_S = 0.005
"""Lines of so many seconds are written in one call: to wake the thread for each line would cost more than the line."""
MAX_BATCH = 500
EXIT_S = 2.0
"""Seconds that the end of a process waits for its lines to be written."""

Report = Callable[[int], str]
"""The line that says how many lines were lost."""


def plain_report(count: int) -> str:
    """Say how many lines were lost, for readers who are people."""
    return f"{count} lines could not be written.\n"


class Output(Protocol):
    """A stream, as far as loggers and `logging.StreamHandler` need one."""

    def write(self, text: str) -> object:
        """Write whole lines."""

    def flush(self) -> object:
        """Do nothing: see `drain`."""


def output_to(stream: TextIO | None, report: Report | None = None) -> Output:
    """Return the output for a stream. In-memory streams, as tests use them, are written to at once."""
    if stream is None:  # it was closed when the process started
        return NoOutput()
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return DirectOutput(stream, report or plain_report)
    with suppress(OSError, ValueError):
        stream.flush()
    output = _threaded(descriptor)
    output.report = report or output.report
    return output


class NoOutput:
    """Drops what it is given."""

    def write(self, text: str) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""


class DirectOutput:
    """Writes at once, to a stream that is not a file; what cannot be written is counted."""

    def __init__(self, stream: TextIO, report: Report) -> None:
        self._stream, self._report, self._lost = stream, report, 0

    def write(self, text: str) -> None:
        """Write whole lines, or count them as lost."""
        try:
            self._stream.write(self._report(self._lost) + text if self._lost else text)
            self._stream.flush()
        except Exception:  # noqa: BLE001 - whatever a stream raises must not reach the caller
            self._lost += text.count("\n")
        else:
            self._lost = 0

    def flush(self) -> None:
        """Do nothing."""


class ThreadedOutput:
    """Queues lines for a descriptor, and writes them in a thread that starts with the first line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.report: Report = plain_report
        self.reset()

    def reset(self) -> None:
        """Start anew in a child process: its parent writes what is queued here."""
        self._queue: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._lost = 0
        self._is_torn = False
        """Whether the last write broke off within a line."""

    def write(self, text: str) -> None:
        """Queue whole lines, or count them as lost if too many wait already."""
        if self._queue.qsize() >= MAX_LINES:
            self._lose(text.count("\n"))
            return
        self._queue.put(text)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Do nothing: loggers flush after each line, and must not wait for the disk."""

    def drain(self, seconds: float) -> None:
        """Wait until all lines so far are written, but no longer than this."""
        if self._thread is not None:
            written = threading.Event()
            self._queue.put(written)
            written.wait(seconds)

    def _start(self) -> None:
        with self._lock, suppress(RuntimeError):  # no thread can start when the interpreter ends
            if self._thread is None:
                thread = threading.Thread(target=self._work, args=(self._queue,), name="log-output", daemon=True)
                thread.start()
                self._thread = thread
                # At the end of this process, also if it is a worker: those end without the functions of `atexit`.
                Finalize(None, self.drain, args=(EXIT_S,), exitpriority=1)

    def _work(self, queue: SimpleQueue[str | threading.Event]) -> None:
        while True:
            found = [queue.get()]
            time.sleep(GATHER_S)
            with suppress(Empty):
                while len(found) < MAX_BATCH:
                    found.append(queue.get_nowait())
            with suppress(Exception):
                self._write_lines("".join(each for each in found if isinstance(each, str)))
            for each in found:
                if isinstance(each, threading.Event):
                    each.set()

    def _write_lines(self, text: str) -> None:
        lost = self._lost
        if lost and text:
            if self._write(self.report(lost)):
                self._lose(text.count("\n"))
                return
            self._lose(-lost)
        self._lose(self._write(text))

    def _write(self, text: str) -> int:
        """Write lines; how many of them could not be written."""
        left = memoryview((("\n" if self._is_torn else "") + text).encode("utf-8", "backslashreplace"))
        while left:
            try:
                count = os.write(self._descriptor, left)
            except BlockingIOError:  # somebody made the descriptor non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                return bytes(left).count(b"\n")
            else:
                self._is_torn = left[count - 1] != ord("\n")
                left = left[count:]
        return 0

    def _lose(self, count: int) -> None:
        if count:
            with self._lock:
                self._lost += count


@functools.cache
def _threaded(descriptor: int) -> ThreadedOutput:
    output = ThreadedOutput(descriptor)
    os.register_at_fork(after_in_child=output.reset)
    _all.append(output)
    return output


_all: list[ThreadedOutput] = []


def drain_all() -> None:
    """Wait until all lines so far are written, a few seconds at most; for processes that end by `os._exit`."""
    for output in _all:
        output.drain(EXIT_S)
