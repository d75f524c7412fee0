"""The generated parts of the documentation are those that the code gives today."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from .generated import FILES, documents


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_generated_part_is_up_to_date(app: Flask, path: Path) -> None:
    assert path.read_text() == documents(app)[path], f"Run `make documents`, which writes {path.name}."


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_changed_line_is_written_again(app: Flask, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = documents(app)[path]
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda _: (
            text.replace("| students:read |", "| x |").replace("#PORT=", "#PORTS=").replace("| yes | set", "| no | set")
        ),
    )

    assert documents(app)[path] == text
