"""Many clients, few courses, everything at once; then somebody with a database shell joins in."""

from __future__ import annotations

from contextlib import closing

from .load import Load
from .report import Check
from .settled import settled
from .stage import IMPOSSIBLE, Stage

CLIENTS = 8


def prove(stage: Stage, seed: int, operations: int) -> tuple[dict[str, int], list[Check]]:
    """Nine tenths through the service alone, which must do without a conflict; the rest with a hand beside it."""
    with closing(Load(stage, seed, CLIENTS)) as load:
        load.run(operations * 9 // 10)
        conflicts, unserved = stage.conflicts(), load.count("503")
        alone = [
            Check("requests answered 503", unserved),
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
        beside = Check("requests answered 503 beside the hand", load.count("503") - unserved)
        return figures, [*alone, beside, *settled(load), *stage.verified(promoting=True)]
