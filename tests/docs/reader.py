"""Follows a page: runs its commands one after the other in a shell, in a folder that looks like a checkout.

Three things differ from a reader's machine: the port is a free one, `sudo` changes no user, and `systemctl` starts and
stops `course-management serve` directly.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from ..support.databases import PATIENCE_S, ROOT
from ..support.real_server import end, free_port, until
from .pages import Block, Command, blocks, name
from .shown import differs

Make: TypeAlias = "Callable[[], Reader]"
EXAMPLE_KEY, EXAMPLE_PREFIX = "cmk_u2XbzB8J…", "u2XbzB8J"
CREATE_THEIR_DATABASE = {"README.md", "docs/installation.md", "docs/operations.md"}
"""Pages with the commands for it; all others continue from the demo data."""
SYSTEMCTL = re.compile(r"sudo systemctl (stop|start|restart|enable --now) course-management")
FOREGROUND = re.compile(r"([A-Z_]+=\S+ )*(make run|course-management (serve|worker))")
PRELUDE = """
exec 2>&1
curl() { command curl -sS "$@"; }
sudo() { if [ "$1" = -u ]; then shift 2; fi; "$@"; }
"""


@contextlib.contextmanager
def readers(folder: Path) -> Iterator[Make]:
    """Make readers in a folder; everything they start ends with the context."""
    made: list[Reader] = []

    def make() -> Reader:
        made.append(Reader(folder))
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            each.end()


class Reader:
    """A reader who follows one page. `end` stops everything that was started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.key = ""
        self.running: list[subprocess.Popen[bytes]] = []
        self.created: list[tuple[URL, str]] = []
        """Servers, each with the name of a role that was created there, and of its first database."""
        self.databases: list[tuple[URL, str]] = []
        """Servers, each with the name of a database that was created there."""
        _looks_like_a_checkout(folder)
        self.environment = {each: value for each, value in os.environ.items() if each != "PYTHON_DOTENV_DISABLED"}
        self.environment |= {
            "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PORT": str(self.port),
            "WORKERS": "1",
            "DATABASE_DEADLINE_MS": "20000",  # a slow machine is not an outage
        }
        self.shell: subprocess.Popen[str] | None = None

    def follow_page(self, page: Path, server: URL) -> None:
        """Do what a page says, except for the blocks that say why they are not run."""
        if name(page) not in CREATE_THEIR_DATABASE:
            self.demo_data()
        for block in blocks(page):
            if block.reason_not_run is None:
                self.follow(block, server)

    def demo_data(self) -> None:
        """Begin with a migrated database that has the demo data."""
        for command in ("migrate", "demo"):
            self.run(Command(f"course-management {command}", ""))

    def follow(self, block: Block, server: URL) -> None:
        """Do what a block says. Statements in SQL run on the PostgreSQL server."""
        if block.language == "dotenv":
            with (self.folder / ".env").open("a") as file:
                file.write(block.text)
            (self.folder / ".env").chmod(0o600)
        elif block.language == "sql":
            self.create_database(block.text, server)
        elif block.language == "console":
            for command in block.commands():
                try:
                    self.run(command)
                except AssertionError as error:
                    raise AssertionError(f"{block.place}: {command.text}\n{error}") from None

    def run(self, command: Command) -> None:
        """Run a command line. Raises `AssertionError` when it fails or prints something else than the page shows."""
        line, shown = self.in_this_folder(command.text), self.in_this_folder(command.output)
        if found := SYSTEMCTL.fullmatch(line):
            if found[1] in {"stop", "restart"}:
                self.stop()
            if found[1] != "stop":
                self.start("course-management serve", "")
        elif FOREGROUND.fullmatch(line):
            if "worker" not in line:
                self.stop()  # its port is the same
            self.start(line, shown)
        else:
            if f"http://127.0.0.1:{self.port}" in line and not self.running:
                self.start("course-management serve", "")
            if line.startswith("curl ") and not shown:
                line = line.replace("curl ", "curl --fail-with-body ", 1)
            status, printed = self.enter(line)
            if made := re.search(r"^cmk_\w+$", printed, re.MULTILINE):  # the key that was created, shown once
                self.key = made[0]
                shown = self.in_this_folder(command.output)
            assert status == 0, f"exit code {status}: {printed}"
            difference = differs(shown, printed) if shown else ""
            assert not difference, difference

    def in_this_folder(self, text: str) -> str:
        """Return a text of the page with the port of this service and the key that was created."""
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        if self.key:
            text = text.replace(EXAMPLE_KEY, self.key).replace(EXAMPLE_PREFIX, self.key[4:12])
        return text

    def enter(self, line: str) -> tuple[int, str]:
        """Type a line into the shell of this page; exit code and output."""
        program = line.removeprefix("sudo ").split()[0]
        if program in {"curl", "sqlite3"} and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        if self.shell is None:
            self.shell = subprocess.Popen(
                ["bash"],  # noqa: S607 - whichever is installed
                cwd=self.folder, env=self.environment, text=True, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            self._send(PRELUDE)
        assert self.shell.stdout is not None
        last = uuid.uuid4().hex
        patience = threading.Timer(PATIENCE_S, self.shell.kill)
        patience.start()
        self._send(f"{line}\nprintf '\\n{last} %s\\n' $?\n")
        printed: list[str] = []
        try:
            for each in self.shell.stdout:
                if each.startswith(last):
                    return int(each.split()[1]), "".join(printed).removesuffix("\n")
                printed.append(each)
        finally:
            patience.cancel()
        raise AssertionError(f"the shell ended: {''.join(printed)}")

    def _send(self, text: str) -> None:
        assert self.shell is not None
        assert self.shell.stdin is not None
        self.shell.stdin.write(text)
        self.shell.stdin.flush()

    def start(self, line: str, shown: str) -> None:
        """Start what runs until it is stopped, and wait until it has printed what is shown, or serves."""
        log, errors = (self.folder / f"{len(self.running)}.{kind}" for kind in ("log", "errors"))
        with log.open("wb") as output, errors.open("wb") as error_output:
            process = subprocess.Popen(  # noqa: S603 - a fixed command
                ["bash", "-c", f"exec env {line}"],  # noqa: S607
                cwd=self.folder, env=self.environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=error_output,
            )  # fmt: skip
        self.running.append(process)
        begun = '"background.leader"' if "worker" in line else "Started worker"

        def has_begun() -> bool:
            return process.poll() is not None or begun in log.read_text()

        until(has_begun, f"the start of {line}")
        assert process.poll() is None, log.read_text() + errors.read_text()
        if shown:
            head = log.read_text().partition('{"event"')[0]
            difference = differs(shown, head)
            assert not difference, difference

    def stop(self) -> None:
        """Stop everything that was started."""
        while self.running:
            end(self.running.pop())

    def create_database(self, statements: str, server: URL) -> None:
        """Run the statements that create a database, under names that are free; from then on the service uses it.

        They create a role as well or, if they set no password, a further database of the role that was created before.
        """
        unique = f"docs_{uuid.uuid4().hex[:12]}"
        if password := re.search("PASSWORD '(.*)'", statements):
            self.created.append((server, unique))
            url = server.set(username=unique, password=password[1], database=unique)
        else:
            (_, role), *_ = self.created
            url = make_url(self.environment["DATABASE_URL"]).set(database=unique)
            statements = re.sub(r"DATABASE \w+ OWNER \w+", f"DATABASE {unique} OWNER {role}", statements)
        self.databases.append((server, unique))
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements.replace("enrollment", unique).strip().split(";\n"):
                connection.execute(text(statement.rstrip(";")))
        engine.dispose()
        self.environment["DATABASE_URL"] = url.render_as_string(hide_password=False)
        if self.shell is not None:
            self.enter(f"export DATABASE_URL='{self.environment['DATABASE_URL']}'")

    def end(self) -> None:
        """Stop everything and remove what was created on the PostgreSQL server."""
        self.stop()
        if self.shell is not None:
            with contextlib.suppress(BrokenPipeError):
                self.shell.communicate("exit\n", timeout=PATIENCE_S)
        created = [("DATABASE", each, " WITH (FORCE)") for each in self.databases]
        created += [("ROLE", each, "") for each in self.created]
        for kind, (server, unique), options in created:
            engine = create_engine(server, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(text(f"DROP {kind} {unique}{options}"))
            engine.dispose()


def _looks_like_a_checkout(folder: Path) -> None:
    """Link what `make` needs. The stamps are new, so that nothing is installed."""
    for each in ("Makefile", "requirements.txt", "requirements-dev.txt", "pyproject.toml", ".env.example"):
        (folder / each).symlink_to(ROOT / each)
    for each in ("src", "migrations", "benchmarks"):
        (folder / each).symlink_to(ROOT / each)
    venv = folder / ".venv"
    venv.mkdir()
    for each in ("bin", "lib"):
        (venv / each).symlink_to(Path(sys.prefix) / each)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
    for each in ("run.stamp", "test.stamp"):
        (venv / each).touch()
