"""Bursts of requests for as long as is asked for: nothing is lost in the long run, and no worker grows.

The time limits of the server are long, because this is about its state after many requests, and not about their time.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from ..support.real_server import MIB, PATIENT
from .kills import workers
from .load import Load
from .report import Check
from .settled import settled
from .stage import IMPOSSIBLE, Stage

CLIENTS = 16
STEPS = 4
"""Operations per client and burst: at its beginning, all clients send a request at the same moment."""
PAUSE_S = 1.0
WARM_UP = 0.1
"""Share of the time after which the memory of the workers is read for the first time."""
GROWTH = 1.1


def prove(stage: Stage, seed: int, seconds: int) -> tuple[dict[str, Any], list[Check]]:
    """Let the clients work in bursts for so many seconds."""
    stage.serve(stage.url, **PATIENT)
    with closing(Load(stage, seed, CLIENTS)) as load:
        _run(load, seconds * WARM_UP)
        before = _memory(stage)
        _run(load, seconds * (1 - WARM_UP))
        after = _memory(stage)
        waves, conflicts = stage.waves(), stage.conflicts()
        figures = {
            "operations": load.operations,
            "changes": len(load.union("claims")),
            **waves.figures(),
            "MiB of each worker, first": " and ".join(map(str, before.values())),
            "last": " and ".join(map(str, after.values())),
        }
        checks = [
            waves.check(),
            Check("503 responses", load.count("503")),
            Check("responses lost", load.count("responses lost")),
            Check("deadlocks and stale snapshots", sum(conflicts[kind] for kind in IMPOSSIBLE)),
            Check("workers that did not live to the end", sorted(before.keys() - after.keys()), []),
            Check(
                "workers that grew by more than a tenth",
                [mib for pid, mib in after.items() if mib > before.get(pid, mib) * GROWTH],
                [],
            ),
            *settled(load),
            *stage.verified(promoting=True),
        ]
        return figures, checks


def _run(load: Load, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        load.run(CLIENTS * STEPS)
        time.sleep(PAUSE_S)


def _memory(stage: Stage) -> dict[int, int]:
    """Return the resident memory of each worker in MiB."""
    return {worker.pid: worker.memory_info().rss // MIB for worker in workers(stage)}
