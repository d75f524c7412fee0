"""A small size of the proof's part with random faults; `make proof` runs it for ten minutes."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from ..proof.parts import PARTS, run
from ..proof.stage import Ground

SEED = 20261126


def test_random_faults_outside_of_the_service_lose_nothing_and_let_no_request_hang(backend: str) -> None:
    with tempfile.TemporaryDirectory(prefix="proof-") as folder, closing(Ground(Path(folder), backend)) as ground:
        outcome = run("random faults", ground, SEED, PARTS["random faults"].small)

    assert outcome.broken == []
    assert outcome.checks
