"""`course-management backup` and `restore`: the whole database as one file."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import URL

from ..config import Settings
from ..database import db, migrations, schema_state, snapshot
from ..maintenance import archives
from .service import Refusal, service
from .verify import show_findings

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def backup(file: Path, *, force: bool) -> None:
    """Write the whole database to FILE, as it is at one moment. The service can be in use.

    On SQLite, FILE is a SQLite database. On PostgreSQL, it is an archive of pg_dump; where pg_dump is not installed,
    its command is printed, and the exit code is 1. FILE contains personal data: only you can read it.
    """
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists already. Choose another name, or replace it with --force.")
    settings = Settings.load()
    with service():
        try:
            if settings.database_url.get_backend_name() == archives.SQLITE:
                _back_up_sqlite(file, force=force)
            else:
                _back_up_postgresql(settings.database_url, file, force=force)
        except archives.ArchiveError as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"Wrote {file} ({file.stat().st_size:,} bytes). Store it away from this machine.")


def _back_up_sqlite(file: Path, *, force: bool) -> None:
    with snapshot() as connection, archives.new_file(file, replace=force) as temporary:
        archives.copy_sqlite(connection.connection.driver_connection, temporary)  # type: ignore[arg-type]


def _back_up_postgresql(url: URL, file: Path, *, force: bool) -> None:
    with snapshot() as connection:
        schema, version = archives.place_of_tables(connection)
    command = archives.pg_dump(url, schema, file)
    if problem := command.problem(version):
        _print_command(command, problem)
    with archives.new_file(file, replace=force) as temporary:
        archives.pg_dump(url, schema, temporary).run()


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Restore the backup FILE into the empty database of DATABASE_URL, then migrate and verify it.

    On SQLite, the file of DATABASE_URL must not exist. On PostgreSQL, the database must exist and have no tables. A
    backup of the other kind of database is restored into its own kind, then copied: see `course-management copy`.
    """
    url = Settings.load().database_url
    try:
        _restore(url, file)
    except archives.TargetNotEmpty as refusal:
        raise Refusal(str(refusal)) from None
    except archives.ArchiveError as error:
        raise click.ClickException(str(error)) from None
    try:
        migrations.upgrade(lambda revision, title: click.echo(f"Migration {revision}: {title}"))
    except migrations.MigrationRefused as error:
        raise click.ClickException(str(error)) from None
    with service():
        broken = show_findings(is_copy=True)
    click.echo(f"Restored {file}.")
    if broken:
        raise SystemExit(1)


def _restore(url: URL, file: Path) -> None:
    kind = archives.kind_of_archive(file)
    if kind != url.get_backend_name():
        raise archives.ArchiveError(
            f"{file} is a backup of {_NAMES[kind]}, and DATABASE_URL names {_NAMES[url.get_backend_name()]}. Restore "
            "it into a database of its own kind, then copy that one with `course-management copy --to`."
        )
    if kind == archives.SQLITE:
        archives.restore_sqlite(file, Path(str(url.database)))
    else:
        _restore_postgresql(url, file)
        with service(ready=False):
            if schema_state().revision is None:
                raise archives.ArchiveError(f"{file} is an archive of something else: it has no alembic_version.")


_NAMES = {archives.SQLITE: "SQLite", archives.POSTGRESQL: "PostgreSQL"}


def _restore_postgresql(url: URL, file: Path) -> None:
    with service(ready=False), db.engine.connect().execution_options(autocommit=True) as connection:
        _, version = archives.place_of_tables(connection)
        is_empty = archives.is_without_tables(connection)
    if not is_empty:
        raise archives.TargetNotEmpty(
            "The target is not empty: the database has tables. Create a new database for the restored data, and set "
            "DATABASE_URL to it."
        )
    tool = archives.pg_restore(url, file)
    if problem := tool.problem(version):
        _print_command(tool, problem)
    tool.run()


def _print_command(tool: archives.Tool, problem: str) -> None:
    click.echo(str(tool))
    password = "" if "PGPASSWORD" not in tool.environment else " The password goes into PGPASSWORD or PGPASSFILE."
    raise archives.ArchiveError(f"{problem} Nothing was done. Run the command above where it is.{password}")
