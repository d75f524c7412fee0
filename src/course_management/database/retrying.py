"""Try a transaction again after errors that do not last."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import structlog
from flask import current_app
from sqlalchemy.exc import DBAPIError

from ..context import RequestContext, current, use
from .failures import TRY_AGAIN, Raced, kind_of

P = ParamSpec("P")
T = TypeVar("T")

MAX_RETRIES = 5

log = structlog.get_logger(__name__)


def retried(*, repeatable: bool) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function that is a whole transaction, so that it is tried again; see `retry`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return retry(lambda: function(*args, **kwargs), repeatable=repeatable)

        return call

    return decorate


def retry(work: Callable[[], T], *, repeatable: bool) -> T:
    """Do `work`, a whole transaction; try again after errors that do not last.

    After a serialization failure, deadlock, SQLITE_BUSY or `Raced`, try up to 5 times more, with jitter; after a lost
    connection once, and only if `repeatable`, since it may have been lost after the commit. There must be time for
    another try as long as the last one before the deadline of the context; otherwise the error is raised, which becomes
    HTTP 503. Inside another `retry`, only the outer one tries again.
    """
    context = current.get()
    if context is None:  # a script
        with use(RequestContext()):
            return retry(work, repeatable=repeatable)
    if context.is_retrying:
        return work()
    end = context.deadline or time.monotonic() + current_app.extensions["database_deadline"]
    context.is_retrying = True
    lost = tries = 0
    try:
        while True:
            started = time.monotonic()
            try:
                return work()
            except (DBAPIError, Raced) as error:
                tries += 1
                pause = random.uniform(0, 0.005 * 2**tries)  # noqa: S311 - jitter, no secret
                if isinstance(error, DBAPIError) and error.connection_invalidated:
                    lost += 1
                    helps = repeatable and lost == 1
                else:
                    helps = isinstance(error, Raced) or kind_of(error) in TRY_AGAIN
                now = time.monotonic()
                if not helps or tries > MAX_RETRIES or now + pause + (now - started) > end:
                    raise
                log.debug("database.retry", kind=kind_of(error), tries=tries)
                time.sleep(pause)
    finally:
        context.is_retrying = False
