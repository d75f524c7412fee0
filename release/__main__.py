"""Build what is published from the present commit into `dist`, so that everybody can build the same again.

The wheel is built twice, in different folders and with different umasks, and must be the same to the byte. Beside it
are the locked requirements, a software bill of materials (CycloneDX) and the licenses of all packages as they are
installed with the wheel, and the SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
TOOLS = Path(sys.executable).parent
"""The folder of the tools of `release/requirements.txt`."""


class NotReproducible(Exception):
    """Two builds of one commit differ."""


def run(*command: str | Path, **environment: str) -> str:
    """Run a command in the checkout; return its output. Raises `CalledProcessError`."""
    done = subprocess.run(  # noqa: S603 - commands of this module
        list(map(str, command)), cwd=ROOT, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def checkout(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder, as git has them."""
    folder.mkdir(parents=True)
    archive = folder.with_suffix(".tar")
    run("git", "archive", f"--output={archive}", commit)
    run("tar", "--extract", f"--file={archive}", f"--directory={folder}")  # `tarfile` of Python 3.11.2 has no filters
    return folder


def build_wheel(python: Path, source: Path, target: Path, umask: int) -> Path:
    """Build the wheel of a checkout with the build backend that this Python has. Returns its path."""
    epoch = run("git", "log", "-1", "--format=%ct", "HEAD")
    before = os.umask(umask)
    try:
        run(
            python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir",
            "--wheel-dir", target, source, SOURCE_DATE_EPOCH=epoch,
        )  # fmt: skip
    finally:
        os.umask(before)
    (wheel,) = target.glob("*.whl")
    return wheel


def build_twice(python: Path, commit: str, folder: Path) -> Path:
    """Build the wheel of a commit twice. Raises `NotReproducible` if the results differ."""
    wheels = [
        build_wheel(python, checkout(commit, folder / name / "source"), folder / name / "wheel", umask)
        for name, umask in (("one", 0o022), ("another-folder", 0o077))
    ]
    if wheels[0].read_bytes() != wheels[1].read_bytes():
        raise NotReproducible(f"Two builds of {commit} differ: {wheels[0]} and {wheels[1]}.")
    return wheels[0]


def installed(folder: Path, wheel: Path | None = None) -> Path:
    """Install the locked requirements in a new environment, and the wheel; return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", "requirements.txt")
    if wheel:
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    return python


def main() -> None:
    """Make the release in `dist`."""
    if run("git", "status", "--porcelain"):
        print("Warning: uncommitted changes are not part of the release.", file=sys.stderr)
    commit = run("git", "rev-parse", "HEAD")
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = installed(folder / "environment")
        wheel = Path(shutil.copy(build_twice(python, commit, folder), DIST))
        installed(folder / "environment", wheel)
        stem = wheel.name.split("-py3")[0]
        shutil.copy(ROOT / "requirements.txt", DIST / f"{stem}-requirements.txt")
        run(
            TOOLS / "cyclonedx-py", "environment", "--output-reproducible", "--validate", "--pyproject",
            ROOT / "pyproject.toml", "--output-file", DIST / f"{stem}.cdx.json", python,
        )  # fmt: skip
        run(
            TOOLS / "pip-licenses", f"--python={python}", "--from=mixed", "--format=markdown", "--with-urls",
            "--with-system", f"--output-file={DIST / f'{stem}-licenses.md'}",
        )  # fmt: skip
    run(TOOLS / "twine", "check", "--strict", wheel)
    files = sorted(DIST.iterdir())
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (DIST / "SHA256SUMS").write_text(sums)
    print(f"Release of {commit} in dist:\n{sums}", end="")


if __name__ == "__main__":
    main()
