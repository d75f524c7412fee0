"""`course-management export`: write what the database has as files for other systems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, TypeAlias

import click
from sqlalchemy import Connection

from ..database import snapshot
from ..repositories.external_ids import without_external_id
from ..services import external_ids
from ..transfer.exporting import OF_TERM, Progress, write_csv
from ..transfer.kinds import KINDS
from ..transfer.oneroster import write_oneroster
from . import course_arguments
from .output_files import output_files
from .service import service

Write: TypeAlias = Callable[[IO[bytes], Connection, int | None, Progress], int]
"""Writes a file, with the rows of one term or of all (None), and returns the number of its rows."""
SHOWN_EVERY = 10_000
"""Rows after which a terminal shows their number."""


def _csv_files(*, of_term: bool) -> Mapping[str, Write]:
    return {f"{kind.name}.csv": partial(write_csv, kind) for kind in (OF_TERM if of_term else KINDS)}


def _oneroster_files(*, of_term: bool) -> Mapping[str, Write]:
    if of_term:
        raise click.UsageError("OneRoster has the whole school; use --term with csv.")
    return {"oneroster.zip": write_oneroster}


FORMATS: Mapping[str, Callable[..., Mapping[str, Write]]] = {"csv": _csv_files, "oneroster": _oneroster_files}
"""The files of each format, by name."""


@click.command("export")
@click.argument("file_format", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--term", metavar="CODE", help="Only the courses, the enrollments and the students of this term.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--assign-external-ids", "assigns", is_flag=True, help="First give an external id to each row that has none."
)
def export_files(file_format: str, folder: Path, *, term: str | None, force: bool, assigns: bool) -> None:
    """Write files for other systems into the folder DIR.

    csv: a file per kind of row, with the columns of the templates of `import`, which reads them again without a change.

    oneroster: terms, catalog, courses, students, instructors and enrollments as OneRoster 1.2, in one archive.

    The files are of one moment; the service can be in use. They contain personal data: only you can read them.
    """
    writers = FORMATS[file_format](of_term=term is not None)
    with service():
        term_id = course_arguments.find_term(term) if term else None
        with output_files(folder, writers, force=force) as files:
            if assigns:
                click.echo(f"Gave an external id to {external_ids.assign():,} rows.")
            with snapshot() as connection:
                for name, write in writers.items():
                    with files.open(name) as file:
                        total = write(file, connection, term_id, _progress(name))
                    click.echo(f"{name:20} {total:>12,} rows")
                _warn(without_external_id(connection))


def _progress(name: str) -> Progress:
    """Return a function that shows in a terminal how many rows are written."""
    if not sys.stdout.isatty():
        return lambda _: None
    total = shown = 0

    def show(rows: int) -> None:
        nonlocal total, shown
        total += rows
        if total - shown >= SHOWN_EVERY:
            shown = total
            click.echo(f"{name:20} {total:>12,} ...\r", nl=False)

    return show


def _warn(counts: Mapping[str, int]) -> None:
    if not counts:
        return
    listed = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    click.echo(
        f"Warning: rows without an external id: {listed}. Other systems cannot tell which ones these are, and `import` "
        "refuses them. Use --assign-external-ids.",
        err=True,
    )
