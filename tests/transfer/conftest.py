"""Fixtures of imports."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from ..support.importing import Import, importer


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Import:
    return importer(database, monkeypatch, tmp_path)
