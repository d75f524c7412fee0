"""The command line; `course-management --help` lists it. Settings come from the environment and .env."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace
from pathlib import Path

import click
from sqlalchemy import func, select, true
from sqlalchemy.exc import SQLAlchemyError

from .. import __version__, background, log_output, logs, network_addresses
from ..__main__ import INTERRUPTED
from ..access.keys import any_exist as any_key_exists
from ..config import ConfigurationError, Settings
from ..context import RequestContext
from ..database import SCHEMA_REVISION, autocommit, is_unavailable, kind_of, schema_state
from ..errors import Problem
from ..maintenance import checks, demo
from ..metrics.directory import shared_by_workers
from ..models import Course, EnrollmentEvent, Student, StudentCourses
from ..server import serving
from ..services import enrollment
from ..services.enrollment.rules.installed import INSTALLED
from ..urls import without_password
from . import streams
from .backups import backup, restore
from .copying import copy_database
from .explaining import explain_request
from .exports import export_files
from .imports import import_files
from .keys import keys
from .migrate import migrate
from .people import people
from .recheck import recheck
from .repair import repair
from .service import service
from .sign_in_link import sign_in_link
from .students import students
from .terms import terms
from .verify import verify

EXIT_CODES = """
\b
Exit codes:
  0    done
  1    the database cannot serve, a check found something, or the output cannot be written
  2    a wrong option or setting, or a name that does not exist
  3    refused, in whole or in part; the output says what and why
  130  interrupted (Ctrl-C)
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="course-management")
@click.pass_context
def cli(context: click.Context) -> None:
    """Enroll students in courses: the service and its tools. Settings come from the environment and .env."""
    if context.invoked_subcommand not in {"check", "serve"}:  # these report it with their other findings
        for sentence in Settings.misspelled():
            click.echo(f"Warning: {sentence}", err=True)


cli.add_command(backup)
cli.add_command(copy_database)
cli.add_command(export_files)
cli.add_command(import_files)
cli.add_command(keys)
cli.add_command(migrate)
cli.add_command(people)
cli.add_command(recheck)
cli.add_command(repair)
cli.add_command(restore)
cli.add_command(explain_request)
cli.add_command(sign_in_link)
cli.add_command(students)
cli.add_command(terms)
cli.add_command(verify)


@cli.command()
def serve() -> None:
    """Serve the API until SIGTERM."""
    settings = Settings.load()
    logs.configure(settings)
    try:
        listen = network_addresses.choose(settings.host, settings.port)
    except ValueError as error:
        raise ConfigurationError([str(error)]) from None
    settings, address = replace(settings, host=listen.ip), listen.url
    with service("warning", ready=False):
        findings = checks.find(settings)
        if dangers := [finding.sentence for finding in findings if finding.dangerous]:
            raise ConfigurationError(dangers)
        out, err = logs.banner(sys.stdout), logs.banner(sys.stderr)
        out(f"Serving on     {address}")
        out(f"Documentation  {address}/docs")
        for finding in findings:
            err(f"Warning: {finding.sentence}")
        try:
            pair = demo.example_call()
            needs_key = bool(settings.oidc_issuer) or any_key_exists()
        except SQLAlchemyError as error:
            pair = None
            if is_unavailable(error):  # otherwise the schema is another one, which is a finding above
                err(f"The database is not available yet ({kind_of(error)}); /readyz reports when it is.")
    if pair:
        out("Enroll a student with")
        out(f"  curl -X POST {address}/students/{pair[0]}/enroll \\")
        if needs_key:
            out("    -H 'Authorization: Bearer KEY' \\")
        out(f"    -H 'Content-Type: application/json' -d '{{\"course_id\": {pair[1]}}}'")
    log_output.drain_all()  # before an error about the address
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"  # all workers get these settings, also after .env has changed
    from ..app import create_worker_application  # noqa: PLC0415 - see `course_management.__getattr__`

    with shared_by_workers():
        from ..metrics import exposition  # noqa: PLC0415 - see `metrics.start`

        exposition.serve_on_loopback(settings.metrics_port)
        serving.serve(settings, create_worker_application)


