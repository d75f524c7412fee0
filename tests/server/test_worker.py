"""A worker process, apart from what only a running server shows."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from course_management.server.worker import exempt_from_collection


@pytest.fixture
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
def test_a_full_collection_does_not_look_at_the_objects_of_the_application() -> None:
    """Looking at them stops all requests of the process for a tenth of a second, several times per minute."""
    before = len(gc.get_objects())

    exempt_from_collection()

    assert len(gc.get_objects()) < before / 10
