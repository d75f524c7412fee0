"""The wheel of a commit is the same to the byte wherever it is built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import release.__main__ as release


def test_two_builds_of_a_commit_are_the_same(tmp_path: Path) -> None:
    wheel = release.build_twice(Path(sys.executable), "HEAD", tmp_path)

    assert wheel.stat().st_size > 100_000


def test_a_difference_between_two_builds_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = release.build_wheel

    def build_with_the_folder(python: Path, source: Path, target: Path, umask: int) -> Path:
        (source / "src" / "course_management" / "built_in.txt").write_text(str(source))
        return build(python, source, target, umask)

    monkeypatch.setattr(release, "build_wheel", build_with_the_folder)

    with pytest.raises(release.NotReproducible):
        release.build_twice(Path(sys.executable), "HEAD", tmp_path)
