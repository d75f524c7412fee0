"""`course-management verify`: check that the database is consistent, and its ledger unchanged since a seal."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from ..database import snapshot
from ..maintenance import ledger_seal
from ..maintenance import verify as verification
from .service import service

AS_SEALED = "the ledger is as it was sealed"


@click.command()
@click.option(
    "--seal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a digest of the ledger to a new file.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare the ledger with a file that --seal wrote.",
)
def verify(seal: Path | None, against: Path | None) -> None:
    """Check that the whole database is consistent. Safe while the service is in use.

    Prints the rows that break an invariant (BROKEN) and exits with 1. A note is reported, and may be correct.
    """
    if seal and seal.exists():
        raise click.BadParameter(
            f"{seal} exists, and a seal is never overwritten; choose another file", param_hint="--seal"
        )
    sealed = _read(against) if against else None
    with service():
        broken = show_findings()
        if sealed:
            _announce(AS_SEALED)
            broken += _show(_compare(sealed))
        if seal:
            _announce("the seal")
            _write(seal)
    if broken:
        raise SystemExit(1)


def show_findings(*, is_copy: bool = False) -> int:
    """Check every invariant and print the findings. Returns how many are broken."""
    return sum(_show(finding) for finding in verification.verify(_announce, is_copy=is_copy))


def _announce(name: str) -> None:
    if sys.stdout.isatty():
        click.echo(f"        {name} ...\r", nl=False)


def _show(finding: verification.Finding) -> bool:
    """Print a finding. Returns whether it is broken."""
    click.echo(f"{finding.verdict:7} {finding.name}: {finding.checked:,} checked in {finding.seconds:.1f} s")
    for row in finding.evidence:
        click.echo("          " + ", ".join(f"{name} {value}" for name, value in row.items()))
    if finding.evidence and finding.remedy:
        click.echo(f"        {finding.remedy}")
    return finding.verdict == "BROKEN"


def _read(file: Path) -> ledger_seal.Seal:
    try:
        return ledger_seal.read(file.read_bytes())
    except ledger_seal.NotASeal as error:
        raise click.BadParameter(str(error), param_hint="--against") from None
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--against") from None


def _compare(sealed: ledger_seal.Seal) -> verification.Finding:
    started = time.perf_counter()
    with snapshot() as connection:
        present = ledger_seal.make(connection, sealed.last_line, sealed.format)
    changed = ledger_seal.differences(sealed, present)
    evidence = (changed or ledger_seal.erasures(sealed, present))[: verification.EVIDENCE]
    return verification.Finding(AS_SEALED, present.lines, evidence, time.perf_counter() - started, note=not changed)


def _write(file: Path) -> None:
    last_line = ledger_seal.last_settled_line()
    with snapshot() as connection:
        seal = ledger_seal.make(connection, last_line)
    try:
        with file.open("x") as target:
            target.write(seal.as_json())
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"Sealed {seal.lines:,} lines, up to number {seal.last_line}. Store {file} away from the database.")