@cli.command("demo")
@click.option("--if-new", is_flag=True, help="Only in a new SQLite file at the default DATABASE_URL; else do nothing.")
@click.option("--remove", is_flag=True, help="Remove the demo data, unless something else depends on it.")
def make_demo(if_new: bool, remove: bool) -> None:
    """Make a small set of demo data in an empty database, or remove it."""
    if if_new and remove:
        raise click.UsageError("Use --if-new or --remove, not both.")
    with service():
        try:
            if remove:
                removed = demo.remove()
                click.echo(f"Removed {removed}. The ledger keeps its lines." if removed else "There is no demo data.")
            elif if_new and not demo.is_new(Settings.load()):
                return
            elif not demo.is_empty():
                click.echo("The database is not empty, so no demo data was made.")
            else:
                click.echo(f"Demo data: {demo.make()}.")
        except (demo.InUse, Problem) as problem:
            raise click.ClickException(str(problem)) from None


@cli.command()
def promote() -> None:
    """Promote waitlisted students to free seats, where a crash has prevented it."""
    with service():
        promoted, left = enrollment.promote_all(RequestContext(time_zone=Settings.load().time_zone))
        click.echo(f"Promoted {promoted} students from waitlists.")
        if left:
            click.echo(f"{left} courses still have free seats and a waitlist. Run the command again.", err=True)
            raise SystemExit(1)


@cli.command()
def worker() -> None:
    """Do the background work of the database until SIGTERM; for `BACKGROUND=off`, or another WSGI server."""
    settings = Settings.load()
    logs.configure(settings)
    from ..metrics import exposition  # noqa: PLC0415 - see `metrics.start`

    exposition.serve_on_loopback(settings.metrics_port)
    background.run_until_stopped(settings)


@cli.command()
def check() -> None:
    """Report unsafe settings, exit 1 if there are any; and list the rules of installed packages."""
    settings = Settings.load()
    with service(ready=False):
        findings = checks.find(settings)
        if not checks.not_ready():
            findings += checks.find_in_data()
    for package, rule in INSTALLED.rules:
        click.echo(f"rule    {rule.code} ({package})")
    for finding in findings:
        click.echo(f"{'DANGER' if finding.dangerous else 'unsafe'}  {finding.sentence}")
    if findings:
        raise SystemExit(1)
    click.echo("Nothing unsafe was found.")


@cli.command()
def status() -> None:
    """Show the database: its URL, schema and numbers of rows. Exit 1 when it is not ready."""
    settings = Settings.load()
    click.echo(f"Database     {without_password(settings.database_url)}")
    with service(ready=False):
        if problem := checks.not_ready():
            click.echo(f"Not ready    {problem}")
            raise SystemExit(1)
        click.echo(f"Schema       {schema_state().revision} (this version is for {SCHEMA_REVISION})")
        for name, model, condition in (
            ("Students", Student, true()),
            ("Courses", Course, true()),
            ("Enrollments", StudentCourses, StudentCourses.is_held),
            ("Ledger lines", EnrollmentEvent, true()),
        ):
            click.echo(f"{name:12} {autocommit(select(func.count()).select_from(model).where(condition))[0][0]}")


def main() -> None:
    """Run the command line. Every error becomes a sentence and an exit code; see `--help`."""
    streams.open_closed_ones()
    # A stream that the shell has closed (`>&-`) is None in Python; libraries that write to it would fail.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the process
    sys.stderr = sys.stderr or sys.stdout
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code = cli(standalone_mode=False)
        sys.stdout.flush()  # here, where its error can still be handled
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except OSError as error:
        _abandon_output()
        if error.errno != errno.EPIPE:  # otherwise the reader has closed the pipe, as in `status | head -1`
            click.echo(f"Error: {error.strerror or error}.", err=True)
        return 1
    return code or 0


def _abandon_output() -> None:
    """Discard buffered output; otherwise Python would try to write it again at exit, and print an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
