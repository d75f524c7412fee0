"""Metrics for Prometheus: what the service does, counted in each process and reported for all of them together.

`instruments` has the counters of one process. The worker processes of `serve` keep theirs in files of one directory
(`directory`), so that any of them can report the sum. `exposition` reports it.

The functions here are called from everywhere else and never raise. They only note what happened; a thread counts it
within `instruments.FLUSH_S` (decision 27). In a process that serves nothing, such as a command or the parent of the
workers, they do nothing: a parent that took a lock of the instruments while it forks would leave it locked in the
worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .instruments import Instruments

_instruments: Instruments | None = None
_starting = threading.Lock()


def start() -> Instruments:
    """Begin to count in this process. The first request does it, too."""
    # Imported here: it takes 40 ms, and reads from the environment whether the processes share a directory.
    from .instruments import Instruments  # noqa: PLC0415

    global _instruments  # noqa: PLW0603 - one per process, like the files
    with _starting:
        if _instruments is None:
            _instruments = Instruments()
        return _instruments


def request_done(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a response. `route` is the template of the route; None: no route has this path."""
    instruments = _instruments or start()
    instruments.noted.append((instruments.request_done, method, route, status, seconds))


def request_waited(seconds: float) -> None:
    """Count a request that has left the request queue."""
    if _instruments:
        _instruments.noted.append((_instruments.request_waited, seconds))


def wave_sent(statements: int, seconds: float) -> None:
    """Count statements of several requests that were sent to the database together."""
    if _instruments:
        _instruments.noted.append((_instruments.wave_sent, statements, seconds))


def request_refused() -> None:
    """Count a request that was refused because the server is overloaded."""
    if _instruments:
        _instruments.noted.append((_instruments.request_refused,))


def outcomes(action: str, codes: Sequence[str]) -> None:
    """Count what an enrollment action did: a code for each of its courses, or for each reason of a refusal."""
    if _instruments:
        _instruments.noted.append((_instruments.outcomes, action, codes))


def promoted(students: int) -> None:
    """Count students who were promoted from a waitlist."""
    if _instruments:
        _instruments.noted.append((_instruments.promoted, students))


def event(level: str, name: str) -> None:
    """Count a log line of level warning or above."""
    if _instruments:
        _instruments.noted.append((_instruments.event, level, name))


def watch(name: str, value: Callable[[], float]) -> None:
    """Report a value that this process can read at any time, such as the length of a queue.

    `name` is one of `instruments.WATCHED`. The value is read every `instruments.SAMPLE_S`.
    """
    start().watch(name, value)
