"""Commands in this process, on the database of the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL

from course_management import cli


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command; its result."""
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    return lambda *arguments, **more: CliRunner().invoke(cli.cli, [str(each) for each in arguments], **more)
