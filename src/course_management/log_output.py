"""Render log lines, and write them to outputs. Neither raises or waits, so that no log can affect a response.

All that happens for each line is here: a function renders it, and an output takes it. `logs` chooses them.

Lines for a file, pipe or terminal are queued, and a thread writes them. When the disk is full, the reader of the pipe
does not read or has ended, or the terminal is closed, lines are lost. They are counted, and the count is logged as soon
as a line can be written again (decision 19).
"""

from __future__ import annotations

import functools
import json
import os
import select
import threading
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.util import Finalize
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TextIO

import orjson

from .context import current

MAX_LINES = 10_000
"""Maximum number of queued lines; further ones are lost. They are several seconds of full load."""
GATHER_S = 0.005
"""Seconds for which the thread collects lines before a write: waking it for each line costs more than the line."""
MAX_BATCH = 500
"""Maximum number of lines in one write."""
EXIT_S = 2.0
"""Maximum seconds that a process waits at its end for its lines to be written."""

Event = MutableMapping[str, Any]
"""What a log line says, by name."""
Report = Callable[[int], str]
"""Makes the line that reports how many lines were lost."""


def plain_report(count: int) -> str:
    """Report the number of lost lines in plain text."""
    return f"{count} lines could not be written.\n"


def json_line(_: Any, level: str, event: Event) -> str:
    """Render a line as JSON. A processor of structlog."""
    add_context(_, level, event)
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_APPEND_NEWLINE).decode()
    except Exception:  # noqa: BLE001 - lone surrogates, huge numbers, objects that cannot be converted to text
        return json.dumps({name: _text(value) for name, value in event.items()}) + "\n"


def add_context(_: Any, level: str, event: Event) -> Event:
    """Add the id and trace of the request, the milliseconds since it began, the level and the time.

    A processor of structlog.
    """
    context = current.get()
    if context and context.request_id:
        event.setdefault("duration_ms", milliseconds_since(context.started))
        event["request_id"] = context.request_id
        if context.traceparent:
            event["traceparent"] = context.traceparent
    event["level"] = level
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event


def milliseconds_since(started: float) -> float:
    """Return the milliseconds since `started`, a reading of `time.perf_counter`."""
    return round((time.perf_counter() - started) * 1000, 2)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001
        return f"<{type(value).__name__}>"


class Output(Protocol):
    """The methods of a stream that loggers and `logging.StreamHandler` use."""

    def write(self, text: str) -> object:
        """Write whole lines."""

    def flush(self) -> object:
        """Do nothing; `ThreadedOutput.drain` waits for the lines."""


def output_to(stream: TextIO | None, report: Report | None = None) -> Output:
    """Return the output for a stream. Lines for a stream without a descriptor, as in tests, are written immediately."""
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
    """Discards all lines."""

    def write(self, text: str) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""


class DirectOutput:
    """Writes immediately to a stream without a descriptor, and counts the lines that cannot be written."""

    def __init__(self, stream: TextIO, report: Report) -> None:
        self._stream, self._report, self._lost = stream, report, 0

    def write(self, text: str) -> None:
        """Write whole lines, or count them as lost."""
        try:
            self._stream.write(self._report(self._lost) + text if self._lost else text)
            self._stream.flush()
        except Exception:  # noqa: BLE001 - no exception of a stream may reach the caller
            self._lost += text.count("\n")
        else:
            self._lost = 0

    def flush(self) -> None:
        """Do nothing."""


class ThreadedOutput:
    """Queues lines for a descriptor, and writes them in a thread, which the first line starts."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.report: Report = plain_report
        self.reset()

    def reset(self) -> None:
        """Empty the queue in a child process: its parent writes those lines."""
        self._queue: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._lost = 0
        self._is_torn = False
        """Whether the last write ended within a line."""

    def write(self, text: str) -> None:
        """Queue whole lines, or count them as lost if the queue is full."""
        if self._queue.qsize() >= MAX_LINES:
            self._lose(text.count("\n"))
            return
        self._queue.put(text)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Do nothing: loggers flush after each line and must not wait for the disk."""

    def drain(self, seconds: float) -> None:
        """Wait until all lines so far are written, at most for this time."""
        if self._thread is not None:
            written = threading.Event()
            self._queue.put(written)
            written.wait(seconds)

    def _start(self) -> None:
        with self._lock, suppress(RuntimeError):  # no thread can start when the interpreter ends
            if self._thread is None:
                thread = threading.Thread(
                    target=self._write_batches, args=(self._queue,), name="log-output", daemon=True
                )
                thread.start()
                self._thread = thread
                # At the end of this process. Not `atexit`, whose functions are not called in worker processes.
                Finalize(None, self.drain, args=(EXIT_S,), exitpriority=1)

    def _write_batches(self, queue: SimpleQueue[str | threading.Event]) -> None:
        while True:
            batch = [queue.get()]
            time.sleep(GATHER_S)
            with suppress(Empty):
                while len(batch) < MAX_BATCH:
                    batch.append(queue.get_nowait())
            with suppress(Exception):
                self._write_lines("".join(entry for entry in batch if isinstance(entry, str)))
            for entry in batch:
                if isinstance(entry, threading.Event):
                    entry.set()

    def _write_lines(self, text: str) -> None:
        lost = self._lost
        if lost and text:
            if self._write(self.report(lost)):
                self._lose(text.count("\n"))
                return
            self._lose(-lost)
        self._lose(self._write(text))

    def _write(self, text: str) -> int:
        """Write lines. Return how many of them could not be written."""
        left = memoryview((("\n" if self._is_torn else "") + text).encode("utf-8", "backslashreplace"))
        while left:
            try:
                count = os.write(self._descriptor, left)
            except BlockingIOError:  # another process made the descriptor non-blocking
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
    """Wait until all lines so far are written, at most a few seconds. For processes that end with `os._exit`."""
    for output in _all:
        output.drain(EXIT_S)
