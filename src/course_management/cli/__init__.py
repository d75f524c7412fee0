"""The command line; `course-management --help` lists it. Settings come from the environment and .env."""

from __future__ import annotations

import sys

import click
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from .. import __version__, checks, demo, logs, server
from .. import verify as verification
from ..config import ConfigurationError, Settings
from ..database import SCHEMA_REVISION, autocommit, kind_of, schema_revision, why
from ..models import Course, EnrollmentEvent, Student, StudentCourses
from ..services import Context, enrollment
from .keys import keys
from .people import people
from .service import service


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="course-management")
def cli() -> None:
    """Which student is in which course: the enrollment service."""


cli.add_command(keys)
cli.add_command(people)


@cli.command()
def serve() -> None:
    """Serve the API until SIGTERM."""
    settings = Settings.load()
    logs.configure(settings)
    address = f"http://{settings.host}:{settings.port}"
    with service("warning"):
        found = checks.find(settings)
        if dangers := [each.sentence for each in found if each.dangerous]:
            raise ConfigurationError(dangers)
        click.echo(f"Serving on     {address}")
        click.echo(f"Documentation  {address}/docs")
        for each in found:
            click.echo(f"Mind: {each.sentence}", err=True)
        try:
            pair = demo.example_call()
        except SQLAlchemyError as error:
            pair = None
            click.echo(f"The database does not answer yet ({kind_of(error)}); /readyz tells when it does.", err=True)
    if pair:
        click.echo("Enroll somebody with")
        click.echo(f"  curl -X POST {address}/students/{pair[0]}/enroll \\")
        click.echo(f"    -H 'Content-Type: application/json' -d '{{\"course_id\": {pair[1]}}}'")
    sys.stdout.flush()
    server.serve(settings)


@cli.command("demo")
def make_demo() -> None:
    """Make small demo data, if the database is empty."""
    with service("warning"):
        if not demo.is_empty():
            click.echo("The database has data already; no demo data made.")
            return
        click.echo(f"Demo data: {demo.make()}.")


@cli.command()
def promote() -> None:
    """Give free seats to those who wait for them, where a crash prevented it."""
    with service("warning"):
        seated, left = enrollment.promote_all(Context())
        click.echo(f"Promoted {seated} from waitlists.")
        if left:
            click.echo(f"{left} courses still have seats that somebody waits for; try again.", err=True)
            raise SystemExit(1)


@cli.command()
def verify() -> None:
    """Check that the whole database agrees with itself, also while in use. Exit 1 and the rows when it does not."""
    broken = 0

    def announce(name: str) -> None:
        if sys.stdout.isatty():
            click.echo(f"        {name} ...\r", nl=False)

    with service("warning"):
        for finding in verification.verify(announce):
            verdict = "BROKEN" if finding.evidence else "ok"
            click.echo(f"{verdict:7} {finding.name}: {finding.checked:,} checked in {finding.seconds:.1f} s")
            for row in finding.evidence:
                click.echo("          " + ", ".join(f"{name} {value}" for name, value in row.items()))
            broken += bool(finding.evidence)
    if broken:
        raise SystemExit(1)


@cli.command()
def check() -> None:
    """Say what is unsafe in the present settings. Exit 1 if anything is."""
    settings = Settings.load()
    with service("error"):
        found = checks.find(settings)
    for each in found:
        click.echo(f"{'DANGER' if each.dangerous else 'unsafe'}  {each.sentence}")
    if found:
        raise SystemExit(1)
    click.echo("Nothing unsafe was found.")


@cli.command()
def status() -> None:
    """Show the database: where it is, its schema, how much is in it. Exit 1 when it is not ready."""
    settings = Settings.load()
    click.echo(f"Database     {settings.database_url.render_as_string(hide_password=True)}")
    with service("error"):
        try:
            found = schema_revision()
        except SQLAlchemyError as error:
            click.echo(f"Not ready    {why(error) or kind_of(error)}")
            raise SystemExit(1) from None
        click.echo(f"Schema       {found or 'none'} (this version needs {SCHEMA_REVISION})")
        if found != SCHEMA_REVISION:
            click.echo("Not ready    run: alembic upgrade head")
            raise SystemExit(1)
        for name, model in (
            ("Students", Student),
            ("Courses", Course),
            ("Enrollments", StudentCourses),
            ("Ledger lines", EnrollmentEvent),
        ):
            click.echo(f"{name:12} {autocommit(select(func.count()).select_from(model))[0][0]}")


def main() -> None:
    """The entry point: a wrong setting is a plain sentence and exit code 2."""
    try:
        cli()
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(2)
