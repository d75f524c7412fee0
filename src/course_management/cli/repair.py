"""`course-management repair`: fix findings of `verify`."""

from __future__ import annotations

import click

from ..database import sequences
from .service import service


@click.group()
def repair() -> None:
    """Fix findings of verify."""


@repair.command("sequences")
def repair_sequences() -> None:
    """Set sequences that are behind, so that new ids are above all existing ones. Safe while the service is in use."""
    with service():
        done, left = sequences.repair()
    for sequence in done:
        click.echo(f"{sequence.table}: the next id is {sequence.largest_id + 1}; it was {sequence.next_id}.")
    for sequence in left:
        click.echo(f"{sequence.table}: {sequence.fix}.", err=True)
    if left:
        raise SystemExit(1)
    if not done:
        click.echo("All sequences are above the existing ids.")
