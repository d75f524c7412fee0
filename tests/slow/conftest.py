"""What all slow tests have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

LEFT = "ignore:.*psycopg.Connection.*was deleted while still open:ResourceWarning"
"""A connection that is opened while its server is frozen may be left to the garbage collector, in a later test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let no slow test fail for what an earlier one has left."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings(LEFT))
