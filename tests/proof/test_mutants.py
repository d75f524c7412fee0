"""The table of mutants follows the code; `tests/slow/test_proof.py` runs one of them."""

from __future__ import annotations

import pytest

from .mutants import MUTANTS, edited


@pytest.mark.parametrize("name", MUTANTS)
def test_each_guard_is_where_the_table_of_mutants_says(name: str) -> None:
    mutant = MUTANTS[name]

    assert mutant.statements or edited(mutant)
