"""SIGKILL in the middle of load: of a worker, of the whole server, of PostgreSQL.

Every other kill comes while a wave with the changes of several requests is being sent (`observed.py`).
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import psutil

from ..support.databases import PostgreSQL
from ..support.grouping import MODE
from ..support.real_server import until
from .load import Load
from .observed import Observed, command
from .report import Check
from .settled import settled
from .stage import Stage

CLIENTS = 12
PAUSE_S = (0.05, 0.4)
"""From and to: how long there is load between recovery and the next kill."""
AIM_S = 5.0
"""How long a kill waits for a wave; then it comes without."""
LOOK_S = 0.0005
MANY = 20
"""Kills of a kind of which at least one must meet a wave."""


class Kind(NamedTuple):
    """A kind of kill."""

    kill: Callable[[], object]
    """Returns False if there is nothing to kill at this moment."""
    aim: Callable[[], Sequence[psutil.Process]]
    """Returns the processes to stop before it: so the wave is still being sent when it comes."""
    workers_live: bool = False
    """Whether only the connections of the workers are lost."""


def prove(stage: Stage, seed: int, kills: int) -> tuple[dict[str, Any], list[Check]]:
    """Kill processes of each kind; then check that every acknowledged change is there, once."""
    chance = random.Random(seed)  # noqa: S311 - when to kill
    observed = Observed(stage.folder / "waves")
    stage.serve(stage.url, command=command("serve"), **observed.settings)
    kinds = {
        "kills of a worker": Kind(lambda: kill_a_worker(stage), lambda: [_oldest_worker(stage)]),
        "kills of the server": Kind(lambda: _kill_the_server(stage), lambda: workers(stage)),
    }
    if postgresql := stage.postgresql:
        kinds["kills of PostgreSQL"] = Kind(lambda: _kill_postgresql(postgresql), postgresql.processes, True)
        kinds["kills of a backend of PostgreSQL"] = Kind(postgresql.kill_a_backend, postgresql.processes, True)

    repeated: dict[str, int] = {}
    in_waves: Counter[str] = Counter()

    def disturb(load: Load) -> None:
        until(lambda: all(client.done > 1 for client in load.clients), "load")
        for name, kind in kinds.items():
            before = load.count("requests to repeat")
            for index in range(kills):
                serving(stage)
                time.sleep(chance.uniform(*PAUSE_S))
                lost = observed.lost()
                in_a_wave = _kill(kind, stage, observed, aimed=index % 2 == 0)
                serving(stage)
                in_waves[name] += observed.lost() > lost if kind.workers_live else in_a_wave
            repeated[name] = load.count("requests to repeat") - before

    # A server whose PostgreSQL breaks away may have repeated a request itself; on SQLite only a client does.
    with closing(Load(stage, seed, CLIENTS, faults=stage.backend == "postgresql")) as load:
        load.run_during(lambda: disturb(load))
        waves = stage.waves()
        figures = {
            **{
                kind: f"{kills} ({count} requests repeated; {in_waves[kind]} in a wave of several changes)"
                for kind, count in repeated.items()
            },
            "operations": load.operations,
            "changes": len(load.union("claims")),
            **waves.figures(),
        }
        checks = [
            Check("kinds of kill that met no request", [kind for kind, count in repeated.items() if not count], []),
            Check(
                "kinds of kill that met no wave of several changes",
                [kind for kind in kinds if not in_waves[kind] and kills >= MANY and MODE != "off"],
                [],
            ),
            waves.check(),
            Check("503 without Retry-After", load.count("503 without Retry-After")),
        ]
        return figures, [*checks, *settled(load), *stage.verified(promoting=True)]


def _kill(kind: Kind, stage: Stage, observed: Observed, *, aimed: bool) -> bool:
    """Kill, and return whether a worker that is killed was sending a wave with the changes of several requests."""
    if aimed:
        with _stopped_in_a_wave(stage, observed, kind) as in_a_wave:
            if in_a_wave and kind.kill() is not False:
                return True
    until(lambda: kind.kill() is not False, "something to kill")
    return False


@contextmanager
def _stopped_in_a_wave(stage: Stage, observed: Observed, kind: Kind) -> Iterator[bool]:
    """Stop processes while a wave with the changes of several requests is sent; continue those that live afterwards.

    Yields False if there is no such wave for too long.
    """
    processes = kind.aim()
    senders = [worker.pid for worker in (workers(stage) if kind.workers_live else processes)]
    deadline = time.monotonic() + AIM_S
    while time.monotonic() < deadline:
        if observed.are_sending_changes(senders):
            _each(psutil.Process.suspend, processes)
            try:
                if observed.are_sending_changes(senders):
                    yield True
                    return
            finally:
                _each(psutil.Process.resume, processes)
        time.sleep(LOOK_S)
    yield False


def _each(act: Callable[[psutil.Process], None], processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            act(process)


def serving(stage: Stage) -> None:
    """Wait until the server has both workers, and they have their database."""
    until(lambda: len(workers(stage)) == int(stage.server.environment["WORKERS"]), "a new worker")
    until(lambda: is_ready(stage), "readiness")


def is_ready(stage: Stage) -> bool:
    with contextlib.suppress(OSError):
        return stage.server.ask("GET", "/readyz")[0] == 200
    return False


def workers(stage: Stage) -> list[psutil.Process]:
    """Return the worker processes of the server."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(stage.server.process.pid).children()
        return [each for each in children if each.status() != psutil.STATUS_ZOMBIE]
    return []


def kill_a_worker(stage: Stage) -> None:
    """Kill the oldest worker, because granian ends the server if a worker dies twice in 5.5 s."""
    victim = _oldest_worker(stage)
    victim.kill()
    until(lambda: victim not in workers(stage), "its end")


def _oldest_worker(stage: Stage) -> psutil.Process:
    return min(workers(stage), key=psutil.Process.create_time)


def _kill_the_server(stage: Stage) -> None:
    stage.server.kill()
    stage.server.start()


def _kill_postgresql(postgresql: PostgreSQL) -> None:
    postgresql.kill()
    postgresql.start()
