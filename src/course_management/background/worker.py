"""The worker: a thread that waits for the lease, and while it holds it, does a step of each job in turn."""

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

from .. import database, metrics
from ..config import Settings
from ..maintenance import checks
from .backoff import Backoff
from .jobs import Job, JobRunner, all_jobs
from .lease import RENEW_S, TRY_S, Lease, lease_of

IDLE_S = 0.25
"""How long an idle leader sleeps before it checks again which jobs are due."""
LONGEST_REST_S = 0.25
"""Longest pause between two steps."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""Pauses before the next try while the database is unavailable."""
STOP_S = 3.0
"""How long an ending process waits for the current step, which a frozen database may block."""

log = structlog.get_logger(__name__)


class Worker:
    """Does the background work of one database while it is the leader, with its own connection."""

    def __init__(self, settings: Settings, jobs: Sequence[Job] | None = None, lease: Lease | None = None) -> None:
        self._app = database.app_with_one_connection(settings)
        self._jobs = [JobRunner(job) for job in (all_jobs(settings) if jobs is None else jobs)]
        self._lease = lease or lease_of(settings.database_url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="background", daemon=True)
        self._limit_s = settings.database_deadline_ms / 1000
        self._leads = False
        self._renew_at = 0.0
        self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)

    def start(self) -> None:
        """Start the thread. The end of the process stops it and returns the lease, if the step ends in time."""
        self._thread.start()
        metrics.watch("background_leader", lambda: self._leads and not self._backoff.failures)
        metrics.watch("database_unavailable", lambda: self._backoff.failures > 0)
        # Worker processes of `serve` do not run `atexit` functions. The last log lines are written after this.
        Finalize(None, self._finish, exitpriority=2)

    def stop(self) -> None:
        """Tell the thread to end after its current step, which is one transaction. Returns at once."""
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
        """Renew the lease, and do a step of each job that is due. Returns the seconds to wait before the next turn."""
        began = time.monotonic()
        try:
            if not self._is_leader():
                self._recovered()
                return TRY_S
            worked = [self._step(job) for job in self._jobs if not self._stopping.is_set()]
        except Exception as error:  # noqa: BLE001 - the thread must survive any error
            return self._failed(error)
        self._recovered()
        # Rest for as long as the step took: requests get the courses (and SQLite's one writer) half of the time.
        return min(time.monotonic() - began, LONGEST_REST_S) if any(worked) else IDLE_S

    def _step(self, job: JobRunner) -> bool:
        with database.time_limit(self._limit_s):
            return job.step()

    def _is_leader(self) -> bool:
        """Return whether this process holds the lease, after renewing it when that is due.

        The time is measured from before the last renewal, so a process that was frozen renews before its next step.
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
        """Log the reason once per outage. Returns the seconds to wait."""
        if not self._backoff.failures:
            reason = None
            if isinstance(error, SQLAlchemyError):
                with suppress(Exception), database.time_limit(self._limit_s):  # finding the reason may fail, too
                    reason = checks.not_ready() or database.operator_advice(error)  # never the text of the error
            log.warning("background.unavailable", kind=database.kind_of(error), reason=reason)
        return self._backoff.fail()

    def _recovered(self) -> None:
        if self._backoff.failures:
            self._backoff.reset()
            log.info("background.recovered")

    def _abandon(self) -> None:
        for job in self._jobs:
            job.end()

    def _end(self) -> None:
        self._abandon()
        with suppress(Exception), database.time_limit(self._limit_s):  # if that fails, the lease expires
            if self._leads:
                self._lease.release()
        with suppress(Exception):
            database.db.engine.dispose()
        log.info("background.stopped", pid=os.getpid())


def run_until_stopped(settings: Settings) -> None:
    """Do the background work in this process until SIGTERM or SIGINT; for `course-management worker`."""
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # new threads inherit the mask
    worker = Worker(settings)
    worker.start()
    signal.sigwait(stop)
