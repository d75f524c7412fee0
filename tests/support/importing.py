"""Import files by the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL

from course_management.cli import cli

Import = Callable[..., Result]


def importer(database: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Import:
    """Return a function that writes files, imports their folder with options, and applies the plan without `--plan`."""
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))

    def imports(files: Mapping[str, str], *options: str) -> Result:
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        ends = () if "--plan" in options else ("--apply",)
        return CliRunner().invoke(cli, ["import", str(folder), *options, *ends])

    return imports
