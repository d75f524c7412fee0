"""A reader who follows the pages of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .reader import Make, readers


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Make]:
    """Make a reader in a folder of the test's own; everything it starts ends with the test."""
    with readers(tmp_path) as make:
        yield make
