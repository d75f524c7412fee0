"""The start of the production server, with the options of granian."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable
from functools import partial

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from ..config import Settings
from ..database import sqlite
from . import granian_internals
from .application import Application
from .receiving import MAX_RECEIVING
from .supervisor import Supervisor
from .worker import exempt_from_collection, make_worker

HEADER_BYTES = 72 * 1024
"""Bytes of a header that granian reads before it refuses it. The application has smaller limits, with explanations."""
OTHER_FILES = 256
"""Open files of a worker besides the connections of clients: database, log, files that libraries open."""

# Lines of granian are written like all log lines; see `logs.configure`.
_LOGGING = {"handlers": {}, "formatters": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


def serve(settings: Settings, make_application: Callable[[Settings], Application]) -> None:
    """Serve until SIGTERM, SIGINT or SIGQUIT on `settings.host`, which must be an IP address.

    `make_application` is called once in each worker process. Raises `ConfigurationError` if granian is another version.
    """
    granian_internals.check()
    # granian logs a warning about the number of threads, which is intended.
    logging.getLogger("_granian").addFilter(lambda record: "spawning up to" not in record.msg)
    supervisor = Supervisor(
        settings.worker_timeout_s,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=MAX_RECEIVING + 2,  # one for each body that may be awaited, and two for other requests
        backpressure=_limit_by_open_files(settings.connections),
        # An HTTP/2 connection may carry a hundred requests, and one that never says its protocol version has no time
        # limit. An HTTP/1.1 connection carries one request at a time, and the time for its header is limited.
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
    )
    if settings.database_url.get_backend_name() == "sqlite":
        sqlite.name_for_workers(str(settings.database_url.database))
    exempt_from_collection()  # also in the workers, which are forks of this process
    # The default loader of granian imports from the working directory first, also files that are named like a module.
    supervisor.serve(target_loader=partial(make_worker, make_application), wrap_loader=False)


def _limit_by_open_files(connections: int) -> int:
    """Return how many of these connections the limit on open files allows, after raising it as far as possible.

    Without a free descriptor, granian would retry to accept the next connection in a busy loop.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, wanted - OTHER_FILES)
