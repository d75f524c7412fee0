"""`course-management import`: read files of other systems, show what they would change, and do it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..config import Settings
from ..repositories import imports as repository
from ..transfer import sources
from ..transfer.exporting import as_text
from ..transfer.findings import FileRefused
from ..transfer.formats.templates import template
from ..transfer.importing import Choices, Planned, apply, is_refused, plan
from ..transfer.kinds import KINDS
from ..transfer.reports import name_of, write_report
from ..transfer.texts import known_encoding
from ..transfer.verdicts import OUTCOMES, REFUSE
from .import_run import run_of_import
from .output_files import output_files
from .service import REFUSED, service

UNUSABLE = 2
"""The exit code of files that cannot be used, or whose drops were not allowed."""
SHOWN = 3
"""Rows that are shown of each outcome and code."""
APPLYING_ONLY = {"plans", "as_planned", "allow_drops", "report", "wanted"}
"""Parameters that a plan does not need."""
NAMES = [kind.name for kind in KINDS]


@click.command("import")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--plan/--apply", "plans", default=True, help="Only show what would change (default), or do it.")
@click.option("--as-planned", type=click.IntRange(1), metavar="ID", help="Only if the files are those of this plan.")
@click.option("--mode", type=click.Choice(["delta", "bulk"]), default="delta", help="bulk: drop what is missing.")
@click.option("--on-full", type=click.Choice(["refuse", "waitlist", "raise"]), default="refuse", help="Full courses.")
@click.option("--allow-drops", type=click.IntRange(0), help="The exact number of drops, where they are many.")
@click.option("--rules", type=click.Choice(["notes", "refuse"]), default="notes", help="Whether rules refuse rows.")
@click.option("--create-missing", is_flag=True, help="Create students, staff and entries that no file describes.")
@click.option("--school", metavar="ID", help="Import one school of several.")
@click.option("--term", metavar="CODE", help="The term of sections, where the files do not say it.")
@click.option("--encoding", help="The encoding of files without a byte order mark (default: UTF-8).")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a line per row to this file.")
@click.option("--template", "wanted", type=click.Choice(NAMES), help="Print a template, and import nothing.")
def import_files(
    paths: tuple[Path, ...],
    *,
    plans: bool,
    as_planned: int | None,
    allow_drops: int | None,
    report: Path | None,
    wanted: str | None,
    **options: Any,
) -> None:
    """Import files, folders and zip archives: terms, catalog, courses, students, staff and enrollments.

    The format is recognized by the headers: our templates, OneRoster, Canvas SIS CSV, Microsoft School Data Sync, or
    Moodle's flat file. Without --apply, only the plan is written. Exit code 3 if rows are refused, 2 if a file cannot
    be used.
    """
    if wanted:
        click.echo(template(wanted), nl=False)
        return
    if not paths:
        raise click.UsageError("Name a file, a folder or an archive, or use --template.")
    choices = Choices(**options)
    if choices.encoding and not known_encoding(choices.encoding):
        raise click.BadParameter(f"{choices.encoding} is not an encoding", param_hint="--encoding")
    zone = Settings.load().time_zone
    with service():
        with run_of_import() as run:
            try:
                planned = plan(sources.find(paths), choices, zone, run.progress, as_planned, is_preview=plans)
            except FileRefused as refused:
                click.echo(str(refused), err=True)
                raise SystemExit(UNUSABLE) from None
            if not plans:
                _refuse_drops(planned, allow_drops)
                apply(planned, choices, zone, run.progress)
        if report:  # before anything is shown: the program that reads the output may not read all of it
            _write_report(planned.id, report)
        _show(planned, applied=not plans)
        if plans and choices.mode == "bulk":
            click.echo("\n--mode bulk drops enrollments only. Everything else that the files lack stays.")
        if plans and planned.unchecked:
            _show_unchecked(planned.unchecked, rules_bind=choices.rules == "refuse")
        if is_refused(planned.id):
            raise SystemExit(REFUSED)


def _refuse_drops(planned: Planned, allowed: int | None) -> None:
    """End with exit code 2 for many drops, unless their exact number was allowed."""
    if planned.drops_need_permission and allowed != planned.drops:
        click.echo(
            f"Enrollments that earlier imports made and the files lack: {planned.drops}. They would be dropped. Look "
            f"at the plan: {_command_of_plan()}\n"
            f"If that is right, add --allow-drops {planned.drops}. Nothing was changed.",
            err=True,
        )
        raise SystemExit(UNUSABLE)


def _command_of_plan() -> str:
    """Return the present command without its options to apply."""
    context = click.get_current_context()
    words = ["course-management import"]
    for parameter in context.command.params:
        is_given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        value = context.params.get(parameter.name or "")
        if isinstance(parameter, click.Option) and is_given and parameter.name not in APPLYING_ONLY:
            words += [parameter.opts[0], *([] if parameter.is_flag else [shlex.quote(str(value))])]
    return " ".join([*words, *(shlex.quote(str(path)) for path in context.params["paths"])])


def _show(planned: Planned, *, applied: bool) -> None:
    counts = repository.counts(planned.id)
    outcomes = [each for each in OUTCOMES if any(outcome == each for _, outcome in counts)]
    resumed = ", continued after an interruption" if planned.is_resumed else ""
    click.echo(f"Import {planned.id} ({planned.format}{resumed}): {'applied' if applied else 'planned'}")
    click.echo("".join([f"{'':14}", *(f"{each:>11}" for each in outcomes)]))
    for kind in [*NAMES, "finding"]:
        numbers = [counts.get((kind, each), 0) for each in outcomes]
        if any(numbers):
            click.echo("".join([f"{kind:14}", *(f"{number:>11}" for number in numbers)]))
    by_code = repository.counts_by_code(planned.id)
    if missing := sum(by_code.get((REFUSE, code), 0) for code in ("student_not_found", "person_not_found")):
        click.echo(
            f"\n{missing:,} row{'s name' if missing > 1 else ' names'} students or staff that are neither in the files "
            "nor in the database. Add users.csv (students.csv of our templates), or --create-missing to create them by "
            "their number."
        )
    for outcome, code in sorted(by_code, key=lambda each: (OUTCOMES.index(each[0]), each[1] or "")):
        count = by_code[outcome, code]
        rows = f"{count} row{'s' if count > 1 else ''}{', the first' if count > SHOWN else ''}"
        click.echo(f"\n{outcome}{f' {code}' if code else ''} ({rows}):")
        for row in repository.examples(planned.id, outcome, code, SHOWN):
            name = name_of(row.unit, row.part)
            what = f"{name}: {row.detail}" if name and row.detail else name or row.detail or ""
            click.echo(f"  {row.file}{f', line {row.line}' if row.line else ''}: {what}")


def _show_unchecked(count: int, *, rules_bind: bool) -> None:
    if rules_bind:
        which, later = "of students or in courses that this import creates", "and may refuse them"
    else:
        which, later = "in this plan", "and the report then has what they say"
    click.echo(
        f"\nWarning: the rules of registration were not checked for {count} enrollments, {which}. They are checked by "
        f"--apply, {later}."
    )


def _write_report(import_id: int, path: Path) -> None:
    """Write a CSV that only the user of the command can read, since it has personal data."""
    if path.exists() and not path.is_file():  # as /dev/stdout, which must not be replaced
        with path.open("wb") as device, as_text(device) as text:
            write_report(text, import_id)
        return
    with (
        output_files(path.parent, [path.name], force=True) as files,
        files.open(path.name) as file,
        as_text(file) as text,
    ):
        write_report(text, import_id)
