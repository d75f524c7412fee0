"""The context of one piece of work: its request id, start, caller and deadline.

A hook (`http.hooks.begin_request`) makes one for each request. Services take it as `context`; the log and the database
read it as `current`. Background jobs and scripts make one of their own where they need one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Protocol


class HasActor(Protocol):
    """The part of a caller that services use."""

    @property
    def actor(self) -> str:
        """The name of the caller in the ledger."""


@dataclass(frozen=True, slots=True)
class NamedActor:
    """An actor that is neither a service nor a person: a script, a job, or a caller without credentials."""

    actor: str


ANONYMOUS = NamedActor("anonymous")


@dataclass(slots=True)
class RequestContext:
    """What is known of a request from its first moment on."""

    request_id: str | None = None
    traceparent: str | None = None
    """The position in a distributed trace, as W3C Trace Context writes it; only the log uses it."""
    caller: HasActor = ANONYMOUS
    """A service or a person after authentication; `ANONYMOUS` in protected mode and for public routes."""
    deadline: float | None = None
    """When the database work must be done, on the clock of `time.monotonic`; None: no time limit, as for commands."""
    time_zone: tzinfo = UTC
    """The time zone of the school, in which its days begin and end."""
    started: float = field(default_factory=time.perf_counter)
    is_retrying: bool = False
    """Whether a transaction is being tried, so that one inside of it leaves trying again to it."""


current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)
"""The context of the work that this thread does; None outside of requests."""


@contextmanager
def use(context: RequestContext) -> Iterator[RequestContext]:
    """Make `context` the current one for a block."""
    token = current.set(context)
    try:
        yield context
    finally:
        current.reset(token)
