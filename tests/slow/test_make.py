"""The make targets in a fresh clone: what they print, what they need, and what works after them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.databases import ROOT
from ..support.real_server import end, free_port, until
from .environments import OLDEST_PIP, clean, copy_of_the_checkout, new, run, without_index

STEPS = ["Creating the virtual environment", "Installing the dependencies", "Installing the service", "Writing the"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone the repository and run `make install`; its output is in the file `printed`."""
    folder = copy_of_the_checkout(tmp_path_factory.mktemp("clone"))
    printed = run("make", f"PYTHON={sys.executable}", "install", ".env", cwd=folder)
    (folder / "printed").write_text(printed)
    return folder


class Run:
    """`make run` as the README has it, on a new database in the checkout."""

    def __init__(self, checkout: Path, folder: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        for left in checkout.glob("course_management.db*"):
            left.unlink()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - a fixed command
                ["make", f"PYTHON={sys.executable}", "run"],  # noqa: S607 - as it is typed
                cwd=checkout,
                env=environment | {"PORT": str(self.port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> str:
        """Wait until it serves; return what it has printed."""
        until(lambda: self.process.poll() is not None or "Enroll a student" in self.log.read_text(), "the banner")
        until(lambda: self.process.poll() is not None or is_listening(self.port), "the server")
        assert self.process.poll() is None, self.log.read_text()
        return self.log.read_text()


def is_listening(port: int) -> bool:
    """Return whether a server accepts connections; `serve` prints its addresses before its workers have started."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def running(checkout: Path, tmp_path: Path) -> Iterator[Run]:
    """Run `make run` without the package index."""
    server = Run(checkout, tmp_path, without_index())
    yield server
    end(server.process)


def test_each_step_of_the_installation_is_announced(checkout: Path) -> None:
    lines = (checkout / "printed").read_text().splitlines()
    announced = [next((n for n, line in enumerate(lines) if line.startswith(step)), -1) for step in STEPS]

    assert announced == sorted(announced)
    assert announced[0] >= 0


def test_make_run_needs_no_package_index_after_the_first_time(running: Run) -> None:
    printed = running.wait()

    assert "Demo data: " in printed
    assert not any(step in printed for step in STEPS)


def test_new_lock_files_are_installed_by_the_next_make(checkout: Path, tmp_path: Path) -> None:
    """After a `git pull` the lock is newer than the stamp, and with the same pins pip finds nothing to fetch."""
    os.utime(checkout / "requirements.txt")
    server = Run(checkout, tmp_path, without_index())
    try:
        assert "Installing the dependencies" in server.wait()
    finally:
        end(server.process)


def test_make_upgrade_migrates_and_verifies(checkout: Path, tmp_path: Path) -> None:
    environment = without_index() | {"DATABASE_URL": f"sqlite:///{tmp_path / 'school.db'}"}

    printed = run("make", f"PYTHON={sys.executable}", "upgrade", cwd=checkout, env=environment)

    assert "Migration 0001: " in printed
    assert "ok      the ledger alone rebuilds the present" in printed
    assert (tmp_path / "school.db").exists()


def test_what_the_readme_runs_after_make_run_works_then(checkout: Path, running: Run, tmp_path: Path) -> None:
    (tmp_path / "small.stu").write_text("1 2\n2\n2 3\n")
    running.wait()

    printed = run(
        checkout / ".venv" / "bin" / "python", "benchmarks/replay.py", tmp_path / "small.stu",
        "--url", running.address, "--threads", "2", "--capacity", "0.9", "--churn",
        cwd=checkout, env=clean(),
    )  # fmt: skip

    assert re.search(r"^failures +0$", printed, re.MULTILINE), printed


def test_an_editable_installation_works_with_the_oldest_pip(checkout: Path, tmp_path: Path) -> None:
    commands = new(tmp_path / "venv", OLDEST_PIP)
    pip = (commands / "python", "-m", "pip", "install", "--quiet")
    run(*pip, "--require-hashes", "-r", checkout / "requirements.txt", cwd=tmp_path)
    run(*pip, "--no-deps", "--no-build-isolation", "-e", checkout, cwd=tmp_path)

    database = clean(DATABASE_URL=f"sqlite:///{tmp_path / 'school.db'}")
    assert "Migration 0001: " in run(commands / "course-management", "migrate", cwd=tmp_path, env=database)


def test_make_test_says_how_long_it_takes(checkout: Path) -> None:
    for target in ("test", "test-slow"):
        assert "minutes" in run("make", "--dry-run", target, cwd=checkout)


def test_the_slow_tests_run_only_when_they_are_named() -> None:
    collect = (sys.executable, "-m", "pytest", "--collect-only", "-q")

    everything, slow = (run(*collect, folder, cwd=ROOT) for folder in ("tests", "tests/slow"))

    assert "tests/test_lock_files.py::" in everything
    assert "tests/slow/" not in everything
    assert "tests/slow/test_make.py::" in slow


def test_make_says_which_python_is_missing(checkout: Path, tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy2(checkout / "Makefile", folder)
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy2(checkout / name, folder)

    found = subprocess.run(  # noqa: S603 - a fixed command
        ["make", f"PYTHON={old}", "install"],  # noqa: S607 - as it is typed
        cwd=folder,
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode != 0
    assert "Python 3.11 or newer is needed" in found.stdout
