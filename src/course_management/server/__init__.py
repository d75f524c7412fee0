"""The production server: granian, worker processes of a few threads each, stopped gracefully, respawned."""

from __future__ import annotations

import logging
import resource

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from ..config import Settings
from ..database import sqlite
from .receiving import MAX_RECEIVING
from .supervisor import Supervisor, check_granian
from .worker import make_worker

HEADER_BYTES = 72 * 1024
"""What granian reads of a header before it gives up. The app's own limits are narrower, and explained."""
OWN_FILES = 256
"""Open files of a worker besides its clients' connections: the database's, the log, what a library opens."""

# Granian's own lines go the way of all log lines; see `logs.configure`.
_LOGGING = {"handlers": {}, "formatters": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


def serve(settings: Settings) -> None:
    """Serve until SIGTERM, SIGINT or SIGQUIT, on `settings.host`, which must be an IP address."""
    check_granian()
    logging.getLogger("_granian").addFilter(lambda record: "spawning up to" not in record.msg)  # that is on purpose
    supervisor = Supervisor(
        settings.worker_timeout_s,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=MAX_RECEIVING + 2,  # as many as may wait for a body, and those that come by
        backpressure=_possible(settings.connections),
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
    )
    if settings.database_url.get_backend_name() == "sqlite":
        sqlite.name_for_workers(str(settings.database_url.database))
    # granian's own loader imports from the working directory first, and so any file that is called like a module.
    supervisor.serve(target_loader=make_worker, wrap_loader=False)


def _possible(connections: int) -> int:
    """Return how many of these connections the limit on open files allows, after raising it as far as possible.

    Without a free descriptor, granian would try to accept the next connection without a pause.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OWN_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return max(1, wanted - OWN_FILES)
