"""The parent process: granian's server, which starts workers and respawns those that die, and what it lacks.

Workers that do not respond are replaced, and every signal that operators' tools send does something sensible.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import granian
import structlog
from granian.server import mp

from ..config import ConfigurationError
from .worker import IGNORED

CHECK_S = 1.0
ABSENT_S = 5.0
"""A longer pause between two checks means that this process did not run: stopped, suspended, or short of memory. The
workers may not have run either, so all of them get their full time again."""

log = structlog.get_logger(__name__)


def check_granian() -> None:
    """Raise `ConfigurationError` unless granian has the private functions that are replaced here and in `worker`."""
    spawn = inspect.unwrap(getattr(mp.MPServer, "_spawn_wsgi_worker", None) or (lambda: None))
    is_hooked = "_wsgi_call_wrap" in spawn.__code__.co_names and hasattr(mp, "_wsgi_call_wrap")
    if granian.Granian is not mp.MPServer or not is_hooked or not hasattr(mp.MPServer, "_spawn_worker"):
        sentence = (
            f"granian {granian.__version__} lacks functions that course-management replaces. Install the locked "
            "packages with `pip install --require-hashes -r requirements.txt`."
        )
        raise ConfigurationError([sentence])


class Watched:
    """A worker, and when it last showed a sign of life."""

    def __init__(self, worker: Any, heartbeat: Connection, now: float) -> None:
        self.worker, self._heartbeat, self.seen = worker, heartbeat, now
        os.set_blocking(heartbeat.fileno(), False)

    def beats(self) -> bool:
        """Whether there was a sign of life since the last call."""
        with suppress(OSError):
            return bool(os.read(self._heartbeat.fileno(), 4096))
        return False


class Supervisor(mp.MPServer):
    """granian's server, which replaces workers without a sign of life for `worker_timeout_s` seconds."""

    def __init__(self, worker_timeout_s: float, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        super().__init__("", **options)
        self._worker_timeout_s, self._clock = worker_timeout_s, clock
        self._watched: dict[Any, Watched] = {}
        self._checked = clock()
        self._ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN or _has_terminal()
        self.on_startup(self._set_signals)
        self.on_startup(threading.Thread(target=self._watch_workers, name="supervisor", daemon=True).start)

    def _set_signals(self) -> None:
        """Extend granian's signals, which are: SIGTERM and SIGINT stop, SIGHUP replaces the workers one by one."""
        for number in IGNORED:
            if number != signal.SIGHUP or self._ignores_hangup:
                signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, self.signal_handler_interrupt)

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:  # type: ignore[override]
        reading, writing = multiprocessing.Pipe(duplex=False)
        worker = super()._spawn_worker(idx, target, partial(callback_loader, writing, os.getpid()))
        self._watched[worker] = Watched(worker, reading, self._clock())
        return worker

    def _watch_workers(self) -> None:
        while not self.interrupt_signal:
            time.sleep(CHECK_S)
            with suppress(Exception):
                self.check_workers()

    def check_workers(self) -> None:
        """Kill the workers that have shown no sign of life for too long: granian respawns them."""
        now = self._clock()
        was_absent, self._checked = now - self._checked > ABSENT_S, now
        for worker, watched in list(self._watched.items()):
            if watched.beats() or was_absent:
                watched.seen = now
            elif worker not in self.wrks and now - watched.seen > CHECK_S * 2:
                del self._watched[worker]  # it was replaced, and has ended
            elif now - watched.seen > self._worker_timeout_s:
                watched.seen = now
                self._replace(worker)

    def _replace(self, worker: Any) -> None:
        log.error("worker.unresponsive", pid=worker.inner.pid, seconds=self._worker_timeout_s)
        if worker.inner.is_alive():
            worker.inner.kill()  # not by `worker.kill`, after which granian would not respawn it
        else:  # its end was noticed while granian was busy with another one, and lost
            self.interrupt_children.append(worker.idx)
            self.main_loop_interrupt.set()

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop. When a signal to the whole group stopped workers before their parent, that is no failure."""
        try:
            super().shutdown(exit_code)  # type: ignore[no-untyped-call]
        except SystemExit:
            if not self.interrupt_signal:
                raise


def _has_terminal() -> bool:
    """Whether there is a terminal whose closing would send SIGHUP."""
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        return True
    return False
