"""The command behind `make bench`."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from tests.proof.report import fill_in, markdown
from tests.support.databases import ROOT, PostgreSQL, migrate

from . import by_rules, growth, paired
from .conformance import check
from .data import LARGE, SMALL, engine, fill, fill_reference
from .load import LOADS, run, run_floor, run_hello, run_hot, wrk_program
from .report import FLOOR, HELLO_FLASK, HELLO_WSGI, KEYED, POSTGRESQL, SQLITE, Results, chart, goals, tables
from .systems import Enrollment, Express, FastApi, FlaskOrm, Hello, ThisService

PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
PARTS = ("rules", "earlier", "comparison", "growth")
"""What the rules of registration cost, an earlier version, other systems, and 100 times the data."""
WARM_UP_S = 1
PAUSE_S = 0.2
# All data fits into memory, and no checkpoint starts during the turn of one system.
SERVER = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "autovacuum": "on"}


@click.command()
# Many short turns, because the speed of a shared machine changes within seconds.
@click.option("--rounds", default=8, show_default=True, help="Turns of each load on each system.")
@click.option("--seconds", default=1, show_default=True, help="Seconds per turn.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=PARTS, help="Only this; repeatable.")
@click.option(
    "--earlier",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of an earlier version, which is measured beside this one.",
)
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JSON too.")
@click.option("--record", is_flag=True, help="Write what was measured into docs/performance.md and its picture.")
def main(
    rounds: int,
    seconds: int,
    parts: Sequence[str],
    earlier: Path | None,
    out: Path | None,
    record: bool,
) -> None:
    """Measure this service, its statement alone, and typical implementations. Exit 1 if a goal is missed."""
    wrk_program()
    console = Console()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, ExitStack() as stack:
        postgresql = PostgreSQL(**SERVER)
        stack.callback(postgresql.end)
        bench = Bench(console, Path(name), postgresql, rounds, seconds)
        results: Results = {"date": datetime.now(UTC).isoformat(timespec="minutes"), "machine": machine()}
        if "rules" in parts:
            results |= bench.compare_rules(earlier)
        if "earlier" in parts and earlier:
            results |= bench.compare_earlier(earlier)
        if "comparison" in parts:
            results |= bench.compare()
        if "growth" in parts:
            results |= bench.grow()
    results["minutes"] = round((time.monotonic() - started) / 60, 1)
    if out:
        out.write_text(json.dumps(results, indent=2) + "\n")
    for headings, rows in tables(results).values():
        table = Table(*headings)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print(f"{results['minutes']} minutes on {results['machine']}")
    if record:
        write(results)
    sys.exit(0 if all(each.reached for each in goals(results)) else 1)


class Bench:
    """One run: a PostgreSQL, a folder, and the systems on databases of one size."""

    def __init__(self, console: Console, folder: Path, postgresql: PostgreSQL, rounds: int, seconds: int) -> None:
        self.console, self.folder, self.postgresql = console, folder, postgresql
        self.rounds, self.seconds = rounds, seconds

    def compare(self) -> Results:
        """Check that every system keeps the rules, then run every load on every system, in turns."""
        with ExitStack() as stack:
            start = stack.enter_context
            postgresql, sqlite, keyed = self._database("ours"), self._file("ours"), self._database("keyed")
            for url in (postgresql, sqlite, keyed):
                migrate(url)
                fill(url, SMALL)
            systems: list[Enrollment] = [
                start(closing(ThisService(POSTGRESQL, self.folder, postgresql))),
                start(closing(ThisService(SQLITE, self.folder, sqlite))),
            ]
            for kind in (Express, FastApi, FlaskOrm):
                url = self._database(kind.__name__.lower())
                fill_reference(url, SMALL)
                systems.append(start(closing(kind(self.folder, url))))
            hellos = [
                start(closing(Hello(HELLO_FLASK, self.folder, "flask"))),
                start(closing(Hello(HELLO_WSGI, self.folder, "wsgi"))),
            ]
            for system in systems:
                if wrong := check(system):
                    raise click.ClickException(f"{system.name} does not keep the rules: {'; '.join(wrong)}")
            floor = self._database("floor")
            migrate(floor)
            fill(floor, SMALL)
            with_key = start(closing(ThisService(KEYED, self.folder, keyed, with_key=True)))
            loads = self._loads(systems, with_key, floor, hellos)
            hot = self._hot(systems)
        return {"loads": loads, "hot": hot}

    def compare_rules(self, earlier: Path | None) -> Results:
        """Measure what the rules of registration cost, on both databases."""
        found: Results = {}
        for backend, url in (("PostgreSQL", self._database("rules")), ("SQLite", self._file("rules"))):
            migrate(url)
            by_rules.fill(url)
            with self._says(f"by rules on {backend}"), ExitStack() as stack:
                systems = by_rules.systems(self.folder, url, earlier, lambda each: stack.enter_context(closing(each)))
                processes = self.postgresql.processes if backend == "PostgreSQL" else list
                turns = by_rules.compare(systems, self.rounds, self.seconds, processes)
            found[backend] = {load: [asdict(turn) for turn in each] for load, each in turns.items()}
        return {"rules": found}

    def compare_earlier(self, earlier: Path) -> Results:
        """Measure this version beside an earlier one, on both databases."""
        found: Results = {}
        for backend in ("PostgreSQL", "SQLite"):
            make = self._database if backend == "PostgreSQL" else self._file
            with self._says(f"beside the earlier version on {backend}"), ExitStack() as stack:
                systems = []
                for name, source in ((paired.THIS, None), (paired.EARLIER, earlier / "src")):
                    url = make(name.replace(" ", "_"))
                    migrate(url)
                    fill(url, SMALL)
                    systems.append(stack.enter_context(closing(ThisService(name, self.folder, url, source=source))))
                processes = self.postgresql.processes if backend == "PostgreSQL" else list
                found[backend] = paired.compare(systems, self.rounds, self.seconds, processes)
        return {"paired": found}

    def _loads(
        self, systems: Sequence[Enrollment], with_key: Enrollment, floor: URL, hellos: Sequence[Hello]
    ) -> Results:
        """Measure the responses per second of every round, by load and system."""
        found: dict[str, dict[str, list[float]]] = {load: defaultdict(list) for load in LOADS}
        for load, rates in found.items():
            measured = systems if load == "cycle" else [*systems, with_key]
            with self._says(load):
                for system in measured:
                    rates[system.name] = []  # the table's order is this one, not that of the first turn
                    run(system, load, SMALL, WARM_UP_S)
                for turn in range(self.rounds):
                    for system in _mixed(measured, turn):
                        measure = run(system, load, SMALL, self.seconds)
                        rates[system.name].append(measure.rate / (2 if load == "cycle" else 1))
                    if load != "cycle":
                        rates[FLOOR].append(run_floor(floor, load, SMALL, self.seconds, self.folder))
                    for hello in hellos if load == "list" else ():
                        rates[hello.name].append(run_hello(hello, 1))
        return found

    def _hot(self, systems: Sequence[Enrollment]) -> Results:
        """Run the hot course on each system in a third of the rounds: one run takes as long as several turns."""
        found: Results = {system.name: [] for system in systems}
        with self._says("hot course"):
            for turn in range(-(-self.rounds // 3)):
                for system in _mixed(systems, turn):
                    storm = run_hot(system)
                    found[system.name].append({**asdict(storm), "right": storm.is_right})
        return found

    def grow(self) -> Results:
        """Compare the small and the large data set, and measure a long waitlist and the memory of a worker."""
        found: Results = {"growth": {}, "queue": {}}
        made = {
            "PostgreSQL": (self._database("little"), self._database("much")),
            "SQLite": (self._file("little"), self._file("much")),
        }
        with self._says("a million students, twice, and a worker's memory meanwhile"), ThreadPoolExecutor() as pool:
            sizes = [(url, size) for urls in made.values() for url, size in zip(urls, (SMALL, LARGE), strict=True)]
            another = self._database("weighed")
            for url in (another, *(url for url, _ in sizes)):
                migrate(url)
            weighed = pool.submit(self._weigh, another)
            list(pool.map(lambda each: fill(*each), sizes))
            found["memory"] = {"PostgreSQL": weighed.result()}
        for backend, (little, much) in made.items():
            with (
                self._says(f"growth on {backend}"),
                closing(ThisService("little", self.folder, little)) as small,
                closing(ThisService("much", self.folder, much)) as large,
            ):
                for system, size in ((small, SMALL), (large, LARGE)):
                    run(system, "list", size, WARM_UP_S)
                    run(system, "enroll", size, WARM_UP_S)
                found["growth"][backend] = growth.p99(
                    (small, SMALL), (large, LARGE), self.seconds, max(2, self.rounds - 2)
                )
                found["queue"][backend] = growth.queue(large)
        return found

    def _weigh(self, url: URL) -> Results:
        """Measure the memory of one worker; other load on the machine does not change it."""
        fill(url, SMALL)
        with closing(ThisService("one worker", self.folder, url, workers=1)) as one:
            return growth.memory(one, SMALL, self.seconds)

    @contextmanager
    def _says(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.console.print(f"{what}: {time.monotonic() - started:.0f} s")

    def _database(self, name: str) -> URL:
        with engine(self.postgresql.url).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return self.postgresql.url.set(database=name)

    def _file(self, name: str) -> URL:
        return make_url(f"sqlite:///{self.folder / name}.db")


def _mixed(systems: Sequence[Enrollment], turn: int) -> Iterator[Enrollment]:
    """Yield the systems in another order each round, after a pause.

    When wrk ends, its last requests are still being processed, which takes longest on a slow system.
    """
    for system in Random(turn).sample(systems, len(systems)):  # noqa: S311 - the same orders in every run
        time.sleep(PAUSE_S)
        yield system


def machine() -> str:
    """Describe the machine."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {gib:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def write(results: Results) -> None:
    """Write the tables between the markers of the page, and the chart beside it."""
    said = f"{results['date'][:10]}, {results['machine']}, {results['minutes']} minutes"
    for name, (headings, rows) in tables(results).items():
        fill_in(PAGE, f"<!-- {name} -->", f"<!-- end of {name} -->", f"{said}\n\n{markdown(headings, rows)}")
    if "loads" in results:
        PICTURE.write_text(chart(results))


main()
