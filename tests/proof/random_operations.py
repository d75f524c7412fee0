"""Many clients, few courses, everything at once; then a database shell changes rows, too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

from .load import Load
from .report import Check
from .settled import settled
from .stage import IMPOSSIBLE, Stage

CLIENTS = 16
STEPS_BEFORE = 20


def prove(stage: Stage, seed: int, operations: int) -> tuple[dict[str, int], list[Check]]:
    """Nine tenths through the service alone, which must do without a conflict; the rest with a hand beside it."""
    with closing(Load(stage, seed, CLIENTS)) as load:
        for _ in range(STEPS_BEFORE):
            load.hand.step()  # while there are seats: later there is something to give up
        verified = _run_verified(stage, load, operations * 9 // 10)
        conflicts, unserved = stage.conflicts(), load.count("503")
        alone = [
            Check("503 responses", unserved),
            Check("responses lost", load.count("responses lost")),
            stage.waves().check(),
            Check("deadlocks and stale snapshots", sum(conflicts[kind] for kind in IMPOSSIBLE)),
            Check(
                "verify while clients use the service", sorted({each.name for each in verified if not each.holds}), []
            ),
            *stage.verified(),
        ]
        load.run(operations - operations * 9 // 10, with_hand=True)
        figures = {
            "operations": load.operations,
            "changes": len(load.union("claims")),
            "refused": len(load.union("refused")),
            "decided again": conflicts["Raced"],
            **stage.waves().figures(),
            "changes by hand": load.hand.changes,
        }
        beside = [
            Check("503 responses beside the hand", load.count("503") - unserved),
            Check("the hand changed something", load.hand.changes > 0, expected=True),
        ]
        return figures, [*alone, *beside, *settled(load), *stage.verified(promoting=True)]


def _run_verified(stage: Stage, load: Load, operations: int) -> list[Check]:
    """Run the operations with `verify` beside them, repeatedly."""
    found = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run, operations)
        while not wait([running], timeout=1).done:
            found += stage.verified()
        running.result()
    return found
