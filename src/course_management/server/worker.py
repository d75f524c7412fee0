"""A worker process: its application, its signals, its signs of life, and its end when the parent is gone."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import structlog
from flask import Flask
from granian.server import mp

from .. import background, create_app
from ..api import errors
from ..config import Settings
from ..log_output import drain_all
from . import slow_clients
from .receiving import Receiver
from .request_queue import RequestQueue
from .responding import Application

SWITCH_INTERVAL_S = 0.05
HEARTBEAT_S = 0.5
STUCK_S, STUCK_DEADLINES = 60.0, 10
"""A worker is hung when all its threads have been in the same requests for a minute, or ten times the deadline of
database work if that is longer. Every call of a request ends much sooner, so this is a fault."""
FRAMES = 8
IGNORED = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTOU)
"""Signals for the parent, which also reach its workers when they are sent to the whole group. A terminal sends SIGTTOU
to a background job that writes to it, and that would stop the process."""

_at_stop: list[Callable[[], None]] = []
"""What a worker process calls as soon as it is told to stop."""

log = structlog.get_logger(__name__)


def make_worker(heartbeat: Connection, parent: int) -> Flask:
    """Make the application of this worker. `parent` is the process id that `os.getppid` returns while it lives.

    granian's worker sleeps in its main thread and counts on the signal to wake it. But the signal may come to any
    thread, or before granian has set its handler, and then nothing happens: the parent waits for STOP_TIMEOUT_S and
    kills the worker, with the requests it has begun. So one thread does nothing but wait for the signal.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the parent's handler any more; granian sets its own
    # In every thread, because all are made by this one. Ctrl-C reaches all processes of the terminal: the parent acts.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_pass_on_stop, name="signals", daemon=True).start()
    # Under load, hundreds of threads may wait for the interpreter, and each wakes once an interval to ask for it. Those
    # that work release it many times per request: whenever they wait for the database.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settings = Settings.load()
    app = create_app()
    app.extensions["gate"].start()
    application = Application(app, "/healthz", "/readyz", errors.problem_response, errors.as_problem)
    receiver = Receiver(application, settings)
    # What granian calls with each request, and with the object that takes the response. There is no public way to
    # replace it, so the version is pinned, and `supervisor.check_granian` fails when this function is missing.
    mp._wsgi_call_wrap = lambda *_: receiver.receive  # type: ignore[attr-defined]  # noqa: SLF001
    slow_clients.watch(settings.port, settings.client_timeout_s)
    if worker := background.start(settings):
        _at_stop.append(worker.stop)
    life = Life(receiver.queue, heartbeat, parent, settings)
    threading.Thread(target=life.run, name="heartbeat", daemon=True).start()
    return app


def _pass_on_stop() -> None:
    while True:
        signal.sigwait({signal.SIGTERM})
        for call in _at_stop:
            with suppress(Exception):
                call()
        handler = signal.getsignal(signal.SIGTERM)
        if not callable(handler):  # granian has not begun to serve
            drain_all()
            os._exit(0)
        handler(signal.SIGTERM, None)


class Life:
    """Shows the parent that this worker does its work, and ends the worker when there is no parent any more."""

    def __init__(self, queue: RequestQueue, heartbeat: Connection, parent: int, settings: Settings) -> None:
        self._queue, self._heartbeat, self._parent = queue, heartbeat.fileno(), parent
        self._connection = heartbeat  # keeps the descriptor open
        self._stop_timeout_s = settings.stop_timeout_s
        self._stuck_limit_s = max(STUCK_S, STUCK_DEADLINES * settings.database_deadline_ms / 1000)
        self._is_stuck = False

    def run(self) -> None:
        """Show signs of life until the end of the process."""
        os.set_blocking(self._heartbeat, False)
        while True:
            with suppress(Exception):
                self.beat()
            time.sleep(HEARTBEAT_S)

    def beat(self) -> None:
        """Show a sign of life, unless every request thread is stuck: then the parent replaces this worker."""
        if os.getppid() != self._parent:
            self._end()
        if self._queue.stuck_s() < self._stuck_limit_s:
            self._is_stuck = False
            with suppress(BlockingIOError):  # the parent has stopped, and finds enough signs when it goes on
                os.write(self._heartbeat, b".")
        elif not self._is_stuck:
            self._is_stuck = True
            log.error("worker.stuck", seconds=round(self._queue.stuck_s()), frames=_frames())

    def _end(self) -> None:
        """Stop as on SIGTERM: requests under way are finished, for STOP_TIMEOUT_S at most."""
        log.error("worker.orphaned", parent=self._parent)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._stop_timeout_s)
        log.error("worker.killed", reason="requests under way did not end")
        drain_all()
        logging.shutdown()
        os._exit(1)


def _frames() -> dict[str, list[str]]:
    """Where the request threads are, innermost call last. Places only: values may be personal."""
    names = {thread.ident: thread.name for thread in threading.enumerate() if thread.name.startswith("request-")}
    return {
        names[ident]: [
            f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_stack(frame)[-FRAMES:]
        ]
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented, in spite of its name
        if ident in names
    }
