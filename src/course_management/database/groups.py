"""Groups: several requests of one thread, whose statements travel to the database together.

Each request of a group is a *member*: a greenlet with a context of its own (`contextvars`) that runs the ordinary
application. Where it executes a statement that may travel with others (`travels`), it waits; once each member waits or
has ended, their statements are sent as one wave (`hub.py`, `waves.py`). So a wave pays one round trip and one commit.

Whatever else a member does with the database, it does `alone`: it waits until no wave can be sent, and then has the
thread to itself. No lock, `threading.local` or transaction may be held where a member waits.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from greenlet import getcurrent, greenlet
from sqlalchemy import Engine

from ..context import RequestContext, current
from .compile import AnyRow, Compiled


def _deadline() -> float | None:
    context = current.get()
    return context.deadline if context else None


@dataclass(slots=True, eq=False)
class Call:
    """A statement of one request, and what became of it."""

    engine: Engine
    compiled: Compiled
    values: list[Any]
    course_id: int
    """The course that it locks; 0 for a read."""
    deadline: float | None = field(default_factory=_deadline)
    rows: list[AnyRow] | None = None
    error: BaseException | None = None
    waves: int = 0
    """In how many waves it was sent."""

    @property
    def is_done(self) -> bool:
        """Whether it has rows or an error."""
        return self.rows is not None or self.error is not None

    def result(self) -> list[AnyRow]:
        """Return its rows, or raise its error."""
        if self.error is not None:
            raise self.error
        return self.rows or []

    def context(self) -> RequestContext:
        """Return a context in which the statement has the deadline of its request."""
        return RequestContext(deadline=self.deadline)


@dataclass(frozen=True, slots=True)
class Pause:
    """What a member that tries again later hands to its group: the end of the pause, by `time.monotonic`."""

    until: float


class Member(greenlet):
    """One request of a group. It starts with an empty context, as a thread does."""

    is_alone = False
    """Whether it has the thread to itself: it uses the database as a request without a group does."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(work)
        self.gr_context = contextvars.Context()


def member() -> Member | None:
    """Return the member that runs now, unless it is alone; None outside of groups."""
    running = getcurrent()
    return running if isinstance(running, Member) and not running.is_alone else None


@contextmanager
def alone() -> Iterator[None]:
    """Let a member of a group wait until no wave can be sent; then it has the thread to itself during the block."""
    running = member()
    if running is None:
        yield
        return
    _hand_over(running, None)
    running.is_alone = True
    try:
        yield
    finally:
        running.is_alone = False


def execute(running: Member, call: Call) -> Sequence[AnyRow]:
    """Execute a statement of a member in the next wave, and return its rows. Raises SQLAlchemy's errors."""
    _hand_over(running, call)
    return call.result()


def pause(seconds: float) -> None:
    """Sleep; in a member of a group, while the other members go on."""
    if running := member():
        _hand_over(running, Pause(time.monotonic() + seconds))
    else:
        time.sleep(seconds)


Wish: TypeAlias = Call | Pause | None
"""What a member waits for: a statement, the end of a pause, or to be alone."""


def _hand_over(running: Member, wish: Wish) -> None:
    parent = running.parent
    if parent is None or getcurrent() is not running:
        raise RuntimeError("only a running member can wait")
    parent.switch(wish)
