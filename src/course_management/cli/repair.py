"""`course-management repair`: what `verify` finds and a command can fix."""

from __future__ import annotations

import click

from ..database import sequences
from .service import service


@click.group()
def repair() -> None:
    """Fix what verify has found."""


@repair.command("sequences")
def repair_sequences() -> None:
    """Let new ids start above all that were given. Safe while the service is in use."""
    with service():
        done, left = sequences.repair()
    for each in done:
        click.echo(f"{each.table}: the next id is {each.largest_id + 1}, and was {each.next_id}.")
    for each in left:
        click.echo(f"{each.table}: {each.fix}.", err=True)
    if left:
        raise SystemExit(1)
    if not done:
        click.echo("Every table gives ids above all that were given.")
