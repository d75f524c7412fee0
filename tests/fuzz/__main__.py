"""`make fuzz`: each kind of caller, on both databases, with as many examples as are asked for."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from ..access.issuer import running
from ..support.databases import Databases, PostgreSQL
from .run import CALLERS, Campus


@click.command()
@click.option("--examples", default=2_000, show_default=True, help="Examples an operation.")
@click.option("--seed", default=1, show_default=True)
@click.option("--caller", "callers", multiple=True, type=click.Choice(CALLERS), help="Only these; may be repeated.")
@click.option("--database", "backends", multiple=True, type=click.Choice(["sqlite", "postgresql"]), help="Only these.")
def main(examples: int, seed: int, callers: tuple[str, ...], backends: tuple[str, ...]) -> None:
    """Fuzz the running service as each kind of caller. Exit 1 and the report when anything is found."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, running() as issuer:
        for backend in backends or ("sqlite", "postgresql"):
            server = PostgreSQL() if backend == "postgresql" else None
            databases = Databases(backend, Path(name), server.url if server else None)
            try:
                for caller in callers or CALLERS:
                    folder = Path(tempfile.mkdtemp(dir=name))
                    campus = Campus(folder, databases.migrated(), issuer)
                    started = time.monotonic()
                    try:
                        report = campus.fuzz(caller, examples, seed)
                    finally:
                        campus.server.end()
                    verdict = "FOUND SOMETHING" if report else "nothing found"
                    click.echo(f"{backend:10}  {caller:9}  {verdict} in {time.monotonic() - started:.0f} s")
                    if report:
                        failed = True
                        click.echo(report)
            finally:
                if server:
                    server.end()
    sys.exit(1 if failed else 0)


main()
