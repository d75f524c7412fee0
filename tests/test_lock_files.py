"""The lock files: pip accepts every one of them in its hash mode. `tests/slow/test_lock_files.py` asks pip itself."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from .support.databases import ROOT
from .support.locks import LOCKS, PROJECT, Lock, asked_for, stated


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_all_that_its_packages_require_with_extras_and_hashes(name: str) -> None:
    lock = Lock(stated(LOCKS[name]))

    assert lock.check(asked_for(name)) == []
    assert lock.examined >= len(asked_for(name))


def test_what_the_locked_packages_require_is_known_where_they_are_installed() -> None:
    """Else the test above would only look at our own files."""
    lock = Lock(stated(LOCKS["development"]))
    lock.check([])

    assert lock.examined > len(lock.pins) / 2


@pytest.mark.parametrize(
    ("name", "extra", "by"),
    [
        ("development", "coverage[toml]", "pytest-cov"),
        ("development", "apispec[marshmallow]", "the project"),
        ("production", "psycopg[binary]", "the project"),
        ("reference", "uvicorn[standard]", "the project"),
    ],
)
def test_an_extra_that_is_missing_in_a_lock_is_found(name: str, extra: str, by: str) -> None:
    lines = [line.replace(f"{extra}==", f"{extra.split('[', maxsplit=1)[0]}==") for line in stated(LOCKS[name])]
    assert lines != stated(LOCKS[name])

    problems = Lock(lines).check(asked_for(name))

    assert [each for each in problems if each.startswith(f"{by} requires {extra}")], problems


def test_a_missing_hash_a_missing_pin_and_a_missing_package_are_found() -> None:
    lines = stated(LOCKS["development"])
    unhashed = [re.sub(r" --hash=.*", "", line) if line.startswith("flask==") else line for line in lines]
    unpinned = [line.replace("flask==", "flask>=") for line in lines]
    without = [line for line in lines if not line.startswith("werkzeug==")]

    assert Lock(unhashed).check([]) == ["flask has no hash"]
    assert Lock(unpinned).check([]) == ["flask is not pinned"]
    assert [each for each in Lock(without).check([]) if each.startswith("flask requires werkzeug")]


@pytest.mark.parametrize("name", ["production", "development"])
def test_the_build_backend_is_locked_at_the_version_that_pyproject_names(name: str) -> None:
    """The package is built with --no-build-isolation, from what the lock has installed."""
    pins = Lock(stated(LOCKS[name])).pins

    for line in PROJECT["build-system"]["requires"]:
        required = Requirement(line)
        assert pins[required.name].specifier == required.specifier
        assert line in stated(ROOT / "requirements.in")


def test_every_dependency_of_production_is_justified_in_one_line() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    justified = re.findall(r"^\| ([a-z0-9-]+) \| \S", page[page.index("## Dependencies") :], re.MULTILINE)

    names = [Requirement(line).name for line in PROJECT["project"]["dependencies"]]

    assert sorted(name for name in justified if name != "package") == sorted(names)
