"""A worker process: its application, its signals, its heartbeat, and its end when the parent has ended."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection as PipeEnd
from typing import TYPE_CHECKING

import structlog

from .. import metrics
from ..config import Settings
from ..log_output import drain_all
from . import granian_internals, slow_clients
from .application import Application
from .receiving import Receiver
from .request_queue import RequestQueue

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SWITCH_INTERVAL_S = 0.05
HEARTBEAT_S = 0.5
STUCK_S, STUCK_DEADLINES = 60.0, 10
"""A worker hangs when all its threads have been busy with the same requests for a minute, or for ten times the time
limit of database work if that is longer. Every call of a request ends much sooner, so this is a fault."""
FRAMES = 8
IGNORED = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTOU)
"""Signals for the parent, which workers also get when they are sent to the process group. A terminal sends SIGTTOU to a
background job that writes to it, which would stop the process."""

log = structlog.get_logger(__name__)


def make_worker(
    make_application: Callable[[Settings], Application], heartbeat: PipeEnd, parent: int
) -> WSGIApplication:
    """Set this worker process up, and return its WSGI application. `parent` is the process id of the parent.

    granian's worker sleeps in its main thread until a signal wakes it. But the kernel may deliver the signal to another
    thread, or before granian has set its handler, and then nothing happens: the parent waits for STOP_TIMEOUT_S and
    kills the worker with its requests. So one thread does nothing but wait for the signal.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # instead of the inherited handler; granian sets its own
    # All threads inherit this mask. Ctrl-C is sent to all processes of the terminal; only the parent reacts to it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    for signal_number in IGNORED:
        signal.signal(signal_number, signal.SIG_IGN)
    at_stop: list[Callable[[], object]] = []
    threading.Thread(target=_wait_for_stop, args=(at_stop,), name="signals", daemon=True).start()
    # Under load, hundreds of threads may wait for the interpreter lock, and each requests it once per interval. The
    # threads of the application release it many times per request: whenever they wait for the database.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settings = Settings.load()
    application = make_application(settings)
    if application.on_stop:
        at_stop.append(application.on_stop)
    exempt_from_collection()
    receiver = Receiver(application, settings)
    granian_internals.call_with_requests(receiver.receive)
    metrics.watch("requests_waiting", receiver.queue.waiting)
    metrics.watch("request_threads", lambda: settings.threads)
    metrics.watch("request_threads_busy", receiver.queue.busy)
    slow_clients.watch(settings.port, settings.client_timeout_s)
    send_heartbeats = Heartbeat(receiver.queue, heartbeat, parent, settings).run
    threading.Thread(target=send_heartbeats, name="heartbeat", daemon=True).start()
    return application.wsgi


def exempt_from_collection() -> None:
    """Let the garbage collector ignore all objects that exist now: they live as long as the process.

    Otherwise each full collection looks at all 160,000 of them, and the process does nothing else for 70 ms. Groups
    make these collections frequent: the objects of sixteen requests outlive the collections of young objects. A look
    at an object also writes to it, so that workers would no longer share with their parent what it had imported.
    """
    gc.collect()
    gc.freeze()


def _wait_for_stop(at_stop: list[Callable[[], object]]) -> None:
    while True:
        signal.sigwait({signal.SIGTERM})
        for call in at_stop:
            with suppress(Exception):
                call()
        handler = signal.getsignal(signal.SIGTERM)
        if not callable(handler):  # granian does not serve yet
            drain_all()
            os._exit(0)
        handler(signal.SIGTERM, None)


class Heartbeat:
    """Tells the parent that this worker makes progress, and ends the worker when the parent has ended."""

    def __init__(self, queue: RequestQueue, pipe: PipeEnd, parent: int, settings: Settings) -> None:
        self._queue, self._pipe, self._parent = queue, pipe, parent
        self._stop_timeout_s = settings.stop_timeout_s
        self._stuck_limit_s = max(STUCK_S, STUCK_DEADLINES * settings.database_deadline_ms / 1000)
        self._is_stuck = False

    def run(self) -> None:
        """Send heartbeats until the end of the process."""
        os.set_blocking(self._pipe.fileno(), False)
        while True:
            with suppress(Exception):
                self.beat()
            time.sleep(HEARTBEAT_S)

    def beat(self) -> None:
        """Send a heartbeat, unless every request thread is stuck: then the parent replaces this worker."""
        if os.getppid() != self._parent:
            self._end()
        if self._queue.stuck_s() < self._stuck_limit_s:
            self._is_stuck = False
            with suppress(BlockingIOError):  # the parent is stopped, and the pipe is full of heartbeats
                os.write(self._pipe.fileno(), b".")
        elif not self._is_stuck:
            self._is_stuck = True
            log.error("worker.stuck", seconds=round(self._queue.stuck_s()), frames=_frames())

    def _end(self) -> None:
        """Stop as after SIGTERM: requests in progress get STOP_TIMEOUT_S to end."""
        log.error("worker.orphaned", parent=self._parent)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._stop_timeout_s)
        log.error("worker.killed", reason="requests in progress did not end")
        drain_all()
        logging.shutdown()
        os._exit(1)


def _frames() -> dict[str, list[str]]:
    """Return the calls of each request thread, innermost last. Only places in the code: values may be personal."""
    names = {thread.ident: thread.name for thread in threading.enumerate() if thread.name.startswith("request-")}
    return {
        names[ident]: [
            f"{entry.filename}:{entry.lineno} {entry.name}" for entry in traceback.extract_stack(frame)[-FRAMES:]
        ]
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - a documented function
        if ident in names
    }
