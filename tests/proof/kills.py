"""SIGKILL in the middle of load: of a worker, of the whole server, of PostgreSQL."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psutil

from ..support.real_server import until
from .load import Load
from .report import Check
from .settled import settled
from .stage import Stage

CLIENTS = 10
PAUSE_S = (0.05, 0.4)
"""From and to: how long there is load between recovery and the next kill."""


def prove(stage: Stage, seed: int, kills: int) -> tuple[dict[str, Any], list[Check]]:
    """Kill processes of each kind; then check that every acknowledged change is there, once."""
    chance = random.Random(seed)  # noqa: S311 - when to kill
    kinds: dict[str, Callable[[], None]] = {
        "kills of a worker": lambda: kill_a_worker(stage),
        "kills of the server": lambda: _kill_the_server(stage),
    }
    if stage.postgresql:
        kinds["kills of PostgreSQL"] = lambda: _kill_postgresql(stage)
        kinds["kills of a backend of PostgreSQL"] = lambda: _kill_a_backend(stage)

    met: dict[str, int] = {}

    def disturb(load: Load) -> None:
        until(lambda: all(client.done > 1 for client in load.clients), "load")
        for kind, kill in kinds.items():
            before = load.count("requests to repeat")
            for _ in range(kills):
                serving(stage)
                time.sleep(chance.uniform(*PAUSE_S))
                kill()
            serving(stage)
            met[kind] = load.count("requests to repeat") - before

    # A server whose PostgreSQL breaks away may have repeated a request itself; on SQLite only a client does.
    with closing(Load(stage, seed, CLIENTS, faults=stage.backend == "postgresql")) as load:
        load.run_during(lambda: disturb(load))
        figures = {
            **{kind: f"{kills} ({repeated} requests repeated)" for kind, repeated in met.items()},
            "operations": load.operations,
            "changes": len(load.union("claims")),
            "waves": stage.waves(),
        }
        checks = [
            Check("kinds of kill that met no request", [kind for kind, repeated in met.items() if not repeated], []),
            Check("waves were sent", stage.waves() > 0, expected=True),
            Check("503 without Retry-After", load.count("503 without Retry-After")),
        ]
        return figures, [*checks, *settled(load), *stage.verified(promoting=True)]


def serving(stage: Stage) -> None:
    """Wait until the server has both workers, and they have their database."""
    until(lambda: len(_workers(stage)) == int(stage.server.environment["WORKERS"]), "a new worker")
    until(lambda: is_ready(stage), "readiness")


def is_ready(stage: Stage) -> bool:
    with contextlib.suppress(OSError):
        return stage.server.ask("GET", "/readyz")[0] == 200
    return False


def _workers(stage: Stage) -> list[psutil.Process]:
    """Return the worker processes."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(stage.server.process.pid).children()
        return [each for each in children if each.status() != psutil.STATUS_ZOMBIE]
    return []


def kill_a_worker(stage: Stage) -> None:
    """Kill the oldest worker, because granian ends the server if a worker dies twice in 5.5 s."""
    victim = min(_workers(stage), key=psutil.Process.create_time)
    victim.kill()
    until(lambda: victim not in _workers(stage), "its end")


def _kill_the_server(stage: Stage) -> None:
    stage.server.kill()
    stage.server.start()


def _kill_postgresql(stage: Stage) -> None:
    assert stage.postgresql
    stage.postgresql.kill()
    stage.postgresql.start()


def _kill_a_backend(stage: Stage) -> None:
    assert stage.postgresql
    until(stage.postgresql.kill_a_backend, "a backend to kill")
