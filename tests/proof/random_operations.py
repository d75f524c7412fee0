"""Many clients, few courses, everything at once; then somebody with a database shell joins in."""

from __future__ import annotations

from .load import Load
from .report import Check
from .settled import settled
from .stage import IMPOSSIBLE, Stage

CLIENTS = 8


def prove(stage: Stage, seed: int, operations: int) -> tuple[dict[str, int], list[Check]]:
    """Nine tenths through the service alone, which must do without a conflict; the rest with a hand beside it."""
    load = Load(stage, seed, CLIENTS)
    load.run(operations * 9 // 10)
    conflicts = stage.conflicts()
    alone = [
        Check("5xx", load.count("5xx")),
        Check("answers lost", load.count("answers lost")),
        Check("deadlocks and stale snapshots", sum(conflicts[kind] for kind in IMPOSSIBLE)),
        *stage.verified(),
    ]
    load.run(operations - operations * 9 // 10, with_hand=True)
    figures = {
        "operations": load.operations,
        "changes": len(load.union("claims")),
        "decided again": conflicts["Raced"],
        "refused": len(load.union("refused")),
    }
    return figures, [*alone, *settled(load), *stage.verified(promoting=True)]
