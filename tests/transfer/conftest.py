"""Fixtures of imports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from ..support.fixture_types import Sql
from ..support.importing import Import, importer


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Import:
    return importer(database, monkeypatch, tmp_path)


@pytest.fixture
def held(sql: Sql) -> Callable[[], list[tuple[str, str, str]]]:
    """Returns who is in which course, by their external ids, with the status."""
    return lambda: [
        tuple(row)
        for row in sql(
            "SELECT s.external_id, c.external_id, e.status FROM student_courses e JOIN students s ON s.id = student_id"
            " JOIN courses c ON c.id = course_id WHERE e.status IN ('enrolled', 'waitlisted') ORDER BY 1, 2"
        )
    ]
