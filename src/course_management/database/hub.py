"""The hub of a group: runs the requests of one thread in turns, and sends their statements in waves.

A request is a member of the group (`groups.Member`). It runs until it waits for a statement, for the end of a pause, or
to be alone. When all of them wait, the hub sends the statements that may travel together (`waves.py`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from . import waves
from .groups import Call, Member, Pause, Wish
from .waves import OnWave

log = structlog.get_logger(__name__)


def _ignore(*_: object) -> None:
    pass


def run(works: Sequence[Callable[[], object]], on_wave: OnWave = _ignore) -> None:
    """Run each of these functions to its end, as members of one group; a single one without a group."""
    if len(works) == 1:
        works[0]()
    else:
        Hub(on_wave).run(works)


class Hub:
    """The members that wait, and what for. Runs in the thread that runs the members."""

    def __init__(self, on_wave: OnWave = _ignore) -> None:
        self._on_wave = on_wave
        self._calls: dict[Call, Member] = {}
        """For the next wave."""
        self._pauses: list[tuple[float, Member]] = []
        self._lone = deque[tuple[Member, Call | None]]()
        """Those that have the thread to themselves next: some for one statement, which must be executed singly."""

    def run(self, works: Sequence[Callable[[], object]]) -> None:
        """Run the functions as members until each has ended."""
        for work in works:
            self._resume(Member(work))
        while self._calls or self._lone or self._pauses:
            if self._calls:
                self._send()
            elif self._lone:
                running, lone_call = self._lone.popleft()
                if lone_call:
                    waves.execute_singly(lone_call)
                self._resume(running)
            else:
                time.sleep(max(0.0, min(until for until, _ in self._pauses) - time.monotonic()))
            self._end_pauses()

    def _send(self) -> None:
        """Send the statements, and resume each member whose statement is done."""
        calls, self._calls = self._calls, {}
        try:
            for call in waves.send_all([*calls], self._on_wave):
                running = calls.pop(call)
                if call.is_done:
                    self._resume(running)
                else:
                    self._lone.append((running, call))
        except BaseException as error:  # noqa: BLE001 - a fault in the code of waves; no request may be left waiting
            for call, running in calls.items():
                call.error = error
                self._resume(running)

    def _end_pauses(self) -> None:
        if self._pauses:
            now = time.monotonic()
            over = [running for until, running in self._pauses if until <= now]
            self._pauses = [(until, running) for until, running in self._pauses if until > now]
            for running in over:
                self._resume(running)

    def _resume(self, running: Member) -> None:
        try:
            wish: Wish = running.switch()
        except BaseException as error:  # noqa: BLE001 - not even SystemExit may end the other requests
            log.error("group.request_failed", error=type(error).__name__)  # noqa: TRY400 - the text may be personal
            return
        if running.dead:
            return
        if isinstance(wish, Call):
            self._calls[wish] = running
        elif isinstance(wish, Pause):
            self._pauses.append((wish.until, running))
        else:
            self._lone.append((running, None))
