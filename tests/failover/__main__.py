"""The command behind `make failover`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from course_management.database_urls import database_url

from ..proof.report import fill_in, markdown
from ..support.databases import ROOT, migrate
from ..support.real_server import COMMAND, Server
from . import cluster as clusters
from . import processes
from .faults import FAULTS, HEADINGS, Fault, Result, wait_for_recovery
from .load import POPULATE, Load

BEFORE_S, AT_LEAST_S, AT_MOST_S, AFTER_S = 6.0, 8.0, 120.0, 5.0
RESULTS = ROOT / "docs" / "availability.md"


@click.command()
@click.option("--fault", "names", type=click.Choice([fault.name for fault in FAULTS]), multiple=True, help="Only this.")
@click.option("--address", "ways", type=int, multiple=True, help="Only this way to write DATABASE_URL: 0, 1 or 2.")
@click.option("--rate", default=100.0, show_default=True, help="Enrolls per second.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JSON too.")
@click.option("--record", is_flag=True, help="Write the table into docs/availability.md.")
def main(names: Sequence[str], ways: Sequence[int], rate: float, out: Path | None, record: bool) -> None:
    """Lose machines, servers and standbys of a cluster under load. Exit 1 when a promise does not hold."""
    if problem := clusters.missing():
        raise click.ClickException(problem)
    if record and (names or ways):
        raise click.UsageError("Only all faults in all ways are recorded.")
    console = Console()
    processes.adopt_orphans()
    began = time.monotonic()
    results: list[Result] = []
    cluster, load, is_done = clusters.Cluster(), Load(rate), False
    console.print(f"The cluster is in {cluster.folder}; the logs stay there if this fails.")
    try:
        cluster.start()
        _populate(cluster)
        for number, address in enumerate(cluster.addresses()):
            if not ways or number in ways:
                faults = [fault for fault in FAULTS if not names or fault.name in names]
                results += _run(console, cluster, address, faults, load)
        is_done = True
    finally:
        cluster.stop(keep_files=not is_done)
    table = Table(*HEADINGS)
    for result in results:
        table.add_row(*result.row())
    console.print(table)
    if record:
        minutes = (time.monotonic() - began) / 60
        heading = f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, {rate:.0f} enrolls a second, {minutes:.0f} min"
        table_text = markdown(HEADINGS, [result.row() for result in results])
        fill_in(RESULTS, "<!-- failover -->", "<!-- end of failover -->", f"{heading}\n\n{table_text}")
    if out:
        rows: list[dict[str, Any]] = [dict(zip(HEADINGS, result.row(), strict=True)) for result in results]
        out.write_text(json.dumps(rows, indent=1))
    broken = [problem for result in results for problem in result.problems]
    sys.exit(1 if broken else 0)


def _populate(cluster: clusters.Cluster) -> None:
    migrate(database_url(cluster.addresses()["HAProxy"]))
    with cluster.connect() as connection:
        connection.execute(POPULATE)


def _run(
    console: Console, cluster: clusters.Cluster, address: str, faults: Sequence[Fault], load: Load
) -> list[Result]:
    """Let the faults happen, one after the other, to one service that stays the same."""
    url = database_url(cluster.addresses()[address])
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), url, LOG_FORMAT="json")
        try:
            server.wait()
            return [_happen(console, cluster, server, load, address, fault) for fault in faults]
        finally:
            load.stop()
            server.end()


def _happen(
    console: Console, cluster: clusters.Cluster, server: Server, load: Load, address: str, fault: Fault
) -> Result:
    load.start(server.port)
    time.sleep(BEFORE_S)
    began = time.monotonic()
    fault.happen(cluster)
    recovered = wait_for_recovery(load.outcomes, began, at_least_s=AT_LEAST_S, at_most_s=AT_MOST_S)
    if not recovered:
        console.print(f"Patroni sees: {cluster.members()}", markup=False)
    cluster.heal()  # under load, too
    time.sleep(AFTER_S)
    outcomes = load.stop()
    with cluster.connect() as connection:
        rows = connection.execute("SELECT student_id, course_id FROM student_courses WHERE status = 'enrolled'")
        enrolled = set(rows.fetchall())
    acknowledged = {(outcome.student_id, outcome.course_id) for outcome in outcomes if outcome.is_acknowledged}
    result = Result(
        fault=fault.name,
        address=address,
        began=began,
        outcomes=outcomes,
        recovered=recovered,
        lost=len(acknowledged - enrolled),
        verify=_verify(server),
        restarts=len(server.workers()) - 2 + (server.process.poll() is not None),
    )
    console.print(", ".join(f"{name} {value}" for name, value in zip(HEADINGS, result.row(), strict=True)))
    for problem in result.problems:
        console.print(f"[red]BROKEN: {problem}[/red]")
    return result


def _verify(server: Server) -> str:
    command = [*COMMAND[:-1], "verify"]
    done = subprocess.run(command, env=server.environment, capture_output=True, text=True, check=False)  # noqa: S603
    return "" if done.returncode == 0 else "\n".join([*done.stdout.splitlines(), done.stderr])


if __name__ == "__main__":
    main()
