"""The lock files, as pip itself resolves them in its hash mode: the oldest pip that is supported, and the newest."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ..locks import LOCKS
from .environments import OLDEST_PIP, clean, new


@pytest.fixture(scope="module")
def resolve(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], subprocess.CompletedProcess[str]]:
    """Lets a pip resolve a lock file for an empty environment, without installing anything."""

    @functools.cache
    def commands(pip: str) -> Path:
        return new(tmp_path_factory.mktemp("pip") / "venv", pip)

    def call(pip: str, lock: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [commands(pip) / "python", "-m", "pip", "install", "--dry-run", "--ignore-installed", "--require-hashes",
             "-r", lock],
            env=clean(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    return call


@pytest.mark.parametrize("pip", [OLDEST_PIP, "pip"], ids=["oldest", "newest"])
@pytest.mark.parametrize("name", LOCKS)
def test_pip_installs_from_each_lock(
    resolve: Callable[..., subprocess.CompletedProcess[str]], pip: str, name: str
) -> None:
    found = resolve(pip, LOCKS[name])

    assert found.returncode == 0, found.stderr
    assert "Would install" in found.stdout


@pytest.mark.parametrize("pip", [OLDEST_PIP, "pip"], ids=["oldest", "newest"])
def test_pip_refuses_a_lock_without_an_extra(
    resolve: Callable[..., subprocess.CompletedProcess[str]], pip: str, tmp_path: Path
) -> None:
    """The control: what the tests of the lock files look for is what pip refuses."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(LOCKS["development"].read_text().replace("coverage[toml]==", "coverage=="))

    found = resolve(pip, lock)

    assert found.returncode != 0
    assert "coverage" in found.stderr
