"""The job that deletes old rows of imports: a nightly import of a school has as many rows as it has enrollments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ..database.types import utcnow
from ..repositories import imports as repository
from ..services import imports as service


def purge(days: int) -> Iterator[object]:
    """Delete the rows that imports of more than so many days ago no longer need, some in each transaction."""
    for import_id in repository.ended_before(utcnow() - timedelta(days=days)):
        number: int | None = 0
        while number is not None:
            number = service.purge(import_id, number)
            yield number
