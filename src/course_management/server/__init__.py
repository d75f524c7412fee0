"""The production server: granian, worker processes of a few threads each, stopped gracefully, respawned."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import mp

from .. import background, create_app
from ..api import errors
from ..config import ConfigurationError, Settings
from . import silence
from .receiving import MAX_RECEIVING, Receiver
from .responding import Application

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

STOP = {signal.SIGINT, signal.SIGTERM}

SWITCH_INTERVAL_S = 0.05
HEADER_BYTES = 72 * 1024
"""What granian reads of a header before it gives up. The app's own limits are narrower, and explained."""
OWN_FILES = 256
"""Open files of a worker besides its clients' connections: the database's, the log, what a library opens."""

_at_stop: list[Callable[[], None]] = []
"""What a worker process calls as soon as it is told to stop."""

# Granian's own lines go the way of all log lines; see `logs.configure`.
_LOGGING = {"handlers": {}, "formatters": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` when the address cannot be had."""
    _check_address(settings)
    logging.getLogger("_granian").addFilter(lambda record: "spawning up to" not in record.msg)  # that is on purpose
    Granian(
        "course_management.server:make_worker",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=MAX_RECEIVING + 2,  # as many as may wait for a body, and those that come by
        backpressure=_room_for(settings.connections),
        # A connection of HTTP/2 may carry a hundred requests, and one that never says which version it speaks has no
        # time limit. With HTTP/1.1 a connection is one request at a time, and its header comes in time or not at all.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.client_timeout_s * 1000, max_buffer_size=HEADER_BYTES
        ),
        respawn_failed_workers=True,
        respawn_interval=1,
        workers_kill_timeout=settings.stop_timeout_s,
        websockets=False,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=_LOGGING,
    ).serve()


def make_worker() -> Flask:
    """Make the app of one worker process, which stops when it is told to.

    granian's worker sleeps in its main thread and counts on the signal to wake it. But the signal may come to any
    thread, or before granian has set its handler, and then nothing happens: the parent waits out its patience and
    kills the worker, with the requests it has begun. So one thread does nothing but wait for the signal.
    """
    for each in STOP:
        signal.signal(each, signal.SIG_DFL)  # not the parent's handler any more; granian sets its own
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # in every thread: all are made by this one
    threading.Thread(target=_pass_on_stop, daemon=True).start()
    # Under load, hundreds of threads may wait for the interpreter, and each wakes once an interval to ask for it. Those
    # who work let it go by themselves, many times a request: whenever they wait for the database.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settings = Settings.load()
    app = create_app()
    app.extensions["gate"].start()
    # What granian calls with each request, and with the object that takes the answer. There is no official way to take
    # its place; a test on the real server fails when this is one no more.
    mp._wsgi_call_wrap = lambda wsgi, *_: Receiver(_application(wsgi), settings).receive  # type: ignore[attr-defined]  # noqa: SLF001
    silence.watch(settings.port, 2 * settings.client_timeout_s)
    if worker := background.start(settings):
        _at_stop.append(worker.stop)
    return app


def _application(wsgi: WSGIApplication) -> Application:
    return Application(wsgi, "/healthz", "/readyz", errors.problem_response, errors.as_problem)


def _pass_on_stop() -> None:
    while True:
        number = signal.sigwait(STOP)
        for call in _at_stop:
            call()
        handler = signal.getsignal(number)
        if not callable(handler):
            os._exit(0)  # granian has not begun to serve
        handler(number, None)


def _room_for(connections: int) -> int:
    """As many of these connections as the system's limit on open files leaves room for; the limit is raised if it can.

    Without a free descriptor, granian would try to accept the next connection without a pause.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OWN_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return max(1, wanted - OWN_FILES)


def _check_address(settings: Settings) -> None:
    """Workers share the port, so a second server would silently take half of the requests."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigurationError(
            [f"HOST and PORT name {settings.host}:{settings.port}, which cannot be had: {error.strerror}."]
        ) from None
