"""The parent process: granian's server, extended by the replacement of workers that hang, and by signal handling.

granian starts the workers and respawns those that end (docs/operations.md).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection as PipeEnd
from typing import Any

import structlog
from granian.server import mp

from .worker import IGNORED

CHECK_S = 1.0
ABSENT_S = 5.0
"""After a longer time between two checks, this process was stopped, suspended or swapped out. The workers may not have
run either, so each of them gets its full time again."""

log = structlog.get_logger(__name__)


class Watched:
    """A worker process, and the time of its last heartbeat."""

    def __init__(self, worker: Any, heartbeat: PipeEnd, now: float) -> None:
        self.worker, self._heartbeat, self.last_beat = worker, heartbeat, now
        os.set_blocking(heartbeat.fileno(), False)

    def has_beaten(self) -> bool:
        """Return whether there was a heartbeat since the last call."""
        with suppress(OSError):
            return bool(os.read(self._heartbeat.fileno(), 4096))
        return False


class Supervisor(mp.MPServer):
    """granian's server, which also replaces workers without a heartbeat for `worker_timeout_s` seconds."""

    def __init__(self, worker_timeout_s: float, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        super().__init__("", **options)
        self._worker_timeout_s, self._clock = worker_timeout_s, clock
        self._watched: dict[Any, Watched] = {}
        self._checked = clock()
        self._ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN or _has_terminal()
        self.on_startup(self._set_signals)
        self.on_startup(threading.Thread(target=self._watch_workers, name="supervisor", daemon=True).start)

    def _set_signals(self) -> None:
        """Add to the signals of granian: SIGTERM and SIGINT stop the server, SIGHUP replaces the workers one by one."""
        for signal_number in IGNORED:
            if signal_number != signal.SIGHUP or self._ignores_hangup:
                signal.signal(signal_number, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, self.signal_handler_interrupt)

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:  # type: ignore[override]
        reading, writing = multiprocessing.Pipe(duplex=False)
        worker = super()._spawn_worker(idx, target, partial(callback_loader, writing, os.getpid()))
        worker.is_alive = partial(is_running, worker)  # type: ignore[method-assign]
        self._watched[worker] = Watched(worker, reading, self._clock())
        return worker

    def _watch_workers(self) -> None:
        while not self.interrupt_signal:
            time.sleep(CHECK_S)
            with suppress(Exception):
                self.check_workers()

    def check_workers(self) -> None:
        """Kill the workers without a heartbeat for too long, so that granian respawns them."""
        now = self._clock()
        was_absent, self._checked = now - self._checked > ABSENT_S, now
        for worker, watched in list(self._watched.items()):
            if watched.has_beaten() or was_absent:
                watched.last_beat = now
            elif worker not in self.wrks and now - watched.last_beat > CHECK_S * 2:
                del self._watched[worker]  # it was replaced and has ended
            elif now - watched.last_beat > self._worker_timeout_s:
                watched.last_beat = now
                self._replace(worker)

    def _replace(self, worker: Any) -> None:
        log.error("worker.unresponsive", pid=worker.inner.pid, seconds=self._worker_timeout_s)
        if worker.inner.is_alive():
            worker.inner.kill()  # after `worker.kill`, granian would not respawn it
        else:  # granian lost its end while it respawned another one
            self.interrupt_children.append(worker.idx)
            self.main_loop_interrupt.set()

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop, without a failure if a signal to the whole process group ended workers before their parent."""
        try:
            super().shutdown(exit_code)  # type: ignore[no-untyped-call]
        except SystemExit:
            if not self.interrupt_signal:
                raise


def is_running(worker: Any) -> bool:
    """Return whether the process of a worker has not ended yet.

    Only one thread of this process learns of the end of a child from the kernel. It may be the one in which granian
    watches the worker, and for a moment `Process.is_alive` is still true in the others: granian would log that it kills
    a worker that refused to stop.
    """
    return not connection.wait([worker.inner.sentinel], timeout=0)


def _has_terminal() -> bool:
    """Return whether there is a terminal, which sends SIGHUP when it is closed."""
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        return True
    return False
