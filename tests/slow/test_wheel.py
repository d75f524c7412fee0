"""The wheel: installed with the locked requirements in a new environment, it does everything, from any directory."""

from __future__ import annotations

import functools
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from ..support.databases import ROOT, Databases
from ..support.real_server import Server
from .environments import OLDEST_PIP, build_wheel, clean, copy_of_the_checkout, new, run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Installs the locked requirements and the wheel with a pip, far from the checkout; the folder of commands."""

    @functools.cache
    def install(pip: str) -> Path:
        commands = new(tmp_path_factory.mktemp("installed") / "venv", pip)
        run_pip = functools.partial(run, commands / "python", "-m", "pip", cwd=commands)
        run_pip("install", "--quiet", "--require-hashes", "-r", ROOT / "requirements.txt")
        run_pip("install", "--quiet", "--no-deps", wheel)
        run_pip("check")
        return commands

    return install


@pytest.fixture
def empty(databases: Databases) -> Iterator[URL]:
    """Return a database without a table; on SQLite, without a file."""
    url = databases.empty()
    yield url
    databases.drop(url)


def test_the_wheel_has_each_migration_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    package = {
        str(each.relative_to(source))
        for each in (source / "course_management").rglob("*")
        if each.is_file() and each.suffix != ".pyc"
    }
    migrations = {f"course_management/{each.relative_to(ROOT)}" for each in (ROOT / "migrations").rglob("*.py")}

    assert package | migrations <= names
    assert len(migrations) > 4
    assert {name.split("/")[0].split("-")[0] for name in names} == {"course_management"}


@pytest.mark.parametrize("pip", [OLDEST_PIP, "pip"], ids=["oldest", "newest"])
def test_migrate_serve_and_enroll_work_outside_of_the_checkout(
    installed: Callable[[str], Path], pip: str, empty: URL, tmp_path: Path
) -> None:
    environment = clean(DATABASE_URL=empty.render_as_string(hide_password=False))
    command = installed(pip) / "course-management"

    migrated = run(command, "migrate", cwd=tmp_path, env=environment)
    assert migrated.splitlines()[0].startswith("Migration 0001: ")
    assert "6 students" in run(command, "demo", cwd=tmp_path, env=environment)

    server = Server(tmp_path, empty, [str(command), "serve"])
    try:
        server.wait()
        assert server.ask("GET", "/readyz")[0] == 200
        student = server.ask("POST", "/students", {"name": "Emmy Noether", "email": "emmy@example.edu"})[1]["id"]
        course = server.ask("POST", "/courses", {"code": "MA201", "title": "Algebra", "capacity": 1})[1]["id"]
        status, response = server.ask("POST", f"/students/{student}/enroll", {"course_ids": [course]})
        assert (status, response["results"]) == (201, [{"course_id": course, "outcome": "enrolled"}])
        assert server.ask("POST", "/students/1/enroll", {"course_ids": [course]})[0] == 409
    finally:
        server.end()
    assert "BROKEN" not in run(command, "verify", cwd=tmp_path, env=environment)


def test_a_wheel_from_a_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    """Packagers start from the source distribution."""
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    build = "import hatchling.build, sys; print(hatchling.build.build_sdist(sys.argv[1]))"
    run(sys.executable, "-c", build, tmp_path, cwd=checkout)
    [archive] = tmp_path.glob("*.tar.gz")
    subprocess.run(["tar", "xzf", archive], cwd=tmp_path, check=True)  # noqa: S603, S607 - our own archive
    source = next(tmp_path.glob("course_management-*/"))
    build = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    run(sys.executable, "-c", build, tmp_path, cwd=source)
    [built] = tmp_path.glob("*.whl")

    assert sorted(zipfile.ZipFile(built).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
