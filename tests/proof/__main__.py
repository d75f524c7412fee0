"""The command behind `make proof`."""

from __future__ import annotations

import json
import os
import platform
import secrets
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import course_management

from ..support.databases import ROOT
from .mutants import MUTANTS, run_without
from .parts import BACKENDS, PARTS, run
from .report import HEADINGS, Check, Outcome, fill_in, markdown, table_rows
from .stage import Ground

MUTANT_HEADINGS = ["without", "database", "part", "verdict", "noticed by"]
RESULTS = ROOT / "docs" / "proof.md"


@click.command()
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True, help="Only this part; repeatable.")
@click.option("--database", "backends", type=click.Choice(BACKENDS), multiple=True, help="Only this kind; repeatable.")
@click.option("--size", type=click.Choice(["full", "small"]), default="full", show_default=True)
@click.option("--seconds", type=int, help="Duration of each part that has one, instead of its own.")
@click.option("--seed", type=int, default=lambda: secrets.randbelow(10**6), help="The chance of a run, to repeat it.")
@click.option("--mutations", "which", flag_value="mutations", help="Only the table of mutations.")
@click.option("--no-mutations", "which", flag_value="parts", help="Only the parts.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JSON too.")
@click.option("--record", is_flag=True, help="Write what was run into docs/proof.md.")
@click.option("--mutant", type=click.Choice(list(MUTANTS)), hidden=True, help="What --mutations runs as a process.")
def main(
    parts: Sequence[str],
    backends: Sequence[str],
    size: str,
    seconds: int | None,
    seed: int,
    which: str | None,
    out: Path | None,
    record: bool,
    mutant: str | None,
) -> None:
    """Prove the promises under load and faults, and that each proof can fail. Exit 1 when one does not hold."""
    if record and size == "small":
        raise click.UsageError("Only the full size is recorded.")
    backends = backends or BACKENDS
    if mutant and out:
        out.write_text(json.dumps(_on_mutant(mutant, backends[0], seed)))
        return
    console = Console()
    console.print(f"seed {seed}")
    sizes = {name: _sizes(name, size, seconds) for name in parts or PARTS}
    outcomes = list(_prove(console, sizes, backends, seed)) if which != "mutations" else []
    mutations = list(_mutate(console, parts, backends, seed)) if which != "parts" else []
    tables = {
        "parts": (HEADINGS, [each.row() for each in outcomes]),
        "mutations": (MUTANT_HEADINGS, [list(each.values()) for each in mutations]),
    }
    for section, (headings, rows) in tables.items():
        if rows:
            table = Table(*headings)
            for row in rows:
                table.add_row(*row)
            console.print(table)
        if record:
            _record(section, seed, headings, rows)
    results = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": _machine(),
        "seed": seed,
        "parts": [each.as_dict() for each in outcomes],
        "mutations": mutations,
    }
    if out:
        out.write_text(json.dumps(results, indent=2) + "\n")
    failed = any(each.broken for each in outcomes) or any(each["verdict"] == "NOT NOTICED" for each in mutations)
    sys.exit(1 if failed else 0)


def _sizes(name: str, size: str, seconds: int | None) -> Mapping[str, int]:
    """Return how large a part is."""
    sizes: Mapping[str, int] = getattr(PARTS[name], size)
    return {**sizes, "seconds": seconds} if seconds and "seconds" in sizes else sizes


def _prove(
    console: Console, sizes: Mapping[str, Mapping[str, int]], backends: Sequence[str], seed: int
) -> Iterator[Outcome]:
    """Run every part on its databases, and yield the outcomes."""
    for backend in backends:
        with tempfile.TemporaryDirectory() as folder, closing(Ground(Path(folder), backend)) as ground:
            for name, sizes_of_part in sizes.items():
                if backend in PARTS[name].databases:
                    outcome = run(name, ground, seed, sizes_of_part)
                    console.print(f"{name} on {backend}: {outcome.verdict} ({outcome.seconds:.0f} s)")
                    for check in outcome.broken:
                        console.print(f"  {check.name}: {check.found}, not {check.expected}", markup=False)
                    yield outcome


def _mutate(console: Console, parts: Sequence[str], backends: Sequence[str], seed: int) -> Iterator[dict[str, str]]:
    """Run every mutant on its databases. Yield whether the expected check noticed it, and which others did."""
    for name, mutant in MUTANTS.items():
        for backend in mutant.databases:
            if backend in backends and mutant.part in (parts or PARTS):
                try:
                    outcome = run_without(name, backend, seed)
                except Exception as error:  # noqa: BLE001 - the other mutants are still to come
                    outcome = Outcome(mutant.part, backend, seed, checks=[Check("the mutant ran", repr(error), "")])
                broken = list(dict.fromkeys(check.name for check in outcome.broken))
                noticed = "noticed" if mutant.check in broken else "NOT NOTICED"
                verdict = "skipped" if outcome.skipped else noticed
                console.print(f"without {name} on {backend}: {verdict}", markup=False)
                yield {
                    "without": name,
                    "database": backend,
                    "part": mutant.part,
                    "verdict": verdict,
                    "noticed by": outcome.skipped or "; ".join(broken),
                }


def _on_mutant(name: str, backend: str, seed: int) -> dict[str, Any]:
    """Run the part of a mutant, in a process in which the package is the mutant, and return the outcome."""
    mutant = MUTANTS[name]
    tampering = mutant.statements.get(backend, ())
    with tempfile.TemporaryDirectory() as folder, closing(Ground(Path(folder), backend, tampering)) as ground:
        outcome = run(mutant.part, ground, seed, mutant.sizes)
    return {"package": course_management.__file__, **outcome.as_dict()}


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, {versions}, PostgreSQL of the wheel"


def _record(section: str, seed: int, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows into a table of docs/proof.md, in place of the earlier ones of the same parts and databases."""
    begin, end = f"<!-- {section}, as `make proof` writes it -->", f"<!-- end of {section} -->"
    order = [(name, backend) for backend in BACKENDS for name in PARTS]
    order += [(name, backend) for name in MUTANTS for backend in BACKENDS]
    ran = f"{datetime.now(UTC).date()}, seed {seed}"
    by_key = {(row[0], row[1]): row for row in [*table_rows(RESULTS, begin, end), *([*row, ran] for row in rows)]}
    kept = [by_key[key] for key in order if key in by_key]
    fill_in(RESULTS, begin, end, f"\n{_machine()}\n\n{markdown([*headings, 'run'], kept)}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    main()
