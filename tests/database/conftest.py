"""Fixtures of databases without the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from ..support.databases import Databases
from ..support.schemas import connect


@pytest.fixture
def empty(databases: Databases) -> Iterator[URL]:
    """Return a database without a table."""
    url = databases.empty()
    connect(url).connect().close()  # SQLite makes the file when it is first opened
    yield url
    databases.drop(url)
