"""Import a generated school by the real command: rate, processor time and peak memory, with and without interruptions.

    python -m benchmarks.imports --database postgresql --students 10000 --kills 5

The processor time of the client and of the database says more than the rate on a machine that others use, too.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from tests.support.databases import PostgreSQL, migrate

PER_STUDENT = 10
STUDENTS_PER_COURSE = 10
"""Students of the school for each course: 100,000 students have 10,000 courses, with 100 enrollments on average."""
CAPACITY = 130
SAMPLE_S = 0.1
LOOK_S = 0.005
"""How long to wait between two looks at the progress, while a kill depends on it."""
ENDED = {0, 3}
"""Exit codes of an import that came to its end, without and with refused rows."""
READING, APPLYING = "reading", "applying"


class Moment(NamedTuple):
    """When to kill an import: in this state, or later, once it has staged or enrolled so many rows."""

    state: str
    rows: int


@dataclass
class Phases:
    """Seconds, processor seconds of the client and of the database by the state of the import, and peak memory."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_mb: float = 0.0

    def add(self, state: str, *more: float) -> None:
        """Add seconds to a state."""
        self.seconds[state] = [sum(pair) for pair in zip(self.seconds.get(state, [0.0] * 3), more, strict=True)]


def generate(folder: Path, students: int) -> int:
    """Write the files of a school with so many students. Returns the number of enrollments."""
    chance, courses = random.Random(students), max(students // STUDENTS_PER_COURSE, 2 * PER_STUDENT)  # noqa: S311
    with _writer(folder, "terms", "external_id", "code", "title", "starts_on", "ends_on") as write:
        write("t1", "2026-fall", "Fall 2026", "2026-09-01", "2026-12-18")
    with _writer(folder, "catalog", "external_id", "code", "title", "credits") as write:
        for number in range(courses // 2):
            write(f"k{number}", f"SUB{number}", f"Subject {number}", "3")
    with _writer(folder, "courses", "external_id", "code", "title", "term", "catalog", "credits", "capacity") as write:
        for number in range(courses):
            write(f"c{number}", f"CS{number}", f"Course {number}", "t1", f"k{number // 2}", "3", str(CAPACITY))
    with _writer(folder, "students", "external_id", "name", "email") as write:
        for number in range(students):
            write(f"{number:07}", f"Student {number}", f"s{number}@example.edu")
    with _writer(folder, "enrollments", "student", "course") as write:
        for number in range(students):
            for course in chance.sample(range(courses), PER_STUDENT):
                write(f"{number:07}", f"c{course}")
    return students * PER_STUDENT


@contextmanager
def _writer(folder: Path, name: str, *header: str) -> Iterator[Callable[..., object]]:
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        yield lambda *cells: writer.writerow(cells)


class Client:
    """The process of the command, and the processor time of the database beside it."""

    def __init__(self, url: URL, folder: Path, server: PostgreSQL | None, *options: str) -> None:
        environment = {**os.environ, "DATABASE_URL": url.render_as_string(hide_password=False)}
        command = [str(Path(sys.executable).parent / "course-management"), "import", str(folder), "--apply", *options]
        self._engine, self._server = create_engine(url), server
        self.process = psutil.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.output = self.errors = ""
        """What the command has written, once it has ended."""
        self._before = 0.0 if server is None else processor_s(*server.processes()[:1])

    def watch(self, phases: Phases, kill: Moment | None = None) -> bool:
        """Add up until the process ends, or kill it at a moment. Returns whether it came to its end.

        Raises `RuntimeError` with what it has written if it failed, or if something else has killed it.
        """
        sampled, is_killed = time.monotonic(), False
        mine = theirs = 0.0
        while self.process.poll() is None:
            time.sleep(LOOK_S if kill else SAMPLE_S)
            if kill and self._has_reached(kill):
                self.process.kill()
                is_killed = True
                break
            if (now := time.monotonic()) - sampled < SAMPLE_S:
                continue
            state = self._state()
            with suppress(psutil.NoSuchProcess):
                tree = [self.process, *self.process.children(recursive=True)]
                phases.peak_mb = max(phases.peak_mb, sum(process.memory_info().rss for process in tree) / 1024**2)
                used = processor_s(self.process), self._of_database()
                phases.add(state, now - sampled, max(used[0] - mine, 0.0), max(used[1] - theirs, 0.0))
                (mine, theirs), sampled = used, now
        self._engine.dispose()
        self.output, self.errors = (text.decode() for text in self.process.communicate())
        code = self.process.returncode
        if code not in ({-signal.SIGKILL, *ENDED} if is_killed else ENDED):
            raise RuntimeError(f"The import ended with exit code {code}.\n{self.output}{self.errors}")
        return code in ENDED

    def _has_reached(self, moment: Moment) -> bool:
        """Return whether the import is there: its last row and the last line of the ledger say so without counting."""
        state = self._scalar("SELECT state FROM imports ORDER BY id DESC LIMIT 1")
        if moment.state == READING:
            staged = "SELECT max(number) FROM import_rows WHERE import_id = (SELECT max(id) FROM imports)"
            return state is not None and (state != READING or (self._scalar(staged) or 0) >= moment.rows)
        return (self._scalar("SELECT max(id) FROM enrollment_events") or 0) >= moment.rows

    def _of_database(self) -> float:
        return 0.0 if self._server is None else processor_s(*self._server.processes()) - self._before

    def _state(self) -> str:
        state: str = self._scalar("SELECT state FROM imports ORDER BY id DESC LIMIT 1") or "starting"
        if state != "planning":
            return state
        is_planned = self._scalar(
            "SELECT kind FROM import_rows WHERE import_id = (SELECT max(id) FROM imports) AND kind = 'enrollments'"
            " AND outcome IS NOT NULL LIMIT 1"
        )
        return f"planning {'enrollments' if is_planned else 'others'}"

    def _scalar(self, query: str) -> Any:
        with self._engine.connect() as connection:
            return connection.scalar(text(query))


def processor_s(*processes: psutil.Process) -> float:
    """Return the processor seconds of processes and of their children that have ended."""
    total = 0.0
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            total += sum(each.cpu_times()[:4])
    return total


def check(url: URL, rows: int) -> list[str]:
    """Return what is wrong after an import of `rows` enrollments, from verification and from counts."""
    counts = {
        "enrollments that are not in the ledger exactly once": (
            "SELECT count(*) FROM (SELECT student_id, course_id FROM enrollment_events"
            " GROUP BY student_id, course_id HAVING count(*) > 1) AS twice"
        ),
        "rows that were not applied": "SELECT count(*) FROM import_rows WHERE applied_at IS NULL",
        "enrollments without a row, or rows without an enrollment": (
            f"SELECT {rows} - (SELECT count(*) FROM import_rows WHERE kind = 'enrollments' AND outcome = 'refuse')"  # noqa: S608 - a number
            " - (SELECT count(*) FROM student_courses WHERE status = 'enrolled')"
        ),
        "ledger lines that are missing": (
            "SELECT (SELECT count(*) FROM student_courses) - (SELECT count(*) FROM enrollment_events)"
        ),
    }
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [f"{what}: {number}" for what, query in counts.items() if (number := connection.scalar(text(query)))]
    engine.dispose()
    environment = {**os.environ, "DATABASE_URL": url.render_as_string(hide_password=False)}
    command = [str(Path(sys.executable).parent / "course-management"), "verify"]
    verified = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    return [*found, *([verified.stdout] if verified.returncode else [])]


def moments(kills: int, rows: int, chance: random.Random) -> list[Moment]:
    """Return when to kill an import of `rows` enrollments: first while it is read, then while it is applied."""
    share = rows / max(kills, 1)
    applied = [int(share * (kill + chance.uniform(0.1, 0.5))) for kill in range(1, kills)]
    return [Moment(READING, int(chance.uniform(0.1, 0.7) * rows)), *(Moment(APPLYING, row) for row in applied)][:kills]


@click.command()
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="postgresql", show_default=True)
@click.option("--students", type=click.IntRange(100), default=10_000, show_default=True)
@click.option(
    "--kills", type=click.IntRange(0), default=0, show_default=True, help="Kill it so often, then let it end."
)
@click.option("--seed", type=int, default=0, show_default=True)
def main(database: str, students: int, kills: int, seed: int) -> None:
    """Generate a school, import it, and print what that took."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        folder.mkdir()
        rows = generate(folder, students)
        server = PostgreSQL(fsync="on", autovacuum="on") if database == "postgresql" else None
        url = server.url if server else make_url(f"sqlite:///{temporary}/school.db")
        migrate(url)
        phases = Phases()
        plan = moments(kills, rows, random.Random(seed))  # noqa: S311 - a repeatable choice
        for kill in [*plan, None]:
            client = Client(url, folder, server)
            if client.watch(phases, kill):
                break
            click.echo(f"killed: {kill}")
        click.echo(client.output + client.errors)
        click.echo(f"{rows:,} enrollments, peak memory of the client {phases.peak_mb:.0f} MB")
        click.echo(f"{'':24}{'seconds':>10}{'client s':>10}{'database s':>12}{'us of both per row':>20}")
        for state, (seconds, mine, theirs) in phases.seconds.items():
            each = 1e6 * (mine + theirs) / rows
            click.echo(f"{state:24}{seconds:>10.1f}{mine:>10.1f}{theirs:>12.1f}{each:>20.0f}")
        wrong = check(url, rows)
        click.echo("\n".join(wrong) or "verified: every row was applied once, and the ledger agrees")
        if server:
            server.end()
        raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
