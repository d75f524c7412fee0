"""The lock files, as pip itself resolves them in its hash mode: the oldest pip that is supported, and the newest."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.locks import LOCKS, stated
from .environments import OLDEST_PIP, clean, new


@pytest.fixture(scope="module")
def resolve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Lets a pip resolve a lock file for an empty environment, without installing anything."""

    @functools.cache
    def commands(pip: str) -> Path:
        return new(tmp_path_factory.mktemp("pip") / "venv", pip)

    def call(pip: str, lock: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - a fixed command
            [commands(pip) / "python", "-m", "pip", "install", "--dry-run", "--ignore-installed", "--require-hashes",
             "-r", lock, *options],
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
def test_pip_refuses_a_lock_without_a_package(
    resolve: Callable[..., subprocess.CompletedProcess[str]], pip: str, tmp_path: Path
) -> None:
    """The control: the same lock, broken."""
    lines = [line for line in stated(LOCKS["production"]) if not line.startswith("werkzeug==")]
    lock = tmp_path / "requirements.txt"
    lock.write_text("\n".join(lines))

    found = resolve(pip, lock)

    assert found.returncode != 0
    assert "--require-hashes" in found.stderr


def wheel(folder: Path, name: str, version: str, *required: str) -> Path:
    """Write a wheel that has only metadata."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    metadata = [
        f"Name: {name}",
        f"Version: {version}",
        "Provides-Extra: more",
        *(f"Requires-Dist: {r}" for r in required),
    ]
    files = {
        "METADATA": "\n".join(["Metadata-Version: 2.1", *metadata, ""]),
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(f"{name}-{version}.dist-info/{file}", content)
    return path


@pytest.mark.parametrize(("extra", "accepted"), [("", False), ("[more]", True)], ids=["without", "with"])
def test_the_oldest_pip_refuses_a_lock_without_an_extra_once_a_newer_version_is_published(
    resolve: Callable[..., subprocess.CompletedProcess[str]], extra: str, accepted: bool, tmp_path: Path
) -> None:
    """Why extras stay in the lock files: without them, the lock works until the package's next release."""
    locked = {f"base{extra}==1": wheel(tmp_path, "base", "1"), "user==1": wheel(tmp_path, "user", "1", "base[more]")}
    wheel(tmp_path, "base", "2")
    lock = tmp_path / "requirements.txt"
    hashes = {line: hashlib.sha256(path.read_bytes()).hexdigest() for line, path in locked.items()}
    lock.write_text("".join(f"{line} --hash=sha256:{digest}\n" for line, digest in hashes.items()))

    found = resolve(OLDEST_PIP, lock, "--no-index", "--find-links", tmp_path)

    assert (found.returncode == 0) is accepted, found.stderr
