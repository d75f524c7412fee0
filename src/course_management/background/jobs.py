"""The list of jobs, and running one of them.

A job is a generator function: each `next` does one short step, which is one transaction, and the generator ends when
nothing is left to do. So a thread can renew its lease, stop, or turn to another job between any two steps.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings
from ..database import is_missing, is_unavailable, kind_of
from ..database.types import utcnow
from ..logs import frames_of
from .backoff import Backoff
from .import_rows import purge
from .promotion import PromotionJob
from .verification import verify_daily

LONGEST_PAUSE_S = 60.0
"""Longest pause of a job that keeps failing."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Work that may be due every `every_s` seconds; `steps` begins a run."""

    name: str
    steps: Callable[[], Iterator[object]]
    every_s: float


def all_jobs(settings: Settings) -> list[Job]:
    """Make the list of all jobs of a service. Each list has its own state: which work is postponed, and until when."""
    return [
        Job("promotion", PromotionJob(settings.time_zone).steps, every_s=1.0),
        Job("import_rows", functools.partial(purge, settings.import_report_days), every_s=86_400.0),
        Job("verification", functools.partial(verify_daily, settings, utcnow()), every_s=60.0),
    ]


class JobRunner:
    """One job of one worker: its current run, and when the next one begins."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._steps: Iterator[object] | None = None
        self._due_at = 0.0
        self._backoff = Backoff(job.every_s, LONGEST_PAUSE_S)

    def step(self) -> bool:
        """Do one step if the job is due. Returns whether a step was done.

        A job that fails pauses, longer each time, while the others continue. Raises only what concerns all jobs: the
        database is unavailable, or was not migrated.
        """
        if self._steps is None:
            if time.monotonic() < self._due_at:
                return False
            self._steps = self._job.steps()
        try:
            next(self._steps)
        except StopIteration:
            self._end_run(self._job.every_s)
            self._backoff.reset()
            return False
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and (is_unavailable(error) or is_missing(error)):
                self.end()
                raise
            self._failed(error)
            return False
        return True

    def end(self) -> None:
        """Abandon the current run; the next one finds the remaining work."""
        self._end_run(0.0)

    def _failed(self, error: Exception) -> None:
        self._end_run(self._backoff.fail())
        members = {"error": type(error).__name__, "kind": kind_of(error), "frames": frames_of(error)}
        log.error("background.job_failed", job=self._job.name, **members)

    def _end_run(self, pause_s: float) -> None:
        self._steps = None
        self._due_at = time.monotonic() + pause_s
