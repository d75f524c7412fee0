"""The worker: a thread that holds the lease, or waits for it, and then does a step of each job in turn."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.util import Finalize

import structlog
from sqlalchemy.exc import SQLAlchemyError

from .. import checks, database
from ..config import Settings
from .jobs import Job, Running, all_jobs
from .lease import RENEW_S, TRY_S, Lease, lease_of

LOOK_S = 0.25
"""How long an idle leader sleeps at most before it looks which job is due, and whether it was stopped."""
LONGEST_REST_S = 0.25
"""Longest pause between two steps."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""How long to wait for a database that is unavailable before the next try: doubled each time."""
STOP_S = 3.0
"""How long the end of a process waits for the present step to end; a database that is frozen may hold it."""

log = structlog.get_logger(__name__)


class Worker:
    """Does the background work of one database while it is the leader, with one connection of its own."""

    def __init__(self, settings: Settings, jobs: Sequence[Job] | None = None, lease: Lease | None = None) -> None:
        self._app = database.app_with_one_connection(settings)
        self._jobs = [Running(job) for job in (all_jobs() if jobs is None else jobs)]
        self._lease = lease or lease_of(settings.database_url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="background", daemon=True)
        self._limit_s = settings.database_deadline_ms / 1000
        self._leads = False
        self._renew_at = 0.0
        self._failures = 0

    def start(self) -> None:
        """Start the thread. The end of the process stops it and gives the lease back, if its step ends in time."""
        self._thread.start()
        # Worker processes end without the functions of `atexit`. The last log lines are written after this.
        Finalize(None, self._finish, exitpriority=2)

    def stop(self) -> None:
        """Ask the thread to end after its present step, which is one transaction. Returns at once."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end. Returns whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _finish(self) -> None:
        self.stop()
        self.join(STOP_S)

    def run(self) -> None:
        """Work until `stop`. Never raises."""
        with self._app.app_context():
            while not self._stopping.is_set():
                self._stopping.wait(self._turn())
            self._end()

    def _turn(self) -> float:
        """Look after the lease, and do a step of each job that is due. Returns seconds to wait before the next turn."""
        began = time.monotonic()
        try:
            if not self._is_leader():
                self._recovered()
                return TRY_S
            worked = [self._step(job) for job in self._jobs if not self._stopping.is_set()]
        except Exception as error:  # noqa: BLE001 - whatever it was, the thread goes on
            return self._failed(error)
        self._recovered()
        # As long as the step took, others have the courses (and SQLite's one writer) to themselves.
        return min(time.monotonic() - began, LONGEST_REST_S) if any(worked) else LOOK_S

    def _step(self, job: Running) -> bool:
        with database.time_limit(self._limit_s):
            return job.step()

    def _is_leader(self) -> bool:
        """Whether this process holds the lease; renews it when that is due.

        By the clock of this process since before it asked: a process that was frozen renews before its next step.
        """
        now = time.monotonic()
        if self._leads and now < self._renew_at:
            return True
        with database.time_limit(self._limit_s):
            leads = self._lease.acquire()
        self._renew_at = now + RENEW_S
        if leads and not self._leads:
            log.info("background.leader", pid=os.getpid())
        elif self._leads and not leads:
            log.warning("background.leader_lost", pid=os.getpid())
            self._abandon()
        self._leads = leads
        return leads

    def _failed(self, error: Exception) -> float:
        """Say so once per outage. Returns how long to wait."""
        if not self._failures:
            reason = None
            with suppress(Exception), database.time_limit(self._limit_s):  # to look for the reason may fail as well
                reason = _reason(error)
            log.warning("background.unavailable", kind=database.kind_of(error), reason=reason)
        pause = min(FIRST_PAUSE_S * 2.0**self._failures, LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 10)
        return pause

    def _recovered(self) -> None:
        if self._failures:
            self._failures = 0
            log.info("background.recovered")

    def _abandon(self) -> None:
        for job in self._jobs:
            job.end()

    def _end(self) -> None:
        self._abandon()
        with suppress(Exception), database.time_limit(self._limit_s):  # else it expires
            if self._leads:
                self._lease.release()
        with suppress(Exception):
            database.db.engine.dispose()
        log.info("background.stopped", pid=os.getpid())


def _reason(error: Exception) -> str | None:
    """What an operator can do about it; never the text of the error."""
    if not isinstance(error, SQLAlchemyError):
        return None
    return checks.not_ready() or database.why(error)


def run_until_stopped(settings: Settings) -> None:
    """Do the background work in this process until SIGTERM or SIGINT; for `course-management worker`."""
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # in the thread as well: it begins with the mask of this one
    worker = Worker(settings)
    worker.start()
    signal.sigwait(stop)
