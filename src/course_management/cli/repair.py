"""`course-management repair`: fix findings of `verify`."""

from __future__ import annotations

import click

from ..database import sequences
from ..maintenance import counters, trigger_state
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


@repair.command("triggers")
def repair_triggers() -> None:
    """Create missing triggers and enable disabled ones. Run `verify` and `repair counters` afterwards."""
    with service():
        repaired = trigger_state.repair()
    for flaw in repaired:
        click.echo(f"Repaired: {flaw}.")
    if not repaired:
        click.echo("All triggers exist and are enabled.")


@repair.command("counters")
def repair_counters() -> None:
    """Count seats and waitlists of all courses again. Safe while the service is in use."""
    repaired = left = 0
    with service():
        for course in counters.recount():
            if course.problem:
                left += 1
                click.echo(f"Course {course.course_id} ({course.code}): {course.problem}.", err=True)
            else:
                repaired += 1
                pairs = zip(counters.COUNTERS, course.before, course.after, strict=True)
                changed = ", ".join(f"{name} {old} to {new}" for name, old, new in pairs if old != new)
                click.echo(f"Course {course.course_id} ({course.code}): {changed}.")
    if left:
        raise SystemExit(1)
    if not repaired:
        click.echo("All counters agree with the enrollments.")
