"""Load the catalog and the sections of a university over HTTP, and compare what the service finds with a brute force.

    python benchmarks/university.py data/uiuc --url http://127.0.0.1:8000

The folder has `prerequisites.csv` and `sections-*.csv` of wadefagen/datasets. Each run creates a new term and new
entries, so the database need not be empty.
"""

from __future__ import annotations

import secrets
import sys
from contextlib import closing
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that this script finds the modules beside it as `benchmarks`

from benchmarks.client import Service

from benchmarks import prerequisites, sections


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--url", required=True, help="The running service, as in http://127.0.0.1:8000.")
@click.option("--threads", type=click.IntRange(1, 256), default=4, show_default=True, help="Number of connections.")
def main(folder: Path, url: str, threads: int) -> None:
    """Load the files of FOLDER at a running service; exit 1 when it finds something other than the brute force."""
    prefix = secrets.token_hex(3)
    groups = prerequisites.read(folder / "prerequisites.csv")
    timetables = sections.read(next(folder.glob("sections-*.csv")))
    with closing(Service(url, threads)) as service:
        figures, wrong = prerequisites.compare(service, prefix, groups)
        more_figures, more_wrong = sections.compare(service, prefix, timetables)
    figures |= more_figures
    wrong |= more_wrong
    for name, value in figures.items():
        click.echo(f"{name}: {value:,}")
    for name, faults in wrong.items():
        click.echo(f"{name}: {len(faults)}  {', '.join(faults[:5])}".rstrip())
    sys.exit(1 if any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
