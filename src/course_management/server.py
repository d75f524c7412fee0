"""The production server: granian, worker processes of a few threads each, stopped gracefully, respawned."""

from __future__ import annotations

import os
import signal
import socket
import threading

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from . import create_app
from .config import ConfigurationError, Settings

STOP = {signal.SIGINT, signal.SIGTERM}

# Granian's own lines go the way of all log lines; see `logs.configure`.
_LOGGING = {"handlers": {}, "formatters": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` when the address cannot be had."""
    _check_address(settings)
    Granian(
        "course_management.server:make_worker",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=settings.threads,
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
    return create_app()


def _pass_on_stop() -> None:
    while True:
        number = signal.sigwait(STOP)
        handler = signal.getsignal(number)
        if not callable(handler):
            os._exit(0)  # granian has not begun to serve
        handler(number, None)


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
