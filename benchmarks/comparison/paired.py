"""This version beside an earlier one, each on a database of its own, in turns: what a change of the service brings."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from random import Random

import psutil

from . import cpu
from .data import SMALL
from .goal import Goal
from .load import CONNECTIONS, run, run_beside_storm, run_hot
from .systems import ThisService

THIS, EARLIER = "this version", "the earlier version"
HOT, STORM = "hot course", "enroll beside a storm"
AT = (1, 4, CONNECTIONS, 320)
"""Numbers of connections."""
RATES = {
    ("PostgreSQL", "enroll"): 1.6,
    ("PostgreSQL", "list"): 1.3,
    ("PostgreSQL", HOT): 1.6,
    ("SQLite", "enroll"): 2,
}
"""The goals: the rate with 32 connections, as a ratio to the earlier one."""
P99, DATABASE_CPU = 1.1, 0.6
"""The goals: at most so much of the earlier p99, at each number of connections, and CPU of PostgreSQL per enroll."""
Turns = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]


def compare(
    systems: Sequence[ThisService], rounds: int, seconds: int, postgresql: Callable[[], Sequence[psutil.Process]]
) -> Turns:
    """Run every load on each system in turns; return the figures of each round, by load and system."""
    turns: dict[str, dict[str, list[dict[str, float]]]] = {}
    for load, connections in [(load, connections) for load in ("list", "enroll") for connections in AT]:
        found = turns[f"{load}, {connections}"] = {system.name: [] for system in systems}
        for turn in range(rounds + 1):
            for system in Random(turn).sample(systems, len(systems)):  # noqa: S311 - the same orders in every run
                service, database = cpu.spent(system.workers()), cpu.spent(postgresql())
                measured = run(system, load, SMALL, seconds, connections)
                spent = {
                    "service_ms": cpu.since(service) / measured.requests * 1000,
                    "database_ms": cpu.since(database) / measured.requests * 1000,
                }
                if turn:  # the first is to warm up
                    found[system.name].append(asdict(measured) | spent)
    turns[STORM] = {system.name: [] for system in systems}
    turns[HOT] = {system.name: [] for system in systems}
    for turn in range(rounds):
        for system in Random(turn).sample(systems, len(systems)):  # noqa: S311 - as above
            turns[STORM][system.name].append(asdict(run_beside_storm(system, SMALL, seconds)))
            storm = run_hot(system)
            if not storm.is_right:
                raise RuntimeError(f"{system.name} sold {storm.sold} seats: {storm.statuses}")
            turns[HOT][system.name].append({"rate": 1 / storm.seconds})
    return turns


def ratio(turns: Turns, load: str, figure: str) -> float:
    """Return a figure of this version as a ratio to the earlier one: the median of the rounds."""
    both = zip(turns[load][THIS], turns[load][EARLIER], strict=True)
    # Less CPU time than the clock of the system measures is 0.
    return statistics.median(now[figure] / before[figure] for now, before in both if before[figure])


def rows(paired: Mapping[str, Turns]) -> Iterator[list[str]]:
    """Yield the rows of the table."""

    def middle(turns: Turns, load: str, version: str, figure: str) -> float:
        return statistics.median(turn[figure] for turn in turns[load][version])

    for backend, turns in paired.items():
        for load in turns:
            if load == HOT:
                yield [f"{load}, {backend}", "", f"{ratio(turns, load, 'rate'):.2f}", "", "", "", ""]
                continue
            cpu_of = ["service_ms", *(["database_ms"] if backend == "PostgreSQL" else [])] if load != STORM else []
            p99 = [f"{middle(turns, load, version, 'p99_ms'):.0f}" for version in (EARLIER, THIS)]
            yield [
                f"{load}, {backend}",
                " / ".join(f"{middle(turns, load, version, 'rate'):,.0f}" for version in (EARLIER, THIS)),
                f"{ratio(turns, load, 'rate'):.2f}",
                " / ".join(p99),
                f"{ratio(turns, load, 'p99_ms'):.2f}",
                *[f"{ratio(turns, load, figure):.2f}" for figure in cpu_of],
                *[""] * (2 - len(cpu_of)),
            ]


HEADINGS = [
    "load, connections",
    "per second, before / now",
    "ratio",
    "p99 in ms",
    "ratio",
    "CPU of the service",
    "CPU of PostgreSQL",
]


def goals(paired: Mapping[str, Turns]) -> Iterator[Goal]:
    """Yield the goals."""
    for backend, turns in paired.items():
        for (on, load), figure in RATES.items():
            if on == backend:
                key = load if load == HOT else f"{load}, {CONNECTIONS}"
                yield Goal(f"{key}, {backend}: rate / earlier", ratio(turns, key, "rate"), figure)
        yield Goal(f"{STORM}, {backend}: rate / earlier", ratio(turns, STORM, "rate"), 1)
        for load in turns:
            if load != HOT:
                name = f"p99 of {load}, {backend} / earlier"
                yield Goal(name, ratio(turns, load, "p99_ms"), P99, at_most=True)
        if backend == "PostgreSQL":
            spent = ratio(turns, f"enroll, {CONNECTIONS}", "database_ms")
            yield Goal("CPU of PostgreSQL per enroll / earlier", spent, DATABASE_CPU, at_most=True)
