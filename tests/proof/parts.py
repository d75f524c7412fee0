"""The parts of the proof: what each runs on, and how large it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from . import (
    cuts,
    full_disk,
    kills,
    last_seats,
    model,
    poolers,
    random_faults,
    random_operations,
    rules,
    schedules,
    soak,
    wave_tests,
)
from .report import Check, Outcome
from .stage import Ground, Skipped

Found: TypeAlias = tuple[Mapping[str, Any], list[Check]]
BACKENDS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: `prove` takes the ground, the seed and the sizes, and returns its figures and checks."""

    prove: Callable[..., Found]
    full: Mapping[str, int]
    small: Mapping[str, int]
    databases: tuple[str, ...] = BACKENDS


def _staged(prove: Callable[..., Found], *, serving: bool = True) -> Callable[..., Found]:
    def on(ground: Ground, seed: int, **sizes: int) -> Found:
        with ground.stage(serving=serving) as stage:
            return prove(stage, seed, **sizes)

    return on


PARTS = {
    "last seats": Part(
        _staged(last_seats.prove), {"connections": 1000, "rounds": 20}, {"connections": 200, "rounds": 1}
    ),
    "random operations": Part(_staged(random_operations.prove), {"operations": 50_000}, {"operations": 500}),
    "model": Part(_staged(model.prove, serving=False), {"examples": 500, "steps": 40}, {"examples": 6, "steps": 15}),
    "rules": Part(_staged(rules.prove, serving=False), {"seconds": 60}, {"seconds": 10}),
    "schedules": Part(_staged(schedules.prove, serving=False), {"seconds": 60}, {"seconds": 10}),
    "schedule of one student": Part(_staged(schedules.one_student, serving=False), {"seconds": 20}, {"seconds": 5}),
    "kill": Part(_staged(kills.prove, serving=False), {"kills": 50}, {"kills": 2}),
    "cut": Part(_staged(cuts.prove, serving=False), {"cuts": 100}, {"cuts": 6}, databases=("postgresql",)),
    "cut of a wave": Part(
        _staged(cuts.prove_of_waves, serving=False), {"cuts": 100}, {"cuts": 6}, databases=("postgresql",)
    ),
    "pooler": Part(
        _staged(poolers.prove, serving=False), {"operations": 10_000}, {"operations": 500}, databases=("postgresql",)
    ),
    "tests of waves": Part(wave_tests.prove, {}, {}),
    "full disk": Part(full_disk.prove, {}, {}),
    "random faults": Part(_staged(random_faults.prove, serving=False), {"seconds": 600}, {"seconds": 8}),
    "soak": Part(_staged(soak.prove, serving=False), {"seconds": 120}, {"seconds": 10}),
}


def run(name: str, ground: Ground, seed: int, sizes: Mapping[str, int]) -> Outcome:
    """Run a part. A service that does not respond, or an error of the proof itself, is a check that does not hold."""
    outcome = Outcome(name, ground.backend, seed)
    started = time.monotonic()
    try:
        outcome.figures, outcome.checks = PARTS[name].prove(ground, seed, **sizes)
    except Skipped as why:
        outcome.skipped = str(why)
    except Exception as error:  # noqa: BLE001 - half an hour of other results is not lost for it
        outcome.checks = [Check("the part ran to its end", repr(error), "")]
    outcome.seconds = time.monotonic() - started
    return outcome
