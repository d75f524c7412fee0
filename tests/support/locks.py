"""Lock files as pip reads them in its hash mode, and what it would refuse in one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .databases import ROOT

REFERENCE = ROOT / "benchmarks" / "reference"
LOCKS = {
    "production": ROOT / "requirements.txt",
    "development": ROOT / "requirements-dev.txt",
    "reference": REFERENCE / "requirements.txt",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def stated(path: Path) -> list[str]:
    """Return the requirements of a file, each on one line with its hashes."""
    joined = path.read_text().replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def asked_for(name: str) -> list[Requirement]:
    """Return what a lock was made from: the dependencies that the project's files name."""
    if name == "reference":
        return [Requirement(line) for line in stated(REFERENCE / "requirements.in")]
    project = PROJECT["project"]
    development = project["optional-dependencies"]["dev"] if name == "development" else []
    building = PROJECT["build-system"]["requires"]
    lines = [*project["dependencies"], *development, *building, *stated(ROOT / "requirements.in")]
    return [Requirement(line) for line in lines]


class Lock:
    """One lock file; `pins` are its requirements by their canonical names."""

    def __init__(self, lines: list[str]) -> None:
        self.pins: dict[str, Requirement] = {}
        self.problems: list[str] = []
        self.examined = 0
        for line in lines:
            text, *hashes = re.split(r"\s+--hash=", line)
            pin = Requirement(text)
            self.pins[canonicalize_name(pin.name)] = pin
            if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes):
                self.problems.append(f"{pin.name} has no hash")
            if [each.operator for each in pin.specifier] != ["=="]:
                self.problems.append(f"{pin.name} is not pinned")

    def check(self, roots: list[Requirement]) -> list[str]:
        """Return what is missing for `roots` and for all that the installed ones of the locked packages require."""
        for root in roots:
            self._check(root, "the project")
        for pin in self.pins.values():
            for required in _required_by(pin):
                self._check(required, pin.name)
        return self.problems

    def _check(self, required: Requirement, by: str) -> None:
        pin = self.pins.get(canonicalize_name(required.name))
        self.examined += 1
        if pin is None:
            self.problems.append(f"{by} requires {required}, which is not locked")
            return
        if missing := required.extras - pin.extras:
            self.problems.append(f"{by} requires {required}, and {pin.name} is locked without [{', '.join(missing)}]")
        version = next(iter(pin.specifier)).version
        if not required.specifier.contains(version, prereleases=True):
            self.problems.append(f"{by} requires {required}, and {pin.name} is locked at {version}")


def _required_by(pin: Requirement) -> Iterator[Requirement]:
    """Yield what a locked package requires here, with the extras of its pin; nothing when it is not installed."""
    try:
        found = distribution(pin.name)
    except PackageNotFoundError:
        return
    if not pin.specifier.contains(found.version, prereleases=True):
        return
    for line in found.requires or []:
        required = Requirement(line)
        if not required.marker or any(required.marker.evaluate({"extra": extra}) for extra in ("", *pin.extras)):
            yield required
