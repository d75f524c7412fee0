"""A small, seeded size of `make fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from ..access.issuer import running
from ..fuzz.run import CALLERS, Campus

EXAMPLES, SEED = 5, 1


@pytest.mark.parametrize("caller", CALLERS)
def test_nothing_is_found(caller: str, database: URL, tmp_path: Path) -> None:
    with running() as issuer:
        campus = Campus(tmp_path, database, issuer)
        try:
            assert campus.fuzz(caller, EXAMPLES, SEED, phases="examples,fuzzing") == ""
        finally:
            campus.server.end()
