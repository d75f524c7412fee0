"""Servers of two versions run together for one release: the older code works on the schema of the newer one.

The older code comes from the history of the repository: the last release, and the last commit before the newest
migration.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import URL, create_engine, text
from sqlalchemy.pool import NullPool

from course_management.database import SCHEMA_REVISION
from course_management.database.base import migrations_folder

from ..maintenance.conftest import run
from ..support.databases import ROOT, Databases
from ..support.real_server import PATIENT, Server, until

__all__ = ["run"]
Run = Callable[..., Result]
STUDENTS, COURSES = 400, 4
SEATS = 30
TEMPORARY = {503}
"""What a client may get while a migration has a table, and repeats."""


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603, S607


def last_release() -> str:
    """Return the newest tag of a version or, without tags, the commit that has dated its section of the changelog."""
    if tags := git("tag", "--list", "v[0-9]*", "--sort=-version:refname").split():
        return tags[0].decode()
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    return git("log", "-1", "--format=%H", f"-S{headings[1]}", "--", "CHANGELOG.md").decode().strip()


def before_the_newest_migration() -> str:
    [newest] = migrations_folder().glob(f"versions/{SCHEMA_REVISION}*.py")
    added = git("log", "-1", "--diff-filter=A", "--format=%H", "--", str(newest)).decode().strip()
    return git("rev-parse", f"{added}^").decode().strip() if added else git("rev-parse", "HEAD").decode().strip()


@pytest.fixture(params=[last_release, before_the_newest_migration], ids=lambda find: find.__name__)
def old_code(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the folder with an older version of this project."""
    try:
        commit = request.param()
        archive = git("archive", commit)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this checkout has no history of the older version: {error}")
    folder = tmp_path / "old"
    folder.mkdir()
    # Not `tarfile`: that of Python 3.11.2 has no filters, and that of 3.12 warns without one.
    subprocess.run(["tar", "--extract", f"--directory={folder}"], input=archive, check=True)  # noqa: S603, S607
    return folder


class Load:
    """Clients that enroll and unenroll at servers in turn, and remember what was acknowledged."""

    def __init__(self, *servers: Server) -> None:
        self.servers = list(servers)
        self.statuses: Counter[int] = Counter()
        self.states: dict[tuple[int, int], str] = {}
        """The last acknowledged status of each student in each course; every student has one client."""
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(part,)) for part in range(4)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the clients."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, part: int) -> None:
        turn = 0
        while not self._stopped.is_set():
            for student_id in range(1 + part, STUDENTS + 1, 4):
                if self._stopped.is_set():
                    return
                turn += 1
                self._change(self.servers[turn % len(self.servers)], student_id, 1 + turn % COURSES)

    def _change(self, server: Server, student_id: int, course_id: int) -> None:
        pair = student_id, course_id
        leaves = self.states.get(pair) in {"enrolled", "waitlisted"}
        method, path = ("DELETE", "unenroll") if leaves else ("POST", "enroll")
        body = {"course_id": course_id, **({} if leaves else {"waitlist": True})}
        status, answer = server.ask(method, f"/students/{student_id}/{path}", body)
        self.statuses[status] += 1
        if status in {200, 201}:
            self.states[pair] = answer["results"][0]["outcome"]


@pytest.fixture
def empty(databases: Databases) -> Iterator[URL]:
    url = databases.empty()
    yield url
    if url.get_backend_name() == "postgresql":
        databases.drop(url)


def test_an_older_server_serves_during_the_migration_and_beside_a_newer_one(
    old_code: Path, empty: URL, tmp_path: Path, run: Run
) -> None:
    address = empty.render_as_string(hide_password=False)
    older = {"PYTHONPATH": str(old_code / "src"), **PATIENT}
    migrate_old = "import sys; from course_management.cli import main; sys.argv[1:] = ['migrate']; main()"
    subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, "-c", migrate_old], cwd=old_code, check=True,
        env={**os.environ, **older, "DATABASE_URL": address, "PYTHON_DOTENV_DISABLED": "1"},
    )  # fmt: skip
    before = revision(empty)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    old = Server(tmp_path / "a", empty, **older)
    new: Server | None = None
    load: Load | None = None
    try:
        old.wait()
        for number in range(STUDENTS):
            body = {"name": f"Student {number}", "email": f"s{number}@example.edu"}
            assert old.ask("POST", "/students", body)[0] == 201
        for number in range(COURSES):
            body = {"code": f"C{number}", "title": "Programming", "capacity": SEATS, "waitlist_capacity": None}  # type: ignore[dict-item]
            assert old.ask("POST", "/courses", body)[0] == 201
        load = Load(old)
        until(lambda: load.statuses.total() > 200, "the load")

        migrated = run("migrate", url=empty)

        assert migrated.exit_code == 0, migrated.output
        assert revision(empty) == SCHEMA_REVISION
        assert before < SCHEMA_REVISION
        assert old.ask("GET", "/readyz")[0] == 200, "the older code does not accept the newer schema"
        total = load.statuses.total()
        until(lambda: load.statuses.total() > total + 200, "requests of the older code on the newer schema")
        new = Server(tmp_path / "b", empty, **PATIENT)
        new.wait()
        load.servers.append(new)
        total = load.statuses.total()
        until(lambda: load.statuses.total() > total + 800, "requests of both")
        both = old.ask("POST", "/students", {"name": "X"}), new.ask("POST", "/students", {"name": "Y"})
        load.servers.remove(old)  # as a load balancer does before a machine is stopped
        total = load.statuses.total()
        until(lambda: load.statuses.total() > total + 50, "the end of the requests to the older one")
        old.end()
    finally:
        if load:
            load.stop()
        for server in filter(None, (old, new)):
            server.end()

    assert [status for status, _ in both] == [201, 201]
    assert {status for status in load.statuses if status >= 500} <= TEMPORARY
    verified = run("verify", url=empty)
    assert verified.exit_code == 0, verified.output
    with create_engine(empty, poolclass=NullPool).connect() as connection:
        rows = connection.execute(text("SELECT student_id, course_id, status FROM student_courses")).all()
    present = {(row.student_id, row.course_id): row.status for row in rows}
    lost = {
        pair: (outcome, present.get(pair))
        for pair, outcome in load.states.items()
        if (outcome in {"enrolled", "waitlisted"}) != (present.get(pair) in {"enrolled", "waitlisted"})
    }
    assert lost == {}


def revision(url: URL) -> str:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))
