"""New virtual environments and copies of the checkout, as on a new machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from course_management.config import Settings

from ..support.databases import ROOT

OLDEST_PIP = "pip==23.0.1"
"""What Debian 12 has, the oldest system whose Python is new enough."""
UNREACHABLE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
"""The environment of a machine whose package index is away."""


def clean(**changed: str) -> dict[str, str]:
    """Return this process's environment without the service's settings and without its virtual environment."""
    ours = {name.upper() for name in Settings.__dataclass_fields__} | {"VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS"}
    return {name: value for name, value in os.environ.items() if name not in ours} | changed


def without_index() -> dict[str, str]:
    """Return an environment in which pip finds no package anywhere."""
    return {name: value for name, value in clean().items() if not name.startswith("PIP_")} | UNREACHABLE


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command; return what it printed, or fail with that."""
    found = subprocess.run(  # noqa: S603 - the commands of the tests
        list(map(str, command)),
        cwd=cwd,
        env=env or clean(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert found.returncode == 0, f"{' '.join(map(str, command))} ended with {found.returncode}:\n{found.stdout}"
    return found.stdout


def new(folder: Path, pip: str) -> Path:
    """Create a virtual environment with this pip (`pip` alone: the newest); return its folder of commands."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--upgrade", pip, cwd=folder.parent)
    return folder / "bin"


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout with the locked build backend, without a package index."""
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT,
        cwd=folder, env=without_index(),
    )  # fmt: skip
    [wheel] = folder.glob("*.whl")
    return wheel


def copy_of_the_checkout(folder: Path) -> Path:
    """Copy the files that git knows or would add, as a fresh clone has them."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder
